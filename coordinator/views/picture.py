"""The picture at the end of a study: images that the model classifies, and the search's history."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ticker import MaxNLocator
from PIL import ImageFont

from hyperhive.common import files, fonts
from hyperhive.common.text import printable
from hyperhive.common.wording import percent
from hyperhive.coordinator.ranking import ranking
from hyperhive.coordinator.results.tally import measured
from hyperhive.coordinator.views.wording import hyperparameters, interval
from hyperhive.model.calibration import Calibration
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.metrics import Evaluation
from hyperhive.store.trials.trial import Trial

_COLUMNS, _ROWS = 10, 4
_WIDTH, _DPI, _GAP = 1200, 100, 10
"""Pixels, pixels per inch, and the pixels between two titles."""

_FAMILY = "DejaVu Sans"
_FONT = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{_FAMILY.replace(' ', '')}.ttf")
"""Matplotlib's own font. It has the signs of a verdict."""

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
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(), files.replacing(path) as partial:
        matplotlib.rcdefaults()  # a user's own settings may need LaTeX, or fonts of theirs
        figure = Figure(figsize=(_WIDTH / _DPI, 9.6), dpi=_DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        images, history = cast(List[SubFigure], figure.subfigures(2, 1, height_ratios=[1.9, 1]))
        _draw_images(images, canvas, dataset, answers)
        _draw_history(history.subplots(), Lettering(canvas, 9), trials, winner, baselines)
        figure.savefig(partial, format="png")
    return path


def _draw_images(
    figure: SubFigure, canvas: FigureCanvasAgg, dataset: Dataset, answers: Answers
) -> None:
    count = len(dataset.test_labels)
    said = (
        f"{percent(answers.accuracy)} of {count:,} unseen images classified correctly "
        f"({interval(answers.accuracy, count)})"
    )
    title = Lettering(canvas, 15, "bold")
    room = _WIDTH - 2 * _GAP - title.width(f": {said}")
    figure.suptitle(f"{title.fitted(dataset.name, room)}: {said}", fontproperties=title.font)
    chosen = np.random.RandomState(0).permutation(len(dataset.test_labels))[: _COLUMNS * _ROWS]
    for axes, index in zip(figure.subplots(_ROWS, _COLUMNS).flat, sorted(chosen)):
        _draw_image(axes, Lettering(canvas, 8), dataset, answers, int(index))


def _draw_image(
    axes: Axes, letters: Lettering, dataset: Dataset, answers: Answers, index: int
) -> None:
    image = dataset.test_images[index]
    axes.imshow(image if dataset.channels == 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)
    for axis in (axes.xaxis, axes.yaxis):  # one without ticks would be laid out all the same
        axis.set_visible(False)
    predicted = int(answers.predicted[index])
    label = int(dataset.test_labels[index])
    right = predicted == label
    known = answers.known[index]
    colour = _QUIET if not known else _RIGHT if right else _WRONG
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)
    answer = ("✓ " if right else "✗ ", dataset.classes[predicted]) if known else ("unknown", "")
    truth = ("is ", dataset.classes[label])
    said = [answer] if known and right else [answer, truth]
    room = _WIDTH / _COLUMNS - _GAP
    lines = [before + letters.fitted(name, room - letters.width(before)) for before, name in said]
    axes.set_title("\n".join(lines), color=colour, pad=3, fontproperties=letters.font)


def _draw_history(
    axes: Axes,
    letters: Lettering,
    trials: list[Trial],
    winner: Trial,
    baselines: Mapping[str, float | None],
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
        label=textwrap.fill(letters.fitted(f"the best: {hyperparameters(winner)}", _WIDTH), 60),
    )
    for (name, accuracy), dashes in zip(baselines.items(), ("--", ":")):
        if accuracy is not None:
            label = f"{name}: {percent(accuracy)}"
            axes.axhline(accuracy, color=_QUIET, linestyle=dashes, label=label)
    axes.set(xlabel="trial", ylabel="validation accuracy", xlim=(-1, len(trials)), ylim=(0, 1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # Above the plot: inside it would hide trials.
    font = letters.font
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=5, frameon=False, prop=font)


class Lettering:
    """Text that stays within a width, in fonts that have its letters.

    Args:
        canvas: measures text.
        size: of the letters, in points.
        weight: as Matplotlib calls it.
    """

    def __init__(self, canvas: FigureCanvasAgg, size: float, weight: str = "normal") -> None:
        self._renderer = canvas.get_renderer()
        self._families = [_FAMILY]
        self._size = size
        self._weight = weight

    @property
    def font(self) -> FontProperties:
        """The font that has the letters of all text that was fitted."""
        return FontProperties(family=self._families, size=self._size, weight=self._weight)

    def width(self, text: str) -> float:
        """Return the width of text, in pixels."""
        width, _, _ = self._renderer.get_text_width_height_descent(text, self.font, ismath=False)
        return float(width)

    def fitted(self, name: str, room: float) -> str:
        """Return a name as Matplotlib draws it literally; its middle is cut to fit, in pixels."""
        name = self._drawable(printable(name.replace("_", " ")))
        shown, letters = name, min(len(name), int(room))
        while self.width(shown) > room and letters > 2:
            letters -= 1
            shown = f"{name[: -(-letters // 2)].rstrip()}…{name[-(letters // 2) :].lstrip()}"
        return shown.replace("$", r"\$")  # between two of them it would read a formula

    def _drawable(self, name: str) -> str:
        """Return a name with what no font has escaped, and have its font used."""
        lacks = fonts.lacking(_FONT, name)
        if not lacks:
            return name
        font = fonts.font_with(name)
        if font is None:
            return fonts.escaped(name, lacks)
        fontManager.addfont(font)
        self._families.append(FontProperties(fname=font).get_name())
        return name
