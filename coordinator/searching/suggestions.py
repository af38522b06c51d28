"""The next suggestions of a search, from its trials as they were read: none of it needs a store."""

from __future__ import annotations

from datetime import datetime
from typing import Iterable

from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.history import History
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.searching.demand import Demand
from hyperhive.coordinator.searching.numbers import Numbers
from hyperhive.coordinator.suggest import Suggester
from hyperhive.store.trials.trial import Trial


class Suggestions:
    """Which numbers are free, what is known of the trials before them, and what to try next.

    Args:
        plan: of the study.
        not_ours: numbers that the search may not use.
    """

    def __init__(self, plan: Plan, not_ours: Iterable[int] = ()) -> None:
        self._suggester = Suggester(plan.chosen_algorithm, plan.space, plan.seed, plan.startup)
        self._history = History(plan.space, self._suggester.learns)
        self.demand = Demand(self._suggester.learns)
        """How many trials are to wait."""
        self.numbers = Numbers(not_ours)
        """Those that trials have, and those that the search may not use."""

    @property
    def latest_claim(self) -> datetime | None:
        """The moment at which a suggestion is due that is made now, see ``History.known``."""
        return self._history.latest_claim

    def take(self, trial: Trial) -> None:
        """Take a trial as it was read, for the first time or again."""
        self.numbers.add(trial.tid)
        self.demand.take(trial)
        self._history.take(trial)

    def forget(self, tid: int) -> None:
        """Forget what is known of a trial that is gone; its number stays taken."""
        self._history.forget(tid)

    def known(self, moment: datetime | None) -> Known:
        """Return what was known at a moment, see ``History.known``."""
        return self._history.known(moment)

    def values(self, tid: int, known: Known) -> dict[str, float]:
        """Return the values of a trial that is about to be posted: it is pending for the next."""
        values = self._suggester.suggest(tid, known)
        self._history.expect(tid, values)
        return values
