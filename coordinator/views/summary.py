"""The last lines of a study: the best configuration, how good it is, and where the model lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from hyperhive.common.wording import percent
from hyperhive.coordinator.views.wording import facts, hyperparameters
from hyperhive.model.calibration import Calibration
from hyperhive.model.card import Card
from hyperhive.model.model_files import WEIGHTS_FILE
from hyperhive.store.trial import Trial


@dataclass(frozen=True)
class Result:
    """How a study ended.

    Args:
        winner: the best trial of the search.
        card: of the model, with its test accuracy.
        untuned_accuracy: of the baseline on the validation images, 0 to 1, if it has one.
        folder: holds the weights, their card and, if it was drawn, the picture.
        picture: its file, None if it was not drawn.
        again: whether the study had ended before, so that nothing was run now.
    """

    winner: Trial
    card: Card
    untuned_accuracy: float | None
    folder: Path
    picture: Path | None
    again: bool = False


def summary(result: Result) -> Text:
    """Return the result as a few lines; print them unwrapped, so that paths can be copied."""
    card = result.card
    retrained = " (refitted on training and validation data)" if card.config["train_on_all"] else ""
    lines = facts(
        {
            "best": f"trial {result.winner.tid}: {hyperparameters(result.winner)}",
            "untuned": f"{percent(result.untuned_accuracy)} of validation images",
            "tuned": f"{percent(card.validation_accuracy)} of validation images",
            "test": f"{percent(card.test_accuracy)} of test images{retrained}",
            "unknown": _unknown(card.calibration),
            "model": str(result.folder / WEIGHTS_FILE),
            "picture": str(result.picture) if result.picture else "none",
            "try it": f"predict-cam --model {result.folder}",
        }
    )
    notice = "this study had ended before; nothing was run again\n" if result.again else ""
    return Text(notice).append_text(lines)


def _unknown(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            "predict-cam never answers it: the best trial's weights could not be used to "
            "calibrate, or an older hyperhive ended this study"
        )
    return (
        f"below {percent(calibration.min_confidence)} confidence, or unlike all classes; "
        f"calibration error on test images {percent(calibration.error_after)}, "
        f"{percent(calibration.error_before)} without calibration"
    )
