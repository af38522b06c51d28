"""What can be wrong with what a person gives us, each as one sentence that says what to do."""


class InputError(Exception):
    """Base of every expected error about data, weights, configurations and devices."""

    exit_code = 1


class UsageError(InputError):
    """What was asked for makes no sense as it stands."""

    exit_code = 2


class DatasetError(InputError):
    """A data set cannot be read, or not trained on."""


class CheckpointError(InputError):
    """Weights are missing, damaged, or not those their card describes."""


class DeviceError(InputError):
    """The device that was asked for is not there, or cannot do what it should."""


class ConfigError(UsageError):
    """A trial's configuration is incomplete, has unknown keys, or values out of range."""
