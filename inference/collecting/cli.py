"""The options of predict-cam that collect pictures. Nothing heavy is imported."""

from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.errors import UsageError
from hyperhive.inference.collecting.settings import (
    DEFAULT_KEPT,
    DEFAULT_MOST,
    CollectSettings,
    KeepSettings,
    SortSettings,
)

_KEEP = typer.Option(
    None,
    metavar="unknown|below=SHARE",
    help="Keep the square of each frame that is unknown, or whose likeliest class has a smaller "
    "probability, for --label. Pictures that look the same are kept once.",
)
_AT_MOST = typer.Option(
    None,
    metavar="N/hour",
    show_default=DEFAULT_MOST,
    help="With --keep: the largest number of pictures to keep in an hour.",
)
_KEEP_IN = typer.Option(
    None, metavar="DIR", show_default=str(DEFAULT_KEPT), help="With --keep: where to keep them."
)
_SAVE_CROPS = typer.Option(
    False,
    "--save-crops",
    help="Write the square of each written frame too, to crops/LABEL/ in the output folder.",
)
_LABEL = typer.Option(
    None,
    metavar="DIR",
    help="Go through the pictures that --keep kept, with one key each, in the terminal or with "
    "--show in a window; nothing is classified.",
)
_INTO = typer.Option(
    None, metavar="DIR", help="With --label: the folder with the class folders to move them into."
)


def collect(
    keep: Optional[str] = _KEEP,
    at_most: Optional[str] = _AT_MOST,
    keep_in: Optional[Path] = _KEEP_IN,
    save_crops: bool = _SAVE_CROPS,
    label: Optional[Path] = _LABEL,
    into: Optional[Path] = _INTO,
) -> CollectSettings:
    """Return what these options ask for; raises ``UsageError`` for what makes no sense."""
    if keep is None and (at_most is not None or keep_in is not None):
        raise UsageError("--at-most and --keep-in need --keep unknown, or --keep below=0.6")
    if label is not None and (keep is not None or save_crops):
        raise UsageError("--label classifies nothing: omit --keep and --save-crops")
    if (label is None) != (into is None):
        raise UsageError(
            "--label and --into belong together: predict-cam --label kept/ --into my-things/"
        )
    return CollectSettings(
        KeepSettings.parse(keep, at_most or DEFAULT_MOST, keep_in or DEFAULT_KEPT)
        if keep is not None
        else None,
        save_crops,
        SortSettings(label, into) if label is not None and into is not None else None,
    )
