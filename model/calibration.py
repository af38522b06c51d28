"""From a model's numbers to what may be said: probabilities, and whether it knows at all.

Everything here is NumPy, so that it is the same whatever computed the numbers.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """What turns logits into probabilities one may believe, and when to say ``unknown``.

    Args:
        temperature: divides the logits (Guo et al. 2017, arXiv:1706.04599); above 0.
        min_confidence: a likeliest class of less is ``unknown``.
        min_margin: so is one that is less than this above the second.
        min_membership: so is a picture that looks less than this like those of any class.
    """

    temperature: float = 1.0
    min_confidence: float = 0.0
    min_margin: float = 0.0
    min_membership: float = 0.0

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return float32 ``[N, classes]``: softmax of logits ``[N, classes]`` / temperature."""
        scaled = logits.astype(np.float64) / self.temperature
        shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
        return probabilities.astype(np.float32)

    def membership(
        self, pictures: np.ndarray, logits: np.ndarray, features: np.ndarray
    ) -> np.ndarray:
        """Return float32 ``[N]``, 0 to 1: how much each picture looks as if it were of any class.

        Args:
            pictures: uint8 ``[N, 28, 28, C]``, what the model saw.
            logits: float32 ``[N, classes]``.
            features: float32 ``[N, 84]``, the input of its last layer.
        """
        return np.ones(len(pictures), np.float32)

    def knows(self, probabilities: np.ndarray, membership: float) -> bool:
        """Return whether the likeliest class may be said.

        Args:
            probabilities: ``[classes]`` of one picture.
            membership: of that picture.
        """
        second, first = np.sort(probabilities)[-2:]
        return bool(
            first >= self.min_confidence
            and first - second >= self.min_margin
            and membership >= self.min_membership
        )


PLAIN = Calibration()
"""Softmax as it is, and never ``unknown``."""
