"""The picture at the end of a study: images that the model classifies, and the search's history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from hyperhive.coordinator.ranking import ranking
from hyperhive.coordinator.views.study_state import measured
from hyperhive.coordinator.views.wording import hyperparameters, percent
from hyperhive.model.calibration import Calibration
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.metrics import Evaluation
from hyperhive.store.trial import Trial

_COLUMNS, _ROWS = 10, 4
_NAME_LENGTH = 19
_RIGHT, _WRONG, _BEST, _QUIET = "#1a7f37", "#cf222e", "#e3a008", "#6e7781"


@dataclass(frozen=True)
class Answers:
    """A model's predictions on the test split, in the split's order.

    Args:
        predicted: int64 classes ``[N]``.
        known: bool ``[N]``, whether predict-cam would give the class rather than ``unknown``.
        accuracy: the share of all N that are classified correctly, known or not.
    """

    predicted: np.ndarray
    known: np.ndarray
    accuracy: float

    @classmethod
    def of(cls, test: Evaluation, calibration: Calibration, dataset: Dataset) -> Answers:
        """Build them from a model's evaluation on the test split of a data set."""
        probabilities = calibration.probabilities(test.logits)
        membership = calibration.membership(dataset.test_images)
        known = [calibration.knows(*each) for each in zip(probabilities, membership)]
        return cls(test.logits.argmax(axis=1), np.array(known), test.accuracy)


def draw(
    path: Path,
    trials: list[Trial],
    winner: Trial,
    baselines: Mapping[str, float | None],
    dataset: Dataset,
    answers: Answers,
) -> Path:
    """Write a PNG: test images with the predicted classes, and the search's history.

    Args:
        path: where it is written.
        trials: all trials of the search.
        winner: the best of them.
        baselines: the validation accuracy of each by its name, None if it has none.
        dataset: a fixed sample of its test images is shown.
        answers: of the model on the whole test split.
    """
    figure = Figure(figsize=(12, 9.6), layout="constrained")
    FigureCanvasAgg(figure)
    images, history = cast(List[SubFigure], figure.subfigures(2, 1, height_ratios=[1.9, 1]))
    images.suptitle(
        f"{dataset.name}: {percent(answers.accuracy)} of {len(dataset.test_labels):,} unseen "
        "images classified correctly",
        fontsize=15,
        fontweight="bold",
    )
    chosen = np.random.RandomState(0).permutation(len(dataset.test_labels))[: _COLUMNS * _ROWS]
    for axes, index in zip(images.subplots(_ROWS, _COLUMNS).flat, sorted(chosen)):
        _draw_image(axes, dataset, answers, int(index))
    _draw_history(history.subplots(), trials, winner, baselines)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, format="png")
    return path


def _draw_image(axes: Axes, dataset: Dataset, answers: Answers, index: int) -> None:
    image = dataset.test_images[index]
    axes.imshow(image if dataset.channels == 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    predicted = int(answers.predicted[index])
    label = int(dataset.test_labels[index])
    right = predicted == label
    name, truth = _short(dataset.classes[predicted]), _short(dataset.classes[label])
    known = answers.known[index]
    colour = _QUIET if not known else _RIGHT if right else _WRONG
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)
    verdict = f"✓ {name}" if right else f"✗ {name}\nis {truth}"
    if not known:
        verdict = f"unknown\nis {truth}"
    axes.set_title(verdict, fontsize=8, color=colour, pad=3)


def _draw_history(
    axes: Axes, trials: list[Trial], winner: Trial, baselines: Mapping[str, float | None]
) -> None:
    points = sorted((trial.tid, accuracy) for trial, accuracy in measured(ranking(trials)))
    numbers = [tid for tid, _ in points]
    accuracies = [accuracy for _, accuracy in points]
    axes.plot(numbers, accuracies, "o", color="#0969da", alpha=0.75, label="a trial")
    axes.step(
        numbers, np.maximum.accumulate(accuracies), where="post", color=_BEST, label="best so far"
    )
    axes.plot(
        [winner.tid],
        [np.nan if winner.accuracy is None else winner.accuracy],
        "*",
        color=_BEST,
        markersize=18,
        markeredgecolor="black",
        clip_on=False,
        label=f"the best: {hyperparameters(winner)}",
    )
    for (name, accuracy), dashes in zip(baselines.items(), ("--", ":")):
        if accuracy is not None:
            label = f"{name}: {percent(accuracy)}"
            axes.axhline(accuracy, color=_QUIET, linestyle=dashes, label=label)
    axes.set(xlabel="trial", ylabel="validation accuracy", xlim=(-1, len(trials)), ylim=(0, 1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best", fontsize=9)


def _short(name: str) -> str:
    """Return a class name that fits above a thumbnail."""
    name = name.replace("_", " ")
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
