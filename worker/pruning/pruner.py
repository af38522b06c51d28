"""Watches what a trial reports, and decides whether it ends early."""

from __future__ import annotations

import logging
import math
from typing import Any, Mapping

from hyperhive.common.values import is_number, number
from hyperhive.store.errors import LeaseLost, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import NO_PRUNER
from hyperhive.worker.heartbeat import Held
from hyperhive.worker.objectives.api import Outcome
from hyperhive.worker.objectives.goal import WORST_LOSS, loss_of
from hyperhive.worker.pruning.rules import RULES, Rule

log = logging.getLogger(__name__)

_warned: set[tuple[str, str]] = set()
"""The studies, and their metrics, of which the log has said that none is reported."""


class Pruner:
    """Decides for one run of a trial, at its reports, from what is in the store.

    At the first report at or past a rung it stores the trial's best loss so far, and asks how many
    others were better there. It decides once: a trial that is pruned stays so. If the server does
    not answer, the trial goes on.

    Args:
        held: the trial, as the heartbeat holds it.
        store: that it is in.
    """

    def __init__(self, held: Held, store: Store) -> None:
        self._held = held
        self._store = store
        self._rule = RULES.get(held.trial.pruner)
        self._best = math.inf
        self._passed: set[str] = set()
        self._was_away = False
        self._last: float | None = None
        self._share: float | None = None
        self.has_pruned = False
        """Whether the trial is to end early."""
        if self._rule is None and held.trial.pruner != NO_PRUNER:
            log.warning(
                "%s: this hyperhive has no pruner %.40r, so the trial runs to its end",
                held.trial.full_title,
                held.trial.pruner,
            )

    def take_report(self, progress: Mapping[str, Any]) -> None:
        """Take a report of the trial, and decide if it has reached a rung."""
        if self._rule is None:
            return
        trial = self._held.trial
        share = share_of(progress, trial.cost)
        rung = self._rule.rung(share, number(progress.get("step")))
        value = progress.get(trial.goal.metric)
        if is_number(value):
            self._share, self._last = share, value
            loss = loss_of(value, trial.goal)
            self._best = min(self._best, loss)
            if rung is not None and not self.has_pruned and rung not in self._passed:
                self._passed.add(rung)
                # A training that has diverged does not come back: what was before says nothing.
                self._decide(self._rule, rung, self._best if math.isfinite(loss) else WORST_LOSS)
        elif rung is not None and self._last is None:
            _warn_once(trial.study, trial.goal.metric, trial.pruner)

    def _decide(self, rule: Rule, rung: str, loss: float) -> None:
        trial = self._held.trial
        try:
            self._store.queue.reach(trial, rung, loss)
            standing = self._store.trials.at_rung(trial, rung, loss, rule.only_full)
        except LeaseLost:
            self._held.lost.set()
            return
        except StoreUnavailable as error:
            if not self._was_away:
                log.warning("%s: %s; it goes on without being compared", trial.full_title, error)
            self._was_away = True
            return
        self.has_pruned = rule.prunes(*standing)
        if self.has_pruned:
            point = f"{rung} of its length" if "/" in rung else rung
            log.info(
                "%s: ending it early (%s): at %s, %d of %d others were better",
                trial.full_title,
                trial.pruner,
                point,
                standing.better,
                standing.others,
            )

    def outcome(self, found: Mapping[str, Any]) -> Outcome:
        """Return how the trial ended, once it is pruned: with its last value, and no weights.

        ``found`` is what its objective has to say beside that.
        """
        goal = self._held.trial.goal
        result = {**found, goal.metric: self._last, "status": "ok", "pruned": True}
        if goal.metric == "loss" and number(result["loss"]) is None:
            result.update(loss=WORST_LOSS, diverged=True)
        if self._share is not None:
            result["pruned_at"] = self._share
        return Outcome(result)


def share_of(progress: Mapping[str, Any], cost: float | None) -> float | None:
    """Return how much of a trial is done, as a share of its length; None if that is not known.

    A function says it with a step ``of`` how many, others with how much is ``done`` of its cost.
    """
    done, whole = number(progress.get("step")), number(progress.get("of"))
    if done is None or whole is None:
        done, whole = number(progress.get("done")), cost
    return None if done is None or whole is None or whole <= 0 else done / whole


def _warn_once(study: str, metric: str, pruner: str) -> None:
    if (study, metric) in _warned:
        return
    _warned.add((study, metric))
    log.warning(
        "study %s: a trial has reached the first point of comparison without reporting %s, and "
        "without that none is ended early (pruner %s)",
        study,
        metric,
        pruner,
    )
