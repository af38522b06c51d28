"""The last lines of a study: the best configuration, how good it is, and where the model lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from hyperhive.common.wording import in_words, percent
from hyperhive.coordinator.planning.recipes import BASELINES, UNTUNED, Baseline
from hyperhive.coordinator.results.repeated import Repeated, repeat_lines
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.coordinator.views.wording import (
    balanced,
    facts,
    hyperparameters,
    judged,
    on_folds,
    on_test_images,
    teacher_in_words,
)
from hyperhive.model.calibration import CORRECT_KEPT, MEMBERS_KEPT, Calibration, fewest
from hyperhive.model.card import Card
from hyperhive.model.model_files import WEIGHTS_FILE
from hyperhive.store.trials.trial import Trial


@dataclass(frozen=True)
class Result:
    """How a study ended.

    Args:
        winner: the best trial of the search.
        untuned_accuracy: of the untuned baseline on the validation images, 0 to 1, if it has one.
        usual_accuracy: the same of the baseline with usual settings.
        tuned_accuracy: the same of the baseline with three numbers tuned.
        drawn: how the search chose its trials, if its plan does not say it: see ``outcome.drawn``.
        finish_reason: the rule that ended the search before its last trial, in words.
        pruned: how many of its trials were ended early, and by which rule.
        card: of the model, with its test accuracy; None if the study has no model.
        answers: what ``figures.classification`` keeps of the model's test.
        folder: holds the weights, their card and, if it was drawn, the picture.
        picture: its file, None if it was not drawn.
        why_no_model: a clause, if a study of images has none.
        weights: the file with the weights of a winner that is no model.
        repeated: what the repeats of the best trials gave, the winner's first.
        teacher: the trial that all others learned from, if there was one.
        report: the file with its figures, or why there is none; None if none was asked for.
        again: whether the study had ended before, so that nothing was run now.
    """

    winner: Trial
    untuned_accuracy: float | None = None
    usual_accuracy: float | None = None
    tuned_accuracy: float | None = None
    drawn: str | None = None
    finish_reason: str | None = None
    pruned: str | None = None
    card: Card | None = None
    answers: dict[str, Any] | None = None
    folder: Path | None = None
    picture: Path | None = None
    why_no_model: str | None = None
    weights: Path | None = None
    repeated: tuple[Repeated, ...] = ()
    teacher: Trial | None = None
    report: str | None = None
    again: bool = False


def baselines(result: Result) -> dict[str, float]:
    """Return the accuracy of each baseline that has one, by its name for people."""
    return {each.name: accuracy for each, accuracy in compared(result)}


def compared(study: Result | StudyState) -> list[tuple[Baseline, float]]:
    """Return the baselines of a study that have an accuracy, each with it."""
    accuracies = (study.untuned_accuracy, study.usual_accuracy, study.tuned_accuracy)
    return [(each, share) for each, share in zip(BASELINES, accuracies) if share is not None]


def story(result: Result, card: Card) -> str:
    """Return what the search was worth, by validation images, from the beginning to its winner.

    ``10.9 % untuned -> 61.3 % with usual settings -> 70.4 % with this search``

    Of a winner that was repeated, the mean of its repeats counts: its luck in the search does not.
    """
    mean = result.repeated[0].accuracy if result.repeated else None
    found, how = (card.validation_accuracy, "") if mean is None else (mean, ", run again")
    steps = [
        f"{percent(share)} {'' if each is UNTUNED else 'with '}{each.name}"
        for each, share in compared(result)
    ]
    return " -> ".join([*steps, f"{percent(found)} with this search{how}"])


def summary(result: Result) -> Text:
    """Return the result as a few lines; print them unwrapped, so that paths can be copied."""
    lines = {"best": f"trial {result.winner.tid}: {_best(result)}"}
    if result.finish_reason is not None:
        lines["ended by"] = result.finish_reason
    if result.pruned is not None:
        lines["pruned"] = result.pruned
    if result.drawn is not None:
        lines["drawn"] = result.drawn
    if result.teacher is not None:
        lines["teacher"] = teacher_in_words(result.teacher)
    lines.update(on_folds(result.winner))
    lines.update(repeat_lines(result.repeated))
    if result.card is None or result.folder is None:
        if result.weights is not None:
            lines["weights"] = str(result.weights)
        if result.why_no_model is not None:
            lines["model"] = f"none for predict-cam: {result.why_no_model}"
    else:
        lines.update(_model(result, result.card, result.folder))
    if result.report is not None:
        lines["report"] = result.report
    notice = "this study had ended before; nothing was run again\n" if result.again else ""
    return Text(notice).append_text(facts(lines))


def _best(result: Result) -> str:
    """Return the winner's hyperparameters, and how good it is where no later line says so."""
    has_mean = bool(result.repeated and result.repeated[0].losses)
    is_said_later = result.card is not None or has_mean
    return hyperparameters(result.winner) if is_said_later else judged(result.winner)


def _model(result: Result, card: Card, folder: Path) -> dict[str, str]:
    is_refit = card.config != result.winner.config
    retrained = " (refitted on training and validation data)" if is_refit else ""
    settings = [f"{each.name}: {in_words(each.values)}" for each, _ in compared(result)]
    return {
        "validation": story(result, card),
        **({"compared": "; ".join(settings)} if settings else {}),
        "test": on_test_images(card, retrained),
        **balanced(card, result.winner),
        "unknown": _unknown(card.calibration),
        "calibration": _calibration(card),
        "model": str(folder / WEIGHTS_FILE),
        "picture": str(result.picture) if result.picture else "none",
        "try it": f"predict-cam --model {folder}",
    }


def _unknown(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            "predict-cam never answers it: the best trial's weights could not be used to "
            "calibrate, or an older hyperhive ended this study"
        )
    members = calibration.members
    known = members.images if members else None
    looks = _threshold("membership", calibration.min_membership, known, "training", MEMBERS_KEPT)
    if members and members.separation is not None and members.photographs is None:
        looks += ", which are too like photographs to be told from them"
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
    return (
        f"{chosen}; calibration error on {card.test_images:,} test images "
        f"{percent(calibration.error_after)}, {percent(calibration.error_before)} without it"
    )
