"""What can go wrong between us and the database, each as one sentence that says what to do."""

from __future__ import annotations

from hyperhive.common.errors import HyperhiveError


class StoreError(HyperhiveError):
    """Base of every expected error about the store."""


class BadAddress(StoreError):
    """The MongoDB URI cannot be understood."""

    exit_code = 2


class StoreUnavailable(StoreError):
    """The server did not answer in time. What was asked may or may not have happened."""


class LoginRefused(StoreError):
    """There is no login, the server does not know this user, or the password is wrong."""


class LoginRevoked(LoginRefused):
    """The server knew this user's login a moment ago, and knows it no more."""


class NotAllowed(StoreError):
    """The server knows the user, who may not do this."""


class LeaseLost(StoreError):
    """The trial is no longer this worker's: another took it after its lease, or it was ended."""


class StudyChanged(StoreError):
    """A study of this name exists with another specification."""

    exit_code = 2


class StudyWithdrawn(StoreError):
    """Somebody cancelled or deleted the study."""


class BadCertificate(StoreError):
    """The server shows a certificate that this machine does not trust."""


class NameTaken(StoreError):
    """A user of this name exists, who is something else."""

    exit_code = 2


class NotFound(StoreError):
    """What was asked for by name is not in the store."""


class CorruptBlob(StoreError):
    """Bytes from the store are not the bytes their hash names."""


class NoServerBinary(StoreError):
    """No mongod executable was found on this machine."""


class ServerFailed(StoreError):
    """The embedded mongod did not start, or did not stop."""
