"""What a model says of pictures."""

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np
import torch
from torch.nn import functional

from model.card import Card
from model.checkpoint import normaliser
from model.errors import CheckpointError
from model.images import fit
from model.lenet import LeNet5
from model.normalise import to_tensor

TOP = 3


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    ``top`` holds the likeliest classes with their probabilities, best first: three, or all of a
    model with two. Raises ``ValueError`` where that does not hold.
    """

    top: Tuple[Tuple[str, float], ...]

    def __post_init__(self) -> None:
        shares = [probability for _, probability in self.top]
        if not shares or shares != sorted(shares, reverse=True):
            raise ValueError("not in falling order: {}".format(self.top))
        if not (shares[-1] >= 0 and sum(shares) <= 1 + 1e-4):
            raise ValueError("not probabilities: {}".format(self.top))

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.top[0][0]

    @property
    def probability(self) -> float:
        """That class's probability, by the model's softmax."""
        return self.top[0][1]


class Predictor:
    """A model with its card, ready for pictures of any size.

    Args:
        model: the model of the card, on ``device``.
        card: its classes and normalisation.
        device: where to compute.
    """

    def __init__(self, model: LeNet5, card: Card, device: torch.device) -> None:
        self.card = card
        self._model = model
        self._device = device
        self._normalise = normaliser(card, device)

    def predict(self, images: Sequence[np.ndarray]) -> List[Prediction]:
        """Return a prediction for each picture: uint8 RGB ``[H, W, 3]``, sizes may differ."""
        return [self._best(row) for row in self.probabilities(images)]

    def probabilities(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return float32 ``[N, classes]`` for N of 1 or more pictures, in the card's order.

        The pixels take the way that the training images took. Raises ``CheckpointError`` for a
        model whose answers are no numbers.
        """
        fitted = np.stack([fit(image, self.card.channels) for image in images])
        with torch.no_grad():
            logits = self._model(self._normalise(to_tensor(fitted, self._device)))
            if not torch.isfinite(logits).all():
                raise CheckpointError(
                    "the model's answers are not finite numbers, its training must have diverged: "
                    "choose another"
                )
            probabilities: np.ndarray = functional.softmax(logits, dim=1).cpu().numpy()
        return probabilities

    def _best(self, row: np.ndarray) -> Prediction:
        order = np.argsort(-row, kind="stable")[:TOP]
        return Prediction(tuple((self.card.classes[i], float(row[i])) for i in order))
