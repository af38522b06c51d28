"""How a model classifies pictures."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Callable, NamedTuple, Sequence

import numpy as np

from hyperhive.inference.timings import INFER, PREPROCESS, Timings
from hyperhive.model.calibration import PLAIN, Calibration, Doubt, Thresholds, require_finite
from hyperhive.model.card import Card
from hyperhive.model.data.images import fit
from hyperhive.model.engines.choice import Engine

TOP = 3

UNKNOWN = "unknown"
"""The label of a picture that seems to show none of the classes. If a class has this name too,
``Prediction.known`` tells the two apart."""

_ENLARGEMENTS = (1.3, 1.6, 2.0)

_SURE_MEMBER = 0.2
"""Least membership of an enlarged picture that counts as a member. Of drawn shapes that filled half
to two thirds of the square and were unknown, 9 of 10 have it at one of the enlargements; of
strangers hardly any (``benchmarks/small_sets.py``)."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one picture.

    ``top`` holds the three likeliest classes with their probabilities, best first; a model of two
    classes has two. ``doubt`` says why the first of them is not reliable; None where it is. With a
    doubt ``top`` may be empty, because nothing was classified. Raises ``ValueError`` for anything
    else.
    """

    top: tuple[tuple[str, float], ...]
    doubt: Doubt | None = None

    def __post_init__(self) -> None:
        shares = [probability for _, probability in self.top]
        if not (shares or self.doubt) or shares != sorted(shares, reverse=True):
            raise ValueError(f"not in falling order: {self.top}")
        if not (min(shares, default=0) >= 0 and sum(shares) <= 1 + 1e-4):
            raise ValueError(f"not probabilities: {self.top}")

    @property
    def known(self) -> bool:
        """Whether the likeliest class is reliable."""
        return self.doubt is None

    @property
    def label(self) -> str:
        """The likeliest class, or ``unknown``."""
        return self.top[0][0] if self.known else UNKNOWN

    @property
    def probability(self) -> float:
        """The likeliest class's probability, also where the label is ``unknown``; 0 of no class."""
        return self.top[0][1] if self.top else 0.0


@dataclass(frozen=True)
class Assessment:
    """What a model answers for N pictures, before it is decided what to say.

    ``probabilities`` is float32 ``[N, classes]`` in the card's order. ``memberships`` is float32
    ``[N]`` from 0 to 1: how much each picture looks as if it showed any of the classes. Both may be
    averaged over frames; then ``decide`` turns those of one picture into a prediction, by the
    thresholds of the model that gave them.
    """

    probabilities: np.ndarray
    memberships: np.ndarray
    decide: Callable[[np.ndarray, float], Prediction]


class Closer(NamedTuple):
    """What a picture would be if it were ``times`` as large."""

    times: float
    prediction: Prediction


@dataclass(frozen=True)
class _Model:
    engine: Engine
    card: Card
    calibration: Calibration

    def answers(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities and memberships for uint8 ``[N, S, S, C]``."""
        logits = self.engine.run(pictures)
        require_finite(logits)
        return self.calibration.probabilities(logits), self.calibration.membership(pictures)

    def input_of(self, image: np.ndarray) -> np.ndarray:
        """Return what it sees of a picture, uint8 RGB ``[H, W, 3]``: uint8 ``[S, S, C]``."""
        return fit(image, self.card.channels, self.card.image_size)


class Predictor:
    """A model with its card, ready for pictures of any size; ``timings`` holds its times so far.

    Args:
        engine: computes the model of the card.
        card: holds the classes, the channels and the calibration. Without a calibration the
            probabilities are plain softmax, and no picture is ``unknown``.
    """

    def __init__(self, engine: Engine, card: Card) -> None:
        self.timings = Timings()
        self._model = _Model(engine, card, card.calibration or PLAIN)
        self._thresholds = Thresholds()

    def use_thresholds(self, thresholds: Thresholds) -> None:
        """Apply these from now on, whatever model answers."""
        self._thresholds = thresholds

    @property
    def card(self) -> Card:
        """The card of the model that answers now."""
        return self._model.card

    def become(self, other: Predictor) -> None:
        """Answer with another predictor's model from the next pictures on; any thread may call."""
        self._model = other._model

    def predict(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Return a prediction for each picture; see ``assess``."""
        answers = self.assess(images)
        rows = zip(answers.probabilities, answers.memberships)
        return [answers.decide(probabilities, membership) for probabilities, membership in rows]

    def assess(self, images: Sequence[np.ndarray]) -> Assessment:
        """Return what the model answers for pictures, which are prepared like training images.

        Args:
            images: one or more, uint8 RGB ``[H, W, 3]``; sizes may differ.

        Raises ``CheckpointError`` if the model's answers are not finite numbers.
        """
        model = self._model  # once: another thread may replace it in the meantime
        with self.timings.measure(PREPROCESS, len(images)):
            pictures = np.stack([model.input_of(image) for image in images])
        with self.timings.measure(INFER, len(images)):
            probabilities, memberships = model.answers(pictures)
        calibration = self._thresholds.replacing(model.calibration)
        decide = functools.partial(_decide, model.card, calibration)
        return Assessment(probabilities, memberships, decide)

    def closer(self, image: np.ndarray) -> Closer | None:
        """Return the answer for a picture enlarged 1.3, 1.6 or 2 times, if it is clearly a member.

        It takes as long as three pictures do, and no timing counts it. It is None also for a
        picture that is too small to be enlarged.

        Args:
            image: uint8 RGB ``[H, W, 3]``, whose answer is ``unknown`` by its membership.
        """
        model = self._model
        height, width = image.shape[:2]
        sides = [int(min(height, width) / times) for times in _ENLARGEMENTS]
        if min(sides) < model.card.image_size:
            return None
        corners = [((height - side) // 2, (width - side) // 2) for side in sides]
        crops = [image[y : y + side, x : x + side] for side, (y, x) in zip(sides, corners)]
        pictures = np.stack([model.input_of(crop) for crop in crops])
        probabilities, memberships = model.answers(pictures)
        best = int(memberships.argmax())
        calibration = self._thresholds.replacing(model.calibration)
        prediction = _decide(model.card, calibration, probabilities[best], float(memberships[best]))
        if memberships[best] < _SURE_MEMBER or not prediction.known:
            return None
        return Closer(_ENLARGEMENTS[best], prediction)

    def input_of(self, image: np.ndarray) -> np.ndarray:
        """Return what the model sees of a picture: uint8 ``[S, S, channels]``."""
        return self._model.input_of(image)


def _decide(
    card: Card, calibration: Calibration, probabilities: np.ndarray, membership: float
) -> Prediction:
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    top = tuple((card.classes[i], float(probabilities[i])) for i in order)
    return Prediction(top, calibration.doubt(probabilities, membership))
