"""The picture at the end of a study: what the model says of images it never saw, and the search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from hyperhive.common.values import number
from hyperhive.coordinator.ranking import hyperparameters, ranking
from hyperhive.model.calibration import Calibration
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.metrics import Evaluation
from hyperhive.store.trial import Trial

_COLUMNS, _ROWS = 10, 4
_NAME_LENGTH = 19
_RIGHT, _WRONG, _BEST, _QUIET = "#1a7f37", "#cf222e", "#e3a008", "#6e7781"


@dataclass(frozen=True)
class Answers:
    """What a model says of the test split, in its order.

    ``predicted`` are int64 classes ``[N]``, ``known`` bool ``[N]``: whether predict-cam would say
    them. ``accuracy`` is the share of all that were predicted rightly, said or not.
    """

    predicted: np.ndarray
    known: np.ndarray
    accuracy: float

    @classmethod
    def of(cls, test: Evaluation, calibration: Calibration, dataset: Dataset) -> Answers:
        """Return those of a model by its evaluation on a data set's test split."""
        probabilities = calibration.probabilities(test.logits)
        membership = calibration.membership(dataset.test_images)
        known = [calibration.knows(*each) for each in zip(probabilities, membership)]
        return cls(test.logits.argmax(axis=1), np.array(known), test.accuracy)


def draw(
    path: Path,
    trials: list[Trial],
    winner: Trial,
    untuned: float | None,
    dataset: Dataset,
    answers: Answers,
) -> Path:
    """Write a PNG: test images with the names the model gives them, and the search's history.

    Args:
        trials: all trials of the search.
        winner: the best of them.
        untuned: validation accuracy of the baseline, if it has one.
        dataset: its test images are shown, a fixed draw of them.
        answers: of the model on the whole test split.
    """
    figure = Figure(figsize=(12, 9.6), layout="constrained")
    FigureCanvasAgg(figure)
    images, history = cast(List[SubFigure], figure.subfigures(2, 1, height_ratios=[1.9, 1]))
    images.suptitle(
        f"{dataset.name}: {answers.accuracy:.1%} of {len(dataset.test_labels):,} unseen "
        "images named rightly",
        fontsize=15,
        fontweight="bold",
    )
    chosen = np.random.RandomState(0).permutation(len(dataset.test_labels))[: _COLUMNS * _ROWS]
    for axes, index in zip(images.subplots(_ROWS, _COLUMNS).flat, sorted(chosen)):
        _draw_image(axes, dataset, answers, int(index))
    _draw_history(history.subplots(), trials, winner, untuned)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, format="png")
    return path


def _draw_image(axes: Axes, dataset: Dataset, answers: Answers, index: int) -> None:
    image = dataset.test_images[index]
    axes.imshow(image if dataset.channels == 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    predicted = int(answers.predicted[index])
    right = predicted == dataset.test_labels[index]
    said, truth = (_short(dataset.classes[n]) for n in (predicted, dataset.test_labels[index]))
    known = answers.known[index]
    colour = _QUIET if not known else _RIGHT if right else _WRONG
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)
    verdict = "✓ " + said if right else f"✗ {said}\nis {truth}"
    if not known:
        verdict = f"unknown\nis {truth}"
    axes.set_title(verdict, fontsize=8, color=colour, pad=3)


def _draw_history(axes: Axes, trials: list[Trial], winner: Trial, untuned: float | None) -> None:
    measured = {
        trial.tid: accuracy
        for trial in sorted(ranking(trials), key=lambda trial: trial.tid)
        for accuracy in [number(trial.result.get("validation_accuracy"))]
        if accuracy is not None  # it diverged before it could be
    }
    numbers, accuracies = list(measured), list(measured.values())
    axes.plot(numbers, accuracies, "o", color="#0969da", alpha=0.75, label="a trial")
    axes.step(
        numbers, np.maximum.accumulate(accuracies), where="post", color=_BEST, label="best so far"
    )
    axes.plot(
        [winner.tid],
        [winner.result["validation_accuracy"]],
        "*",
        color=_BEST,
        markersize=18,
        markeredgecolor="black",
        clip_on=False,
        label=f"the best: {hyperparameters(winner)}",
    )
    if untuned is not None:
        axes.axhline(untuned, color=_QUIET, linestyle="--", label=f"untuned: {untuned:.1%}")
    axes.set(xlabel="trial", ylabel="validation accuracy", xlim=(-1, len(trials)), ylim=(0, 1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best", fontsize=9)


def _short(name: str) -> str:
    """Return a class name that fits above a thumbnail."""
    name = name.replace("_", " ")
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
