"""A table of measured results, from a CSV file; between its points it is a fitted model.

The first line is ``#`` and a JSON object: ``name``, ``space``, ``surrogate`` (one of
``surrogate.KINDS``), ``is_share``, and what people want to know, such as the ``command``. The
columns are ``number`` of a configuration, ``seed`` of a run, a parameter by its label (empty where
it is inactive; of a choice the index of its option), ``loss``, ``seconds`` and ``cost``, which does
not depend on the device. A configuration has a line for each of its runs.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from hyperhive.common.errors import UsageError
from hyperhive.common.files import read_text
from hyperhive.coordinator.algorithms.cube import Cube
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.experiments.surrogate import KINDS, fitted, scaled, unscaled
from hyperhive.coordinator.experiments.tables import Answer, Table, Values
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import Node, parameters

OTHERS = ("number", "seed", "loss", "seconds", "cost")
"""The columns that are no parameters."""
_ALIKE = 5
"""Noise at a point is that of so many repeated configurations whose mean losses are nearest."""
_DRAWN, _KEPT, _ROUNDS = 20_000, 100, 30
"""Of the search for the minimum: random configurations, those that are improved, and how often."""


@dataclass(frozen=True)
class Measured:
    """One configuration: its values, and loss and seconds of each of its runs."""

    values: Values
    losses: tuple[float, ...]
    seconds: tuple[float, ...]


class MeasuredTable(Table):
    """A model of measured results, with the noise that was measured.

    What it says is the loss without noise. A run's loss deviates from that as a run deviated from
    the mean of its configuration, drawn from repeated configurations that are about as good. Models
    and deviations are on the scale of ``surrogate.scaled``.

    Args:
        name: of the table.
        space: what was measured.
        measured: its configurations; some must have several runs.
        surrogate: one of ``KINDS``.
        is_share: whether a loss is a share of 1.
        identity: see ``Table``.
    """

    def __init__(
        self,
        name: str,
        space: Node,
        measured: Sequence[Measured],
        surrogate: str,
        is_share: bool,
        identity: str,
    ) -> None:
        self.name, self.space, self.identity, self.is_share = name, space, identity, is_share
        self._cube = Cube(variables_of(space))
        points = self._points([each.values for each in measured])
        losses = [scaled(np.array(each.losses), is_share) for each in measured]
        means = np.array([np.mean(each) for each in losses])
        seconds = np.array([np.mean(each.seconds) for each in measured])
        self._loss = fitted(surrogate, points, means)
        self._seconds = fitted("boosting", points, np.log(seconds))
        self._measured = points
        repeated = [each for each in losses if len(each) > 1]
        self._noise_at = np.array([np.mean(each) for each in repeated])
        self._noise = [deviations(each) for each in repeated]

    def true_loss(self, values: Values) -> float:
        """See ``Table``."""
        return float(self._losses(self._points([values]))[0])

    def answer(self, values: Values, rng: np.random.Generator) -> Answer:
        """See ``Table``."""
        point = self._points([values])
        mean = float(self._loss.predict(point)[0])
        alike = np.argsort(np.abs(self._noise_at - mean), kind="stable")[:_ALIKE]
        noise = rng.choice(np.concatenate([self._noise[each] for each in alike]))
        seconds = float(np.exp(self._seconds.predict(point)[0]))
        return Answer(float(unscaled(np.array(mean + noise), self.is_share)), seconds)

    @functools.cached_property
    def minimum(self) -> float:
        """The smallest that a long search of the model finds: see ``Table``."""
        rng = np.random.default_rng(0)
        points = np.vstack([self._measured, self._cube.draw(rng, _DRAWN)])
        losses = self._losses(points)
        best = np.argsort(losses)[:_KEPT]
        points, losses = points[best], losses[best]
        for number in range(_ROUNDS):
            width = 0.3 * 0.85**number
            is_moved = rng.random(points.shape) < 0.3
            moved = np.clip(points + is_moved * rng.normal(0, width, points.shape), 0, 1)
            tried = self._cube.snapped(moved)
            found = self._losses(tried)
            is_better = found < losses
            points[is_better], losses[is_better] = tried[is_better], found[is_better]
        return float(losses.min())

    def _losses(self, points: np.ndarray) -> np.ndarray:
        return unscaled(self._loss.predict(points), self.is_share)

    def _points(self, values: Sequence[Values]) -> np.ndarray:
        known = Known(self.space, (Observation(n, each, None) for n, each in enumerate(values)))
        return self._cube.points(known)


def deviations(losses: np.ndarray) -> np.ndarray:
    """Return the deviations of runs, ``[runs]``, two or more, from the true mean.

    Those from the mean of so few runs are too small, by the root of (n - 1) / n on average.
    """
    count = len(losses)
    found: np.ndarray = (losses - np.mean(losses)) * np.sqrt(count / (count - 1))
    return found


def read(path: Path) -> MeasuredTable:
    """Return the table of a file. Raises ``UsageError`` for one that holds none."""
    try:
        text = read_text(path)
        header, rows = json.loads(text.partition("\n")[0].lstrip("# ")), text.split("\n")[1:]
        space = parse(header["space"])
        measured = measured_of(space, list(csv.DictReader(rows)))
        kind, is_share = header["surrogate"], bool(header["is_share"])
        fits = kind in KINDS and any(len(each.losses) > 1 for each in measured)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (UsageError, ValueError, LookupError, TypeError) as error:
        raise UsageError(f"{path} is no table of results: {error}") from error
    if not fits:
        raise UsageError(f"{path} has no surrogate of ours, or no configuration that ran twice")
    identity = hashlib.sha256(text.encode()).hexdigest()
    return MeasuredTable(str(header["name"]), space, measured, kind, is_share, identity)


def measured_of(space: Node, rows: Sequence[Mapping[str, Any]]) -> list[Measured]:
    """Return the configurations of a table's lines. Raises ``ValueError``, ``LookupError``."""
    labels = list(parameters(space))
    runs: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        runs.setdefault(int(row["number"]), []).append(row)
    return [
        Measured(
            {label: float(of[0][label]) for label in labels if of[0][label] != ""},
            tuple(float(row["loss"]) for row in of),
            tuple(float(row["seconds"]) for row in of),
        )
        for of in runs.values()
    ]
