"""The last lines of a study: the best configuration, how good it is, and where the model lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from hyperhive.coordinator.views.wording import facts, hyperparameters, percent
from hyperhive.model.calibration import CORRECT_KEPT, MEMBERS_KEPT, Calibration, fewest
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
            "calibration": _calibration(card),
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
    known = calibration.members.images if calibration.members else None
    looks = _threshold("membership", calibration.min_membership, known, "training", MEMBERS_KEPT)
    right, least = calibration.correct, calibration.min_confidence
    return f"{looks}; {_threshold('confidence', least, right, 'correct', CORRECT_KEPT)}"


def _threshold(name: str, least: float, images: int | None, which: str, kept: float) -> str:
    """Return a threshold and the number of images that it comes from, or why there is none."""
    if images is None:  # an older hyperhive calibrated
        return f"{name} below {least:.3g}"
    if least == 0 and images < fewest(kept):
        return f"{name} is not used: {images} {which} images, and it takes {fewest(kept)}"
    return f"{name} below {least:.3g} (from {images:,} {which} images)"


def _calibration(card: Card) -> str:
    """Return what the probabilities are divided by, and how wrong they were on the test images."""
    calibration = card.calibration
    if calibration is None:
        return "none"
    chosen = f"temperature {calibration.temperature:.3g}"
    if calibration.validated is not None:
        better = " show no better one" if calibration.temperature == 1 else ""
        chosen += f" ({calibration.validated:,} validation images{better})"
    tested = sum(map(sum, card.confusion or []))
    return (
        f"{chosen}; calibration error on {tested:,} test images "
        f"{percent(calibration.error_after)}, {percent(calibration.error_before)} without it"
    )
