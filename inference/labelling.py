"""From the frames of a source to results."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Iterator, NamedTuple, Protocol, Sequence

import numpy as np

from hyperhive.inference.frames import Frame, Say, Source, batches
from hyperhive.inference.predictor import Prediction, Predictor
from hyperhive.inference.sight.guide import Guide
from hyperhive.inference.sight.square import FULL, Box
from hyperhive.inference.smoothing import Smoother
from hyperhive.inference.timings import CAPTURE, FIND
from hyperhive.inference.wording import pretty
from hyperhive.model.calibration import Doubt
from hyperhive.model.data.names import class_name


class Sight(Protocol):
    """Where the model looks in each picture."""

    finds_faces: bool

    def boxes(self, image: np.ndarray) -> list[Box]:
        """Return what to classify of a picture, uint8 RGB ``[H, W, 3]``: one box, or any number."""
        ...


@dataclass(frozen=True)
class _NoNumber(Doubt):
    """Why a picture that no model has seen has no label."""

    sentence: str

    @property
    def why(self) -> str:
        """Return the reason."""
        return self.sentence

    def __str__(self) -> str:
        """Return the reason, which has no numbers."""
        return self.sentence


NO_FACE = Prediction((), _NoNumber("face", 0.0, 1.0, "no face was found"))
"""The answer for a picture in which ``--faces`` found none."""

NOTHING_LEARNED = Prediction((), _NoNumber("model", 0.0, 1.0, "nothing is learned yet"))
"""The answer for a picture while ``--teach`` has no model."""


class Answer(NamedTuple):
    """What the model says of a part of a picture."""

    box: Box
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class Result:
    """A frame and its prediction.

    Args:
        frame: the picture.
        prediction: for what the model saw of it; of several faces for the largest, and ``NO_FACE``
            without any.
        expected: the frame's true class, if that is known.
        box: what the model saw of the picture; None is the largest square in the middle.
        faces: with ``--faces`` the answer for each, the largest first; else None.
    """

    frame: Frame
    prediction: Prediction
    expected: str | None = None
    box: Box | None = None
    faces: tuple[Answer, ...] | None = None

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Each part of the picture that the model saw, with its prediction.

        It is one part, and with ``--faces`` one for each face, the largest first, or none. A part's
        pixels are ``answer.box.cut(result.frame.image)``.
        """
        if self.faces is not None:
            return self.faces
        height, width = self.frame.image.shape[:2]
        return (Answer(self.box or FULL.box(width, height), self.prediction),)

    @property
    def seen(self) -> np.ndarray | None:
        """The pixels that ``prediction`` is about, uint8 RGB ``[S, S, 3]``; None without a face."""
        answers = self.answers
        return answers[0].box.cut(self.frame.image) if answers else None

    @property
    def caption(self) -> str:
        """What a person reads: the label, the labels of all faces, or that there is no face."""
        labels = sorted(pretty(answer.prediction.label) for answer in self.answers)
        return ", ".join(labels) or "no face"

    @property
    def agrees(self) -> bool | None:
        """Return whether the label is the expected class; None if none is expected.

        ``unknown`` agrees with no class.
        """
        return None if self.expected is None else self.prediction.label == self.expected

    def to_json(self) -> dict[str, Any]:
        """Return the prediction as plain JSON: a line of predictions.jsonl."""
        return self.lines()[0]

    def lines(self) -> list[dict[str, Any]]:
        """Return each line of predictions.jsonl: one, and with ``--faces`` one for each face.

        A picture without a face has a line with the same keys, whose box is null.
        """
        lines = [self._line(answer.prediction, [*answer.box]) for answer in self.answers]
        return lines or [self._line(NO_FACE, None)]

    def _line(self, prediction: Prediction, box: list[int] | None) -> dict[str, Any]:
        return {
            "frame": self.frame.index,
            "source": self.frame.source,
            "time": self.frame.time,
            "label": prediction.label,
            "known": prediction.known,
            "probability": prediction.probability,
            "reason": None if prediction.doubt is None else str(prediction.doubt),
            "top3": [
                {"label": label, "probability": probability}
                for label, probability in prediction.top
            ],
            "box": box,
        }


def label(
    source: Source,
    predictor: Predictor,
    stop: threading.Event,
    left_out: Say,
    smoother: Smoother | None = None,
    sight: Sight | None = None,
) -> Iterator[Result]:
    """Yield the results of a source's frames as they arrive; the source is closed at the end.

    Args:
        source: where the frames come from.
        predictor: the model.
        stop: ends it early once set.
        left_out: is called with a sentence about each part that could not be read.
        smoother: averages the probabilities of consecutive frames, in live mode; not those of
            faces, which come and go.
        sight: where the model looks; None is the largest square in the middle.

    Raises ``SourceError`` and ``CheckpointError`` as source and predictor do.
    """
    sight = sight or Guide()
    with contextlib.closing(source.frames(stop, left_out)) as frames:
        for batch in batches(frames, source.live):
            for frame in batch:
                predictor.timings.add(CAPTURE, frame.took)
            if sight.finds_faces:
                yield from _with_faces(batch, predictor, sight)
            else:
                boxes = [sight.boxes(frame.image)[0] for frame in batch]
                yield from answered(batch, boxes, predictor, smoother)


def answered(
    batch: Sequence[Frame], boxes: Sequence[Box], predictor: Predictor, smoother: Smoother | None
) -> Iterator[Result]:
    """Yield the result of each frame: what the model says of its box; see ``label``."""
    classes = predictor.card.classes
    answers = predictor.assess([box.cut(frame.image) for box, frame in zip(boxes, batch)])
    for number, (frame, box) in enumerate(zip(batch, boxes)):
        probabilities = answers.probabilities[number]
        membership = answers.memberships[number]
        if smoother is not None and frame.time is not None:
            both = smoother.smooth(np.append(probabilities, membership), frame.time)
            probabilities, membership = both[:-1], both[-1]
        prediction = answers.decide(probabilities, float(membership))
        yield Result(frame, prediction, expected_class(frame, classes), box)


def _with_faces(batch: list[Frame], predictor: Predictor, sight: Sight) -> Iterator[Result]:
    """Yield a result for each frame; it may show several classes, so its folder names none."""
    for frame in batch:
        with predictor.timings.measure(FIND):
            boxes = sight.boxes(frame.image)
        crops = [box.cut(frame.image) for box in boxes]
        faces = tuple(map(Answer, boxes, predictor.predict(crops))) if crops else ()
        yield Result(frame, faces[0].prediction if faces else NO_FACE, faces=faces)


def expected_class(frame: Frame, classes: Sequence[str]) -> str | None:
    """Return the class whose name the frame's folder has, as in ``test/bart_simpson/1.jpg``."""
    if "://" in frame.source:  # a stream's host is not a class
        return None
    folder = pretty(class_name(PurePath(frame.source).parent.name)).casefold()
    return next((name for name in classes if pretty(name).casefold() == folder), None)
