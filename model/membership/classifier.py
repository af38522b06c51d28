"""A small network that tells members from photographs of no class, evaluated in NumPy.

Its numbers are in the model's card, so that every engine and every device has it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Mapping

import numpy as np

from hyperhive.common.values import is_fraction
from hyperhive.model.membership.numbers import PERCENTILES, require_numbers, share_beyond
from hyperhive.model.membership.statistics import of_texture

HIDDEN = 16
"""Number of hidden units."""

_LEAST = 0.01
"""Probabilities that differ by no more count as equal: so a picture that is surely no photograph is
a member, also where all members are surely none."""

_LARGEST_LOGIT = 50.0
"""Beyond it the probability does not change, and its power would overflow."""


@dataclass(frozen=True)
class PhotographClassifier:
    """A network of one hidden layer (rectified linear), and what it makes of members.

    Args:
        hidden: the weight of each statistic of a picture for a hidden unit, and then the unit's
            bias; a row for each of 16 units.
        output: the weight of each hidden unit for the logarithm of the odds that a picture is a
            photograph rather than a member, and then the bias.
        probabilities: of members and their distorted copies, each by a network that was not trained
            on it, as 101 percentiles.
    """

    hidden: list[list[float]]
    output: list[float]
    probabilities: list[float]

    @classmethod
    def from_json(cls, values: Mapping[str, Any], size: int) -> PhotographClassifier:
        """Build one from untrusted JSON; raises ``ValueError`` or ``TypeError``.

        Args:
            values: the fields.
            size: the number of statistics that it takes.
        """
        classifier = cls(**values)
        if not (isinstance(classifier.hidden, list) and len(classifier.hidden) == HIDDEN):
            raise ValueError("the classifier does not have the right number of hidden units")
        for row in classifier.hidden:
            require_numbers(row, size + 1)
        require_numbers(classifier.output, HIDDEN + 1)
        require_numbers(classifier.probabilities, PERCENTILES)
        shares = classifier.probabilities
        if shares != sorted(shares) or not all(map(is_fraction, shares)):
            raise ValueError("the probabilities are not percentiles of probabilities")
        return classifier

    def probability(self, rows: np.ndarray) -> np.ndarray:
        """Return the probability, float64 ``[...]``, that pictures are photographs.

        Args:
            rows: statistics ``[..., S]``.
        """
        hidden, output = self._weights
        units = np.maximum(of_texture(rows) @ hidden[:, :-1].T + hidden[:, -1], 0)
        logits = np.clip(units @ output[:-1] + output[-1], -_LARGEST_LOGIT, _LARGEST_LOGIT)
        probability: np.ndarray = 1 / (1 + np.exp(-logits))
        return probability

    def share_beyond(self, rows: np.ndarray) -> np.ndarray:
        """Return float64 ``[N]``: the share of members that are at least as like a photograph."""
        return share_beyond(self.probability(rows) - _LEAST, self.probabilities)

    @functools.cached_property
    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.hidden), np.array(self.output)
