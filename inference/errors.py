"""What predict-cam can be hindered by, each as one sentence that says what to do."""

from model.errors import InputError


class SourceError(InputError):
    """Frames cannot be had from a source."""


class NoModel(InputError):
    """There is no model to label with."""


class OutputError(InputError):
    """What was labelled cannot be written."""
