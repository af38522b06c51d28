"""From a source's frames to results, and what a series of results adds up to."""

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from inference.frames import Frame, Say, Source, batches
from inference.predictor import Prediction, Predictor
from inference.text import pretty


@dataclass(frozen=True)
class Result:
    """A frame and its prediction; ``expected`` is the class it is known to be of, if it is."""

    frame: Frame
    prediction: Prediction
    expected: Optional[str] = None

    @property
    def agrees(self) -> Optional[bool]:
        """Whether the label is the class expected, which ``unknown`` is not; None where none is."""
        return None if self.expected is None else self.prediction.label == self.expected

    def to_json(self) -> Dict[str, Any]:
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
    source: Source, predictor: Predictor, stop: threading.Event, left_out: Say
) -> Iterator[Result]:
    """Give the results of a source's frames as they come; what it opened is closed at the end.

    Args:
        source: where the frames come from.
        predictor: what to label them with.
        stop: ends it early once set.
        left_out: is told of what could not be read while the rest goes on.

    Raises ``SourceError`` and ``CheckpointError`` as these two do.
    """
    classes = predictor.card.classes
    with contextlib.closing(source.frames(stop, left_out)) as frames:
        for batch in batches(frames, source.live):
            predictions = predictor.predict([frame.image for frame in batch])
            for frame, prediction in zip(batch, predictions):
                yield Result(frame, prediction, expected_class(frame, classes))


def expected_class(frame: Frame, classes: Sequence[str]) -> Optional[str]:
    """Return the class whose name the frame's folder bears, as ``test/bart_simpson/1.jpg``."""
    folder = pretty(PurePath(frame.source).parent.name).casefold()
    return next((name for name in classes if pretty(name).casefold() == folder), None)


class Tally:
    """Counts results: how many of each label, how sure the model was, how many agree."""

    def __init__(self) -> None:
        self._probabilities: Dict[str, List[float]] = defaultdict(list)
        self.agreeing = 0
        self.expected = 0

    def add(self, result: Result) -> None:
        """Count a result."""
        self._probabilities[result.prediction.label].append(result.prediction.probability)
        if result.agrees is not None:
            self.expected += 1
            self.agreeing += result.agrees

    @property
    def frames(self) -> int:
        """How many results were counted."""
        return sum(map(len, self._probabilities.values()))

    def rows(self) -> List[Tuple[str, int, float]]:
        """Return each label that was given, how often, with what mean probability; most first."""
        rows = [
            (label, len(given), sum(given) / len(given))
            for label, given in self._probabilities.items()
        ]
        return sorted(rows, key=lambda row: (-row[1], row[0]))
