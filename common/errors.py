"""Every expected error is one sentence that says what to do, and an exit code.

HyperhiveError
├── InputError            what a person gave us, or their machine
│   ├── UsageError        the command line or study file makes no sense as it stands (exit code 2)
│   │   └── ConfigError   a trial's configuration
│   ├── DatasetError
│   ├── CheckpointError
│   ├── DeviceError
│   ├── SourceError       a camera, stream or file of predict-cam
│   ├── NoModel
│   ├── OutputError
│   └── ReadableByOthers
└── StoreError            between us and MongoDB: see ``hyperhive.store.errors``
"""

from __future__ import annotations


class HyperhiveError(Exception):
    """Base of every expected error; its text is shown to the user as it stands."""

    exit_code = 1


class InputError(HyperhiveError):
    """Base of every expected error about data, weights, configurations and devices."""


class UsageError(InputError):
    """The request makes no sense as it stands."""

    exit_code = 2


class ConfigError(UsageError):
    """A trial's configuration is incomplete, has unknown keys, or values out of range."""


class DatasetError(InputError):
    """A data set cannot be read, or is unfit for training."""


class CheckpointError(InputError):
    """Weights are missing, damaged, or differ from what their card describes."""


class DeviceError(InputError):
    """The requested device is missing, or cannot do what it should."""


class SourceError(InputError):
    """A source gives no frames."""


class NoModel(InputError):
    """There is no model to predict with."""


class OutputError(InputError):
    """The results cannot be written."""


class ReadableByOthers(InputError):
    """Other users of this machine can read a file that holds a password."""
