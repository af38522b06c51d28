"""What the runs of an experiment come to: means with intervals, ranks, times to a target, costs."""

from __future__ import annotations

import math
from typing import Any, Iterable, Sequence

import numpy as np
from scipy import stats

from hyperhive.coordinator.experiments.runs import Run

_MOST_POINTS = 100
"""Of a curve."""


def summary(runs: Iterable[Run], algorithms: Sequence[str], minimum: float | None) -> list[Any]:
    """Return a table for each number of workers and budget, as plain JSON.

    Each has a row for each algorithm that has runs, in the order of ``mean``: of the true loss of
    the best trial at the end, less the ``minimum`` if it is known. ``low`` and ``high`` are the
    bounds of the mean's 95 % interval over the seeds (Student's t), None of one seed. ``rank`` is
    the mean place among the algorithms, 1 for the best, over the seeds that all have run; equals
    share their places. ``target`` is the mean of the worst algorithm, ``time`` the median of the
    seconds until the best so far is that good, None if less than half of the runs came to it.
    ``milliseconds`` are those of a suggestion, None if unknown, ``seconds`` those of a run.
    ``curve`` has the number of trials that have ended, and mean, low and high of the best so far.
    """
    groups: dict[tuple[int, int], dict[str, list[Run]]] = {}
    for run in runs:
        group = groups.setdefault((run.workers, run.trials), {})
        group.setdefault(run.algorithm, []).append(run)
    found = []
    for (workers, trials), group in sorted(groups.items()):
        ordered = {name: group[name] for name in algorithms if _has_result(group.get(name, []))}
        if ordered:
            compared = _compared(ordered, minimum or 0.0)
            found.append({"workers": workers, "trials": trials, **compared})
    return found


def _has_result(runs: Sequence[Run]) -> bool:
    return any(run.best[-1] is not None for run in runs)


def _compared(group: dict[str, list[Run]], minimum: float) -> dict[str, Any]:
    ends = {name: _finite(run.best[-1] for run in runs) for name, runs in group.items()}
    target = max(float(np.mean(each)) for each in ends.values())
    ranks = _ranks(group)
    rows: list[dict[str, Any]] = [
        {
            "algorithm": name,
            "seeds": len(runs),
            **_interval(ends[name], minimum),
            "rank": ranks.get(name),
            "time": _median_time(runs, target),
            "seconds": float(np.median([run.seconds[-1] for run in runs])),
            "milliseconds": _mean(run.milliseconds for run in runs),
            "curve": _curve(runs, minimum),
        }
        for name, runs in group.items()
    ]
    rows.sort(key=lambda row: row["mean"])
    return {"target": target - minimum, "rows": rows}


def _mean(values: Iterable[float | None]) -> float | None:
    known = _finite(values)
    return float(np.mean(known)) if known else None


def _finite(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _interval(values: Sequence[float], minimum: float) -> dict[str, float | None]:
    """Return mean and 95 % interval of what values have above the minimum; one value has none."""
    mean = float(np.mean(values)) - minimum
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None}
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _ranks(group: dict[str, list[Run]]) -> dict[str, float]:
    ends = {name: {run.seed: run.best[-1] for run in runs} for name, runs in group.items()}
    seeds = set.intersection(*(set(each) for each in ends.values()))
    if not seeds:
        return {}
    losses = [
        [math.inf if each[seed] is None else each[seed] for each in ends.values()]
        for seed in sorted(seeds)
    ]
    places = np.mean([stats.rankdata(each) for each in losses], axis=0)
    return {name: float(place) for name, place in zip(ends, places)}


def _median_time(runs: Sequence[Run], target: float) -> float | None:
    """Return the median of the times to a target; a run that does not come to it never does."""
    times = [
        next((at for at, best in zip(run.seconds, run.best) if _reaches(best, target)), math.inf)
        for run in runs
    ]
    median = float(np.median(times))
    return median if math.isfinite(median) else None


def _reaches(best: float | None, target: float) -> bool:
    return best is not None and best <= target


def _curve(runs: Sequence[Run], minimum: float) -> list[list[float | None]]:
    trials = min(len(run.best) for run in runs)
    points = []
    for ended in sorted({math.ceil(x) for x in np.linspace(1, trials, min(trials, _MOST_POINTS))}):
        values = _finite(run.best[ended - 1] for run in runs)
        if values:
            found = _interval(values, minimum)
            points.append([ended, found["mean"], found["low"], found["high"]])
    return points
