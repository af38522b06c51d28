"""A search space as a cube: a configuration is a point of [0, 1]^d, and a point a configuration.

A number has one column: its place between the bounds on its own scale, or, of a normal one, its
cumulative probability. So the prior is uniform in the cube. A whole number has one column, cut into
as many parts as it has values, each as wide as it is likely. A choice has a column for each option,
1 for the option that is chosen and 0 for the others: so all options are equally far from each
other. One with more than ``MOST_OPTIONS`` has one column, as a whole number has.

A variable that stands in an option that is not chosen stands in the middle of its columns: two
configurations without it do not differ in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Index, Number, Variable, Variables

MOST_OPTIONS = 64
"""A choice between more options has one column: a model with a column for each would be slow."""
_LAST = 1 - 2**-53
"""The last place before 1."""
_EDGE = 1e-9
"""The least and greatest cumulative probability of a normal number are this far from 0 and 1."""


@dataclass(frozen=True)
class Side:
    """A variable's columns in the cube.

    Attributes:
        variable: the variable.
        columns: which of the cube's columns are its own.
        is_category: whether there is one for each option of a choice.
    """

    variable: Variable
    columns: slice
    is_category: bool

    @property
    def middle(self) -> float:
        """What all its columns have where it is inactive."""
        return 1 / self.variable.count if isinstance(self.variable, Index) else 0.5

    def place(self, values: np.ndarray) -> np.ndarray:
        """Return the columns, float64 ``[N, columns]``, of values, float64 ``[N]`` without NaN."""
        variable = self.variable
        if self.is_category and isinstance(variable, Index):
            options: np.ndarray = np.eye(variable.count)[values.astype(int) - variable.first]
            return options
        return shares(variable, values)[:, None]

    def values(self, columns: np.ndarray) -> np.ndarray:
        """Return the values, float64 ``[N]``, that columns, float64 ``[N, columns]``, stand for."""
        variable = self.variable
        if self.is_category and isinstance(variable, Index):
            if variable.weights is not None:  # an option of weight 0 is never chosen
                columns = np.where(variable.weights > 0, columns, -np.inf)
            options: np.ndarray = variable.first + np.argmax(columns, axis=1).astype(float)
            return options
        return at_shares(variable, columns[:, 0])

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw columns, float64 ``[count, columns]``, from the prior."""
        variable = self.variable
        if not self.is_category or not isinstance(variable, Index):
            return rng.uniform(size=(count, 1))
        drawn = rng.choice(variable.count, size=count, p=variable.weights)
        return np.eye(variable.count)[drawn]


class Cube:
    """The cube of a search space.

    Args:
        variables: of the space.

    Attributes:
        sides: the columns of each variable, those of a choice before those of its options.
        dimensions: the number of columns, d.
    """

    def __init__(self, variables: Variables) -> None:
        self.sides: list[Side] = []
        self.dimensions = 0
        for variable in variables:
            is_category = isinstance(variable, Index) and variable.is_choice
            if isinstance(variable, Index) and variable.count > MOST_OPTIONS:
                is_category = False
            width = variable.count if is_category and isinstance(variable, Index) else 1
            columns = slice(self.dimensions, self.dimensions + width)
            self.sides.append(Side(variable, columns, is_category))
            self.dimensions += width

    def points(self, known: Known) -> np.ndarray:
        """Return the points of all known trials, float64 ``[trials, d]``."""
        points = np.empty((len(known.tids), self.dimensions))
        for side in self.sides:
            values = known.values(side.variable.label)
            is_active = ~np.isnan(values)
            points[:, side.columns] = side.middle
            points[is_active, side.columns] = side.place(values[is_active])
        return points

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw configurations from the prior; return their points, float64 ``[count, d]``."""
        return self.snapped(np.hstack([side.draw(rng, count) for side in self.sides]))

    def snapped(self, points: np.ndarray) -> np.ndarray:
        """Return the points of the configurations that points stand for, float64 ``[N, d]``.

        Values are rounded to their steps, and a variable that is inactive moves to its middle.
        """
        values = self._values(points)
        snapped = np.empty_like(points)
        for side in self.sides:
            found = values[side.variable.label]
            is_active = ~np.isnan(found)
            snapped[:, side.columns] = side.middle
            snapped[is_active, side.columns] = side.place(found[is_active])
        return snapped

    def configuration(self, point: np.ndarray) -> dict[str, float]:
        """Return the values by label of the variables that are active at a point, ``[d]``."""
        values = self._values(point[None])
        found = {label: column[0] for label, column in sorted(values.items())}
        whole = {side.variable.label for side in self.sides if isinstance(side.variable, Index)}
        return {
            label: int(value) if label in whole else float(value)
            for label, value in found.items()
            if not np.isnan(value)
        }

    def _values(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Return the values by label, float64 ``[N]``: NaN where a variable is inactive."""
        values: dict[str, np.ndarray] = {}
        for side in self.sides:  # a choice comes before what stands in its options
            found = side.values(points[:, side.columns])
            is_active = np.zeros(len(points), dtype=bool)
            for option in side.variable.options:
                is_active |= True if option is None else values[option[0]] == option[1]
            values[side.variable.label] = np.where(is_active, found, np.nan)
        return values


def shares(variable: Variable, values: np.ndarray) -> np.ndarray:
    """Return the places of values between 0 and 1, as one column has them, float64 ``[N]``.

    It is the cumulative probability of the prior, of a whole number in the middle of its part.
    """
    if isinstance(variable, Number):
        return _share(variable, values)
    low, high = parts(variable, values)
    middle: np.ndarray = 0.5 * (low + high)
    return middle


def at_shares(variable: Variable, places: np.ndarray) -> np.ndarray:
    """Return the values at places between 0 and 1, float64 ``[N]``: uniform ones give the prior."""
    if isinstance(variable, Number):
        return _number(variable, places)
    if variable.weights is None:
        indices = np.minimum(np.floor(places * variable.count), variable.count - 1)
    else:
        ends = np.cumsum(variable.weights) / np.sum(variable.weights)
        indices = np.searchsorted(ends[:-1], np.minimum(places, _LAST), side="right")
    return np.asarray(variable.first + indices, dtype=float)


def parts(variable: Variable, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the places begin and end that stand for values, float64 ``[N]`` each.

    A number without a step has one place for each value.
    """
    if isinstance(variable, Number):
        if variable.step is None:
            share = _share(variable, values)
            return share, share
        half = 0.5 * variable.step
        return _share(variable, values - half), _share(variable, values + half)
    indices = values.astype(int) - variable.first
    if variable.weights is None:
        return indices / variable.count, (indices + 1) / variable.count
    ends = np.cumsum(variable.weights) / np.sum(variable.weights)
    return np.concatenate([[0.0], ends])[indices], ends[indices]


def _share(variable: Number, values: np.ndarray) -> np.ndarray:
    if variable.is_log:
        with np.errstate(divide="ignore"):  # a value that was rounded to 0 counts as the lowest
            values = np.log(np.maximum(values, 0.0))
    if variable.is_bounded:
        return np.clip((values - variable.low) / (variable.high - variable.low), 0.0, 1.0)
    return np.asarray(ndtr((values - variable.centre) / variable.width))


def _number(variable: Number, share: np.ndarray) -> np.ndarray:
    if variable.is_bounded:
        scaled = variable.low + share * (variable.high - variable.low)
    else:
        scaled = variable.centre + variable.width * ndtri(np.clip(share, _EDGE, 1 - _EDGE))
    return np.asarray(variable.as_value(scaled), dtype=float)
