"""A table of results: what an experiment searches in place of real trainings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Mapping

import numpy as np

from hyperhive.coordinator.spaces.search_space import Node

Values = Mapping[str, float]
"""The values of a configuration by label; of a choice the index of its option."""


@dataclass(frozen=True)
class Answer:
    """What one run of a configuration gives: its loss, and its seconds on a device of speed 1."""

    loss: float
    seconds: float


class Table(ABC):
    """A search space whose results are known, or modelled.

    Attributes:
        name: of the table.
        space: what is searched.
        identity: a text that differs where answers differ.
        is_share: whether a loss is a share of 1, such as an error rate.
    """

    name: str
    space: Node
    identity: str
    is_share: bool = False

    @abstractmethod
    def answer(self, values: Values, rng: np.random.Generator) -> Answer:
        """Return what a run of a configuration gives, with noise if the table has some."""

    @abstractmethod
    def true_loss(self, values: Values) -> float:
        """Return the loss of a configuration without noise."""

    @property
    @abstractmethod
    def minimum(self) -> float:
        """The smallest loss without noise of all configurations."""
