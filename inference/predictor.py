"""How a model classifies pictures."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Callable, Sequence

import numpy as np

from hyperhive.inference.timings import INFER, PREPROCESS, Timings
from hyperhive.model.calibration import PLAIN, Calibration, Thresholds, require_finite
from hyperhive.model.card import Card
from hyperhive.model.data.images import fit
from hyperhive.model.engines.choice import Engine

TOP = 3

UNKNOWN = "unknown"
"""The label of a picture that seems to show none of the classes. If a class has this name too,
``Prediction.known`` tells the two apart."""


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one picture.

    ``top`` holds the three likeliest classes with their probabilities, best first; a model of two
    classes has two. ``known`` is False where the first of them is not reliable. Raises
    ``ValueError`` for anything else.
    """

    top: tuple[tuple[str, float], ...]
    known: bool = True

    def __post_init__(self) -> None:
        shares = [probability for _, probability in self.top]
        if not shares or shares != sorted(shares, reverse=True):
            raise ValueError(f"not in falling order: {self.top}")
        if not (shares[-1] >= 0 and sum(shares) <= 1 + 1e-4):
            raise ValueError(f"not probabilities: {self.top}")

    @property
    def label(self) -> str:
        """The likeliest class, or ``unknown``."""
        return self.top[0][0] if self.known else UNKNOWN

    @property
    def probability(self) -> float:
        """The likeliest class's probability, also where the label is ``unknown``."""
        return self.top[0][1]


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


@dataclass(frozen=True)
class _Model:
    engine: Engine
    card: Card
    calibration: Calibration


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
            pictures = np.stack([fit(image, model.card.channels) for image in images])
        with self.timings.measure(INFER, len(images)):
            logits = model.engine.run(pictures)
            require_finite(logits)
            probabilities = model.calibration.probabilities(logits)
            memberships = model.calibration.membership(pictures)
        calibration = self._thresholds.replacing(model.calibration)
        decide = functools.partial(_decide, model.card, calibration)
        return Assessment(probabilities, memberships, decide)

    def input_of(self, image: np.ndarray) -> np.ndarray:
        """Return what the model sees of a picture: uint8 ``[28, 28, channels]``."""
        return fit(image, self.card.channels)


def _decide(
    card: Card, calibration: Calibration, probabilities: np.ndarray, membership: float
) -> Prediction:
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    top = tuple((card.classes[i], float(probabilities[i])) for i in order)
    return Prediction(top, calibration.knows(probabilities, membership))
