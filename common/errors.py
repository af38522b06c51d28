"""The expected errors: each is one sentence that says what to do, and has an exit code.

HyperhiveError
├── InputError            the user's input, or the machine
│   ├── UsageError        the command line or study file is invalid (exit code 2)
│   │   └── ConfigError   a trial's configuration
│   ├── DatasetError
│   ├── CheckpointError
│   ├── DeviceError
│   ├── ObjectiveError    a function of the user's cannot be loaded
│   ├── NotTrusted        code from the store that no trusted key has signed
│   ├── SourceError       a camera, stream or file of predict-cam
│   ├── NoModel
│   ├── OutputError
│   └── ReadableByOthers
└── StoreError            between us and MongoDB: see ``hyperhive.store.errors``
"""

from __future__ import annotations


class HyperhiveError(Exception):
    """Base of every expected error; its text is shown to the user literally."""

    exit_code = 1


class InputError(HyperhiveError):
    """Base of every expected error about data, weights, configurations and devices."""


class UsageError(InputError):
    """The command line or the study file is invalid."""

    exit_code = 2


class ConfigError(UsageError):
    """A trial's configuration is incomplete, has unknown keys, or values out of range."""


class DatasetError(InputError):
    """A data set cannot be read, or cannot be used for training."""


class CheckpointError(InputError):
    """Weights are missing or damaged, or do not match their card."""


class DeviceError(InputError):
    """The requested device is missing, or cannot do the work."""


class ObjectiveError(InputError):
    """An objective of the user's is no such thing, or cannot be loaded here."""


class NotTrusted(InputError):
    """What the store holds is not what a key that is trusted here has signed."""


class SourceError(InputError):
    """A source gives no frames."""


class NoModel(InputError):
    """There is no model to predict with."""


class OutputError(InputError):
    """The results cannot be written."""


class ReadableByOthers(InputError):
    """Other users of this machine can read a file that holds a password."""
