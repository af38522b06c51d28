"""What a model says of pictures."""

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np
import torch

from model.calibration import PLAIN, Calibration
from model.checkpoint import Card, normaliser
from model.errors import CheckpointError
from model.images import fit
from model.lenet import LeNet5
from model.normalise import to_tensor

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

    top: Tuple[Tuple[str, float], ...]
    known: bool = True

    def __post_init__(self) -> None:
        shares = [probability for _, probability in self.top]
        if not shares or shares != sorted(shares, reverse=True):
            raise ValueError("not in falling order: {}".format(self.top))
        if not (shares[-1] >= 0 and sum(shares) <= 1 + 1e-4):
            raise ValueError("not probabilities: {}".format(self.top))

    @property
    def label(self) -> str:
        """The likeliest class, or ``unknown``."""
        return self.top[0][0] if self.known else UNKNOWN

    @property
    def probability(self) -> float:
        """The likeliest class's probability, also where the label is ``unknown``."""
        return self.top[0][1]


class Predictor:
    """A model with its card, ready for pictures of any size.

    Args:
        model: the model of the card, on ``device``.
        card: its classes and normalisation.
        device: where to compute.
        calibration: what its numbers mean, and when it says ``unknown``; by default it is plain
            softmax, and says it never.
    """

    def __init__(
        self,
        model: LeNet5,
        card: Card,
        device: torch.device,
        calibration: Calibration = PLAIN,
    ) -> None:
        self.card = card
        self._model = model
        self._device = device
        self._normalise = normaliser(card, device)
        self._calibration = calibration

    def predict(self, images: Sequence[np.ndarray]) -> List[Prediction]:
        """Return a prediction for each picture: ``assess``, then ``decide``."""
        return [self.decide(*row) for row in zip(*self.assess(images))]

    def assess(self, images: Sequence[np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
        """Return what can be averaged over frames: probabilities and memberships.

        They are float32 ``[N, classes]`` in the card's order, and float32 ``[N]`` from 0 to 1: how
        much each picture looks as if it were of any class. The pixels take the way that the
        training images took. Raises ``CheckpointError`` for a model whose answers are no numbers.

        Args:
            images: one or more, uint8 RGB ``[H, W, 3]``; sizes may differ.
        """
        pictures = np.stack([fit(image, self.card.channels) for image in images])
        logits = self._compute(pictures)
        if not np.isfinite(logits).all():
            raise CheckpointError(
                "the model's answers are not finite numbers, its training must have diverged: "
                "choose another"
            )
        return self._calibration.probabilities(logits), self._calibration.membership(pictures)

    def decide(self, probabilities: np.ndarray, membership: float) -> Prediction:
        """Return the prediction for one picture's row of ``assess``."""
        order = np.argsort(-probabilities, kind="stable")[:TOP]
        top = tuple((self.card.classes[i], float(probabilities[i])) for i in order)
        return Prediction(top, self._calibration.knows(probabilities, membership))

    def _compute(self, pictures: np.ndarray) -> np.ndarray:
        """Return float32 logits ``[N, classes]`` of fitted pictures, uint8 ``[N, 28, 28, C]``."""
        with torch.no_grad():
            logits = self._model(self._normalise(to_tensor(pictures, self._device)))
        answers: np.ndarray = logits.cpu().numpy()
        return answers
