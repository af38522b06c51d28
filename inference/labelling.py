"""From the frames of a source to results."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Iterator, Sequence

import numpy as np

from hyperhive.inference.frames import Frame, Say, Source, batches
from hyperhive.inference.predictor import Prediction, Predictor
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.timings import CAPTURE
from hyperhive.inference.wording import pretty
from hyperhive.model.data.names import class_name


@dataclass(frozen=True, eq=False)
class Result:
    """A frame and its prediction; ``expected`` is the frame's true class, if that is known."""

    frame: Frame
    prediction: Prediction
    expected: str | None = None

    @property
    def agrees(self) -> bool | None:
        """Return whether the label is the expected class; None if none is expected.

        ``unknown`` agrees with no class.
        """
        return None if self.expected is None else self.prediction.label == self.expected

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON: a line of predictions.jsonl."""
        return {
            "frame": self.frame.index,
            "source": self.frame.source,
            "time": self.frame.time,
            "label": self.prediction.label,
            "known": self.prediction.known,
            "probability": self.prediction.probability,
            "reason": None if self.prediction.doubt is None else str(self.prediction.doubt),
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
    """Yield the results of a source's frames as they arrive; the source is closed at the end.

    Args:
        source: where the frames come from.
        predictor: the model.
        stop: ends it early once set.
        left_out: is called with a sentence about each part that could not be read.
        smoother: averages the probabilities of consecutive frames, in live mode.

    Raises ``SourceError`` and ``CheckpointError`` as source and predictor do.
    """
    classes = predictor.card.classes
    with contextlib.closing(source.frames(stop, left_out)) as frames:
        for batch in batches(frames, source.live):
            answers = predictor.assess([frame.image for frame in batch])
            for number, frame in enumerate(batch):
                predictor.timings.add(CAPTURE, frame.took)
                probabilities = answers.probabilities[number]
                membership = answers.memberships[number]
                if smoother is not None and frame.time is not None:
                    both = smoother.smooth(np.append(probabilities, membership), frame.time)
                    probabilities, membership = both[:-1], both[-1]
                prediction = answers.decide(probabilities, float(membership))
                yield Result(frame, prediction, expected_class(frame, classes))


def expected_class(frame: Frame, classes: Sequence[str]) -> str | None:
    """Return the class whose name the frame's folder has, as in ``test/bart_simpson/1.jpg``."""
    if "://" in frame.source:  # a stream's host is not a class
        return None
    folder = pretty(class_name(PurePath(frame.source).parent.name)).casefold()
    return next((name for name in classes if pretty(name).casefold() == folder), None)
