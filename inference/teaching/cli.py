"""The options of predict-cam that teach. Nothing heavy is imported."""

from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.errors import UsageError
from hyperhive.inference.teaching.settings import DEFAULT_BURST, DEFAULT_TRIALS, TeachSettings

_TEACH = typer.Option(
    None,
    metavar="DIR",
    help="Take pictures of your own things, and learn them in the background: hold a number to "
    "take pictures for a class, in the window, the terminal or on the page of --serve. DIR has a "
    "folder for each class.",
)
_TRIALS = typer.Option(
    None,
    metavar="N",
    show_default=f"{DEFAULT_TRIALS}",
    help="With --teach: how many configurations to try whenever new pictures are learned.",
)
_BURST = typer.Option(
    None,
    metavar="N",
    show_default=f"{DEFAULT_BURST}",
    help="With --teach: how many pictures a key takes, one after the other.",
)


def teach(
    teach: Optional[Path] = _TEACH,
    trials: Optional[int] = _TRIALS,
    burst: Optional[int] = _BURST,
) -> Optional[TeachSettings]:
    """Return what these options ask for; raises ``UsageError`` for what makes no sense."""
    if teach is None:
        if (trials, burst) != (None, None):
            raise UsageError("--trials and --burst need --teach DIR")
        return None
    return TeachSettings(
        teach,
        DEFAULT_TRIALS if trials is None else trials,
        DEFAULT_BURST if burst is None else burst,
    )
