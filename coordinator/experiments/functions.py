"""Functions with known minima as tables: their answers are exact, and need no training.

Branin, Hartmann-6 and Rosenbrock are those of the Virtual Library of Simulation Experiments of
Surjanovic and Bingham (sfu.ca/~ssurjano). The tree is the synthetic function of Jenatton,
Archambeau, Gonzalez and Seeger, Bayesian Optimization with Tree-structured Dependencies, ICML 2017.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np

from hyperhive.coordinator.experiments.tables import Answer, Table, Values
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import configuration

_SECONDS = 600.0
"""Of a run on a device of speed 1."""


class FunctionTable(Table):
    """A function of a configuration.

    Args:
        name: of the table.
        space: as JSON.
        function: of a configuration.
        minimum: the function's.
        deviation: the standard deviation of the normal noise that an answer has.
    """

    def __init__(
        self,
        name: str,
        space: Any,
        function: Callable[[Mapping[str, Any]], float],
        minimum: float,
        deviation: float = 0.0,
    ) -> None:
        self.name = self.identity = name
        self.space = parse(space)
        self._function = function
        self._minimum = minimum
        self._deviation = deviation

    @property
    def minimum(self) -> float:
        """See ``Table``."""
        return self._minimum

    def true_loss(self, values: Values) -> float:
        """See ``Table``."""
        return float(self._function(configuration(self.space, values)))

    def answer(self, values: Values, rng: np.random.Generator) -> Answer:
        """See ``Table``."""
        return Answer(self.true_loss(values) + self._deviation * rng.standard_normal(), _SECONDS)


def _uniform(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "uniform", "low": low, "high": high}


def branin(config: Mapping[str, Any]) -> float:
    """Return Branin's function of ``x`` in [-5, 10] and ``y`` in [0, 15]."""
    x, y = config["x"], config["y"]
    bend = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return float(bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann6(config: Mapping[str, Any]) -> float:
    """Return Hartmann's function of six variables ``x0`` to ``x5`` in [0, 1]."""
    x = np.array([config[f"x{i}"] for i in range(6)])
    return float(-_ALPHA @ np.exp(-np.sum(_A * (x - _P) ** 2, axis=1)))


def rosenbrock(config: Mapping[str, Any]) -> float:
    """Return Rosenbrock's function of four variables ``x0`` to ``x3`` in [-5, 10]."""
    x = np.array([config[f"x{i}"] for i in range(4)])
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def tree(config: Mapping[str, Any]) -> float:
    """Return the function of a side, a leaf of that side, and a number ``x`` or ``r`` of each."""
    side = config["side"]
    leaf = side["leaf"]
    return float(leaf["x"] ** 2 + leaf["offset"] + side["r"])


def _leaf(side: str, number: int, offset: float) -> dict[str, Any]:
    return {"x": {**_uniform(-1, 1), "label": f"x_{side}{number}"}, "offset": offset}


def _side(side: str, offsets: tuple[float, float]) -> dict[str, Any]:
    leaves = [_leaf(side, number, offset) for number, offset in enumerate(offsets)]
    r = {**_uniform(0, 1), "label": f"r_{side}"}
    return {"r": r, "leaf": {"choices": leaves, "label": f"leaf_{side}"}}


_PLANE = {"x": _uniform(-5, 10), "y": _uniform(0, 15)}
_SIDES = [_side("left", (0.1, 0.2)), _side("right", (0.3, 0.4))]
BRANIN_MINIMUM = 0.39788735772973816

FUNCTIONS = {
    table.name: table
    for table in (
        FunctionTable("branin", _PLANE, branin, BRANIN_MINIMUM),
        FunctionTable("noisy-branin", _PLANE, branin, BRANIN_MINIMUM, deviation=3.0),
        FunctionTable(
            "hartmann6", {f"x{i}": _uniform(0, 1) for i in range(6)}, hartmann6, -3.3223680
        ),
        FunctionTable("rosenbrock", {f"x{i}": _uniform(-5, 10) for i in range(4)}, rosenbrock, 0.0),
        FunctionTable("tree", {"side": {"choices": _SIDES}}, tree, 0.1),
    )
}
"""The functions by name."""
