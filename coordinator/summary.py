"""The last words of a study: the best configuration, what it is worth, where it lies."""

from typing import Optional

from rich.text import Text

from coordinator.ranking import hyperparameters
from coordinator.run import Result
from model.calibration import Calibration
from model.card import WEIGHTS_FILE


def summary(result: Result) -> Text:
    """Return the result as a few lines; print them unwrapped, so that paths can be copied."""
    card = result.card
    retrained = " (refitted on training and validation data)" if card.config["train_on_all"] else ""
    lines = {
        "best": "trial {}: {}".format(result.winner.tid, hyperparameters(result.winner)),
        "untuned": "{} of validation images".format(percent(result.untuned_accuracy)),
        "tuned": "{} of validation images".format(percent(card.validation_accuracy)),
        "test": "{} of test images{}".format(percent(card.test_accuracy), retrained),
        "unknown": _unknown(card.calibration),
        "model": str(result.folder / WEIGHTS_FILE),
        "picture": str(result.picture) if result.picture else "none",
        "try it": "predict-cam --model {}".format(result.folder),
    }
    text = Text("this study had ended before; nothing was run again\n" if result.again else "")
    for label, said in lines.items():
        text.append("{:<9}".format(label), style="dim")
        text.append(said + "\n", style="bold green" if label == "test" else "")
    text.rstrip()
    return text


def _unknown(calibration: Optional[Calibration]) -> str:
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


def percent(share: Optional[float]) -> str:
    """Return a share of 1 as a person reads it."""
    return "unknown" if share is None else "{:.1%}".format(share)
