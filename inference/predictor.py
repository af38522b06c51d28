"""What a model says of pictures."""

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
"""The label of a picture that seems to be of no class. Where a class bears that name too, it is
one answer to whoever reads it: ``Prediction.known`` tells the two apart."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    ``top`` holds the likeliest classes with their probabilities, best first: three, or all of a
    model with two. ``known`` is whether the first of them may be believed. Raises ``ValueError``
    where that does not hold.
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


Decide = Callable[[np.ndarray, float], Prediction]
"""Gives the prediction for one picture's probabilities ``[classes]`` and membership."""


class Predictor:
    """A model with its card, ready for pictures of any size; ``timings`` has what it took so far.

    Args:
        engine: computes the model of the card.
        card: its classes and their number, its channels.
            Its calibration says what the numbers mean, and when they mean ``unknown``; without
            one it is plain softmax, and never that.
    """

    def __init__(self, engine: Engine, card: Card) -> None:
        self.timings = Timings()
        self._is = (engine, card, card.calibration or PLAIN)
        self._thresholds = Thresholds()

    def ask_for(self, thresholds: Thresholds) -> None:
        """Go by these from now on, whatever model answers."""
        self._thresholds = thresholds

    @property
    def card(self) -> Card:
        """The card of the model that answers now."""
        return self._is[1]

    def become(self, other: Predictor) -> None:
        """Answer as another one does, from the next pictures on; any thread may call this."""
        self._is = other._is

    def predict(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        """Return a prediction for each picture: ``assess`` and what that says decides."""
        probabilities, memberships, decide = self.assess(images)
        return [decide(*row) for row in zip(probabilities, memberships)]

    def assess(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, Decide]:
        """Return what can be averaged over frames, probabilities and memberships, and what decides.

        The first are float32 ``[N, classes]`` in the card's order, and float32 ``[N]`` from 0 to 1:
        how much each picture looks as if it were of any class. What decides is of the model that
        gave them, whatever model answers by then. The pixels take the way that the training images
        took. Raises ``CheckpointError`` for a model whose answers are no numbers.

        Args:
            images: one or more, uint8 RGB ``[H, W, 3]``; sizes may differ.
        """
        engine, card, calibration = self._is
        with self.timings.measure(PREPROCESS, len(images)):
            pictures = np.stack([fit(image, card.channels) for image in images])
        with self.timings.measure(INFER, len(images)):
            logits = engine.run(pictures)
            require_finite(logits)
            probabilities = calibration.probabilities(logits)
            memberships = calibration.membership(pictures)
        asked = self._thresholds.replacing(calibration)
        return probabilities, memberships, functools.partial(_decide, card, asked)

    def input_of(self, image: np.ndarray) -> np.ndarray:
        """Return what the model sees of a picture: uint8 ``[28, 28, channels]``."""
        return fit(image, self.card.channels)


def _decide(
    card: Card, calibration: Calibration, probabilities: np.ndarray, membership: float
) -> Prediction:
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    top = tuple((card.classes[i], float(probabilities[i])) for i in order)
    return Prediction(top, calibration.knows(probabilities, membership))
