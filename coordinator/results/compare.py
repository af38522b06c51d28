"""Studies side by side: what each found, and in how many trials."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from statistics import mean, median
from typing import Mapping, Sequence

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.planning.stop_rules import end_of
from hyperhive.coordinator.ranking import ranking
from hyperhive.coordinator.results.table import device_of, seconds_of
from hyperhive.coordinator.study import Study
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import KEPT_S, host_of


@dataclass(frozen=True)
class Standing:
    """A study among others.

    Args:
        name: of the study.
        goal: what makes its trials better.
        done: the number of trials of the search with a result, also one that cannot be ranked.
        pruned: the number of those of them that were ended early.
        failed: the number of those that ended without one.
        best: its best trial; None if none can be ranked.
        mean: of the goal's metric over the trials that can be ranked; None if there are none.
        median: of the same.
        seconds: that its ended trials took, added up.
        span: seconds from the start of the first to the end of the last of these.
        devices: how many of its trials ended on each device, by its description and host.
        trials_to_reach: how many trials had ended when one was as good as the worst of the studies'
            best trials; None if the studies cannot be ranked, or none has.
    """

    name: str
    goal: Goal
    done: int
    pruned: int
    failed: int
    best: Trial | None
    mean: float | None
    median: float | None
    seconds: float
    span: float
    devices: Mapping[str, int]
    trials_to_reach: int | None = None

    def value(self, trial: Trial) -> float:
        """Return the goal's metric of a trial that can be ranked."""
        return _value(trial, self.goal)


@dataclass(frozen=True)
class Comparison:
    """Studies side by side, in the order in which they were named.

    ``why_not_ranked`` is a clause that says why one cannot be called better than another, or None.
    """

    standings: tuple[Standing, ...]
    why_not_ranked: str | None

    @property
    def leaders(self) -> set[str]:
        """The names of the studies that have the best trial of all; none if they are not ranked."""
        losses = {each.name: each.best.loss for each in self.standings if each.best}
        known = {name: loss for name, loss in losses.items() if loss is not None}
        if self.why_not_ranked is not None:
            return set()
        return {name for name, loss in known.items() if loss == min(known.values())}


def compare(store: Store, names: Sequence[str]) -> Comparison:
    """Compare studies by the trials of their searches that have ended.

    Raises ``UsageError`` for fewer than two names, ``NotFound`` for one that no study has.
    """
    if len(names) < 2:
        raise UsageError("name two studies or more to compare")
    studies = [Study.stored(name, store.study(name).spec) for name in names]
    found = [store.trials.find(name, SEARCH, in_short=True) for name in names]
    trials = [[trial for trial in each if trial.is_final] for each in found]
    devices = {each.id: each.device for each in store.workers.recent(KEPT_S)}
    standings = [_standing(*each, devices) for each in zip(studies, trials)]
    why = _why_not_ranked(studies)
    if why is None:
        bests = [each.best.loss for each in standings if each.best and each.best.loss is not None]
        bar = max(bests, default=None)
        standings = [
            replace(each, trials_to_reach=_trials_to_reach(its, bar))
            for each, its in zip(standings, trials)
        ]
    return Comparison(tuple(standings), why)


def _standing(study: Study, trials: Sequence[Trial], devices: Mapping[str, str]) -> Standing:
    goal, ranked = study.plan.goal, ranking(trials)
    values = [_value(trial, goal) for trial in ranked]
    starts = [trial.book_time for trial in trials if trial.book_time]
    ends = [trial.refresh_time for trial in trials if trial.refresh_time]
    done = sum(trial.status is Status.DONE for trial in trials)
    ran_on = [_device(trial, devices) for trial in trials]
    return Standing(
        name=study.name,
        goal=goal,
        done=done,
        pruned=sum(trial.pruned for trial in trials),
        failed=len(trials) - done,
        best=ranked[0] if ranked else None,
        mean=mean(values) if values else None,
        median=median(values) if values else None,
        seconds=sum(seconds_of(trial) or 0.0 for trial in trials),
        span=(max(ends) - min(starts)).total_seconds() if starts and ends else 0.0,
        devices=Counter(device for device in ran_on if device is not None),
    )


def _device(trial: Trial, devices: Mapping[str, str]) -> str | None:
    """Return the device that a trial ran on, with its host if its worker's id tells that."""
    device, host = device_of(trial, devices), host_of(trial.owner or "")
    return device if host is None or device == trial.owner else f"{device} on {host}"


def _value(trial: Trial, goal: Goal) -> float:
    loss = trial.loss or 0.0
    return loss if goal.direction == "minimize" else -loss


def _why_not_ranked(studies: Sequence[Study]) -> str | None:
    goals = [each.plan.goal for each in studies]
    differing = {
        "objectives": [each.plan.objective for each in studies],
        "metrics": [f"{goal.metric} to {goal.direction}" for goal in goals],
    }
    for what, values in differing.items():
        if len(set(values)) > 1:
            return f"they have different {what} ({', '.join(dict.fromkeys(values))})"
    if len({each.dataset_hash for each in studies}) > 1:
        return "they have different data sets"
    return None


def _trials_to_reach(trials: Sequence[Trial], bar: float | None) -> int | None:
    """Return how many trials had ended when the first was as good as ``bar``, a loss."""
    good = {trial.tid for trial in ranking(trials) if bar is not None and (trial.loss or 0) <= bar}
    by_end = sorted(trials, key=end_of)
    return next((n for n, trial in enumerate(by_end, 1) if trial.tid in good), None)
