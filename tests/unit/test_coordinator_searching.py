"""The parts of a search: free numbers, demand, pauses, and rules that end it."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from hyperhive.coordinator.planning.stop_rules import Stopping, StopRules
from hyperhive.coordinator.searching.demand import Demand
from hyperhive.coordinator.searching.numbers import Numbers
from hyperhive.coordinator.searching.pace import LONGEST_S, Pace
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def trial(tid: int, milliseconds: float, **fields: Any) -> Trial:
    """Return a trial that was claimed, and has ended, so long after noon."""
    at = NOON + timedelta(milliseconds=milliseconds)
    return replace(
        Trial.from_document({"_id": tid, "tid": tid, "state": 2}),
        **{"tid": tid, "status": Status.DONE, "first_claim": at, "refresh_time": at, **fields},
    )


def test_free_numbers_are_those_that_no_trial_has() -> None:
    """In any order of adding, as a set would have it; a far one is one more run."""
    rng = random.Random(0)
    for _ in range(50):
        taken = {rng.randrange(12) for _ in range(rng.randrange(12))} | {10**9}
        order = [*taken, *taken]
        rng.shuffle(order)
        numbers = Numbers()
        for number in order:
            numbers.add(number)
        free = [number for number in range(20) if number not in taken]
        assert numbers.free(6) == free[:6]
        in_gaps = [n for a, b in numbers.gaps() for n in range(a, min(b or 20, 20))]
        assert in_gaps == free
        assert numbers.gaps()[-1] == (10**9 + 1, None)


@pytest.mark.parametrize(("apart", "count"), [(1, 40), (10, 10), (50, 2), (100, 1), (3000, 1)])
def test_trials_of_100_ms_are_not_claimed_ahead(apart: int, count: int) -> None:
    """One worker's claims count while they are less than 100 ms before its last; each once."""
    demand = Demand()
    for tid in [*range(40), *range(40)]:
        demand.take(trial(tid, apart * tid))
    assert demand.count(1, 1) == count
    demand.take(trial(0, 0))  # it is read again, and was claimed long ago
    assert demand.count(1, 1) == max(count, 40 if apart == 1 else 1)


@pytest.mark.parametrize(
    ("seconds", "waiting"), [(60.0, 1), (8.0, 1), (4.0, 2), (1.25, 7), (0.5, 16), (0.1, 16)]
)
def test_as_many_wait_as_workers_will_take_in_half_a_second(seconds: float, waiting: int) -> None:
    """At most one for each, by how long trials took lately; the first ones took an hour each."""
    demand = Demand()
    for tid in range(50):
        hour = 3_600_000
        began, took = (-2 * hour, hour) if tid < 10 else (200 * tid, round(1000 * seconds))
        demand.take(trial(tid, began, refresh_time=NOON + timedelta(milliseconds=began + took)))
    assert demand.count(16, 16) == waiting


def test_one_waits_for_each_idle_worker_and_one_more_for_none() -> None:
    """Nothing is known of how long trials take."""
    assert [Demand().count(16, running) for running in (0, 5, 15, 16, 17)] == [16, 11, 1, 1, 1]
    assert Demand().count(0, 0) == 1


def test_suggestions_that_need_no_results_wait_for_every_worker() -> None:
    """Nothing is lost by making them early."""
    assert [Demand(learns=False).count(workers, 3) for workers in (0, 3, 16)] == [1, 3, 16]


def test_pauses_are_short_while_a_quarter_of_the_trials_changes() -> None:
    """Otherwise they grow to the longest, which an idle coordinator has."""
    pace = Pace()
    idle = [pace.pause(0, 8) for _ in range(8)]
    assert idle[-1] == LONGEST_S
    assert pace.pause(1, 8) == LONGEST_S
    assert pace.pause(3, 8) < LONGEST_S / 10
    assert pace.pause(4, 8) < LONGEST_S / 10


def test_pauses_grow_with_the_time_in_which_no_trial_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To a tenth of it, and never above half a second."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace()
    assert [pace.pause(1, 2) for _ in range(7)][-2:] == [LONGEST_S, LONGEST_S]
    now += 2
    assert pace.pause(1, 2) == pytest.approx(0.2)
    now += 60
    assert [pace.pause(1, 2) for _ in range(3)] == [0.4, 0.5, 0.5]
    assert pace.pause(2, 2) < LONGEST_S / 10


def test_rules_depend_on_when_trials_ended_not_on_when_that_was_seen() -> None:
    """Patience counts what ended after the best trial, the target is the first that reached it."""
    losses = [0.9, 0.3, 0.5, 0.05, 0.4, 0.07, 0.8]
    ended = [trial(tid, tid, result={"loss": loss}) for tid, loss in enumerate(losses)]
    rules = {
        "target reached: trial 3 has loss 0.05": StopRules.of(0.2, None, None, ended[0].goal),
        "3 trials ended without a better one than trial 3": StopRules.of(
            None, None, 3, ended[0].goal
        ),
    }
    for why, each in rules.items():
        for seed in range(5):
            stopping = Stopping(each)
            for seen in random.Random(seed).sample(ended, len(ended)):
                stopping.take(seen)
            assert str(stopping.why_stop(0.0)).startswith(why)
