"""CMA-ES: a normal distribution that moves to where the better half of each generation is.

Hansen and Ostermeier, Completely Derandomized Self-Adaptation in Evolution Strategies, Evolutionary
Computation 2001; Hansen, The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772. The algorithm is
the library cmaes' (Nomura and Shibata, arXiv:2402.01373).

A suggestion is a draw from the distribution that the finished trials lead to, in the order of their
numbers, a generation at a time. The last ones that fill no generation wait. A pending trial waits
too: when it ends, it takes its place among those of its time. So there is no barrier: several
trials are drawn from the same distribution, and a trial may be told to the one after its own.

The distribution begins in the middle of the cube, as wide as the prior (``cube.py``). A value that
stands for several places of the cube, as that of a whole number, a number with a step, or an
option, is told as one of them, drawn for this trial: so the distribution never becomes narrower
than a step, and goes on to try the values beside. An inactive variable may be told anywhere.

It begins again, with generations of twice the size (Auger and Hansen, CEC 2005), when the library
says that it has converged.
"""

from __future__ import annotations

import numpy as np
from cmaes import CMA

from hyperhive.coordinator.algorithms.cube import Cube, Side, parts
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Variables

_FIRST_DEVIATION = 12**-0.5
"""That of a uniform distribution from 0 to 1."""


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of the next trial."""
    cube = Cube(variables)
    strategy = replayed(cube, known)
    strategy.reseed_rng(seed)
    return cube.configuration(strategy.ask()[: cube.dimensions])


def replayed(cube: Cube, known: Known) -> CMA:
    """Return the strategy after all whole generations of finished trials."""
    is_finished = ~np.isnan(known.losses)
    told = _told(cube, known)[is_finished]
    losses = known.losses[is_finished].tolist()
    strategy, begin = _begun(cube), 0
    while begin + strategy.population_size <= len(losses):
        end = begin + strategy.population_size
        strategy.tell(list(zip(told[begin:end], losses[begin:end])))
        if strategy.should_stop():
            strategy = _begun(cube, 2 * strategy.population_size)
        begin = end
    return strategy


def _begun(cube: Cube, population: int | None = None) -> CMA:
    mean = np.full(max(cube.dimensions, 2), 0.5)  # older versions of cmaes need two dimensions
    for side in cube.sides:
        if side.is_category:  # the mean of what is told if all options are equally frequent
            mean[side.columns] = 0.25 + 0.5 * side.middle
    bounds = np.tile([0.0, 1.0], (len(mean), 1))
    return CMA(mean, _FIRST_DEVIATION, bounds=bounds, population_size=population)


def _told(cube: Cube, known: Known) -> np.ndarray:
    """Return the places that are told of all trials, float64 ``[trials, dimensions]``."""
    size = max(cube.dimensions, 2)
    # A row for each number: those of a trial are the same whatever else is known.
    places = np.random.default_rng(0).random((known.tids[-1] + 1, size))[known.tids]
    for side in cube.sides:
        values = known.values(side.variable.label)
        is_active = ~np.isnan(values)
        low, high = _places(side, values[is_active])
        columns = places[:, side.columns]
        columns[is_active] = low + (high - low) * columns[is_active]
    return places


def _places(side: Side, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the places begin and end that stand for values, ``[N, columns]`` each."""
    if not side.is_category:
        begin, end = parts(side.variable, values)
        return begin[:, None], end[:, None]
    chosen = side.place(values)
    return 0.5 * chosen, 0.5 + 0.5 * chosen
