"""The last words of a study: the best configuration, what it is worth, where it lies."""

from __future__ import annotations

from rich.text import Text

from hyperhive.coordinator.ranking import hyperparameters
from hyperhive.coordinator.run import Result
from hyperhive.model.calibration import Calibration
from hyperhive.model.model_files import WEIGHTS_FILE


def summary(result: Result) -> Text:
    """Return the result as a few lines; print them unwrapped, so that paths can be copied."""
    card = result.card
    retrained = " (refitted on training and validation data)" if card.config["train_on_all"] else ""
    lines = {
        "best": f"trial {result.winner.tid}: {hyperparameters(result.winner)}",
        "untuned": f"{percent(result.untuned_accuracy)} of validation images",
        "tuned": f"{percent(card.validation_accuracy)} of validation images",
        "test": f"{percent(card.test_accuracy)} of test images{retrained}",
        "unknown": _unknown(card.calibration),
        "model": str(result.folder / WEIGHTS_FILE),
        "picture": str(result.picture) if result.picture else "none",
        "try it": f"predict-cam --model {result.folder}",
    }
    text = Text("this study had ended before; nothing was run again\n" if result.again else "")
    for label, said in lines.items():
        text.append(f"{label:<9}", style="dim")
        text.append(said + "\n", style="bold green" if label == "test" else "")
    text.rstrip()
    return text


def _unknown(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            "predict-cam never says it: the best trial's weights could not be used to calibrate, "
            "or an older hyperhive ended this study"
        )
    said = (
        "below {} confidence, or unlike all classes; calibration error on test images {}, before {}"
    )
    return said.format(
        percent(calibration.min_confidence),
        percent(calibration.error_after),
        percent(calibration.error_before),
    )


def percent(share: float | None) -> str:
    """Return a share of 1 as a person reads it."""
    return "unknown" if share is None else f"{share:.1%}"
