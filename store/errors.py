"""Everything that is expected to go wrong between us and the database.

Each error is one sentence that says what went wrong and what to do.
"""

from __future__ import annotations

from hyperhive.common.errors import HyperhiveError


class StoreError(HyperhiveError):
    """Base of every expected error about the store."""


class BadAddress(StoreError):
    """The MongoDB URI cannot be understood."""

    exit_code = 2


class StoreUnavailable(StoreError):
    """The server did not answer in time. The request may or may not have been carried out."""


class LoginRefused(StoreError):
    """The address has no login, the server does not know the user, or the password is wrong."""


class LoginRevoked(LoginRefused):
    """The server accepted this login before, but not any longer."""


class NotAllowed(StoreError):
    """The server knows this user, but the user's role does not allow the request."""


class LeaseLost(StoreError):
    """This worker no longer holds the trial: another one took it, or it has ended."""


class StudyChanged(StoreError):
    """A study of this name exists with another specification."""

    exit_code = 2


class StudyExtended(StoreError):
    """While a coordinator ran a study, it was started again with more to do, or other rules."""

    def __init__(self, study: str) -> None:
        super().__init__(
            f"study {study} was started again with more trials or repeats, or with other rules: "
            "that run goes on with it, and nothing that was found here is lost"
        )


class StudyWithdrawn(StoreError):
    """Somebody cancelled or deleted the study."""


class BadCertificate(StoreError):
    """The server has a certificate that this machine does not trust."""


class NameTaken(StoreError):
    """A user of this name exists with another role."""

    exit_code = 2


class NotFound(StoreError):
    """The store has nothing of this name."""


class CorruptBlob(StoreError):
    """Bytes in the store do not match their hash, or a reference to them is malformed."""


class NoServer(StoreError):
    """No server was named, and this machine has no private one."""

    exit_code = 2


class Unreadable(StoreError):
    """The database holds a value that PyMongo cannot decode."""


class Unstorable(StoreError):
    """A value is one that the database cannot hold: its type, its size, or a part of it."""


class NoServerBinary(StoreError):
    """No mongod executable was found on this machine."""


class ServerFailed(StoreError):
    """The embedded mongod did not start, or did not stop."""
