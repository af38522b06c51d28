"""From a source's frames to results, and what a series of results adds up to."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Iterator, Sequence

import numpy as np
from PIL import Image

from hyperhive.inference.drawing.overlay import annotate
from hyperhive.inference.drawing.text import pretty
from hyperhive.inference.frames import Frame, Say, Source, batches
from hyperhive.inference.predictor import Prediction, Predictor
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.timings import CAPTURE


@dataclass(frozen=True)
class Result:
    """A frame and its prediction; ``expected`` is the class it is known to be of, if it is."""

    frame: Frame
    prediction: Prediction
    expected: str | None = None

    @property
    def agrees(self) -> bool | None:
        """Whether the label is the class expected, which ``unknown`` is not; None where none is."""
        return None if self.expected is None else self.prediction.label == self.expected

    @functools.cached_property
    def picture(self) -> Image.Image:
        """The annotated frame; it is drawn when it is first asked for."""
        return annotate(self.frame.image, self.prediction, self.agrees)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON: a line of predictions.jsonl."""
        return {
            "frame": self.frame.index,
            "source": self.frame.source,
            "time": self.frame.time,
            "label": self.prediction.label,
            "known": self.prediction.known,
            "probability": self.prediction.probability,
            "top3": [
                {"label": label, "probability": probability}
                for label, probability in self.prediction.top
            ],
        }


def label(
    source: Source,
    predictor: Predictor,
    stop: threading.Event,
    left_out: Say,
    smoother: Smoother | None = None,
) -> Iterator[Result]:
    """Give the results of a source's frames as they come; what it opened is closed at the end.

    Args:
        source: where the frames come from.
        predictor: what to label them with.
        stop: ends it early once set.
        left_out: is told of what could not be read while the rest goes on.
        smoother: averages what is said of frames that follow each other, in live mode.

    Raises ``SourceError`` and ``CheckpointError`` as these two do.
    """
    classes = predictor.card.classes
    with contextlib.closing(source.frames(stop, left_out)) as frames:
        for batch in batches(frames, source.live):
            *assessed, decide = predictor.assess([frame.image for frame in batch])
            for frame, probabilities, membership in zip(batch, *assessed):
                predictor.timings.add(CAPTURE, frame.took)
                if smoother is not None and frame.time is not None:
                    both = smoother.smooth(np.append(probabilities, membership), frame.time)
                    probabilities, membership = both[:-1], both[-1]
                prediction = decide(probabilities, float(membership))
                yield Result(frame, prediction, expected_class(frame, classes))


def expected_class(frame: Frame, classes: Sequence[str]) -> str | None:
    """Return the class whose name the frame's folder bears, as ``test/bart_simpson/1.jpg``."""
    if "://" in frame.source:  # a host's name is no class
        return None
    folder = pretty(PurePath(frame.source).parent.name).casefold()
    return next((name for name in classes if pretty(name).casefold() == folder), None)


class Tally:
    """Counts results: how many of each label, how sure the model was, how many agree.

    It keeps counts and sums only: live mode runs for days.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = defaultdict(int)
        self._sums: dict[str, float] = defaultdict(float)
        self.frames = 0
        self.agreeing = 0
        self.expected = 0

    def add(self, result: Result) -> None:
        """Count a result."""
        self.frames += 1
        self._counts[result.prediction.label] += 1
        self._sums[result.prediction.label] += result.prediction.probability
        if result.agrees is not None:
            self.expected += 1
            self.agreeing += result.agrees

    def rows(self) -> list[tuple[str, int, float]]:
        """Return each label that was given, how often, with what mean probability; most first."""
        rows = [(label, count, self._sums[label] / count) for label, count in self._counts.items()]
        return sorted(rows, key=lambda row: (-row[1], row[0]))
