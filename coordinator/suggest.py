"""What to try next in a study: its algorithm, its start-up at random, and its random streams."""

from __future__ import annotations

import importlib

import numpy as np

from hyperhive.coordinator.algorithms import random_search
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.spaces.search_space import Node

_MODULES = {"tpe": "tpe", "random": "random_search", "anneal": "anneal"}


class Suggester:
    """Suggests configurations for one study.

    Args:
        algorithm: ``tpe``, ``random`` or ``anneal``.
        space: the search space.
        seed: of the study. Suggestion number k draws from a random stream of its own, derived from
            the seed and k, so a resumed study goes on as if it had never stopped.
        startup: the number of finished trials before TPE and annealing take over from random
            search. Pending ones do not count: with 25 trials running and none finished, TPE would
            model nothing.
    """

    def __init__(self, algorithm: str, space: Node, seed: int, startup: int) -> None:
        module = f"hyperhive.coordinator.algorithms.{_MODULES[algorithm]}"
        self.learns = algorithm != "random"
        """Whether suggestions depend on what is known."""
        self._algorithm = importlib.import_module(module)  # TPE needs SciPy, the others do not
        self._variables = variables_of(space)
        self._seed = seed
        self._startup = startup

    def suggest(self, tid: int, known: Known) -> dict[str, float]:
        """Return values for trial ``tid``, given what is known of those posted before it.

        They are by label, of a choice the index of its option, and only of parameters that are
        active: one of an option that was not chosen has none.
        """
        algorithm = random_search if known.finished < self._startup else self._algorithm
        seed = int(np.random.SeedSequence([self._seed, tid]).generate_state(1)[0])
        vals: dict[str, float] = algorithm.suggest(self._variables, known, tid, seed)
        return vals
