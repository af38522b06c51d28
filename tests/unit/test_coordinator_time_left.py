"""The time left, of studies at a given moment: never far too short, and never nothing."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from hyperhive.coordinator.views.study_state import StudyState, refit_length
from hyperhive.coordinator.views.wording import time_left
from hyperhive.store.trials.terms import BASELINE, REFIT, REPEAT, SEARCH, Status
from hyperhive.store.trials.trial import Copy, Trial

START = datetime(2026, 11, 22, tzinfo=timezone.utc)


def trial(tid: int, status: Status, seconds: float = 0.0, **fields: Any) -> Trial:
    """Return a trial that has run, or ran, for so many seconds; of ``w`` if it is anybody's."""
    owner = None if status is Status.NEW else "w"
    fields = {"purpose": SEARCH, "cost": 10.0, "owner": owner, "study": "s", **fields}
    document = {
        "_id": f"{fields['purpose']}/{tid}",
        "tid": tid,
        "state": int(status),
        "misc": {"cmd": ["objective", "lenet5"]},
        "result": {"loss": 0.5} if status is Status.DONE else {},
        "book_time": START,
        "refresh_time": START + timedelta(seconds=seconds),
    }
    return dataclasses.replace(Trial.from_document(document), **fields)


def done(tid: int, seconds: float, loss: float = 0.5, **fields: Any) -> Trial:
    return trial(tid, Status.DONE, seconds, **{"result": {"loss": loss}, **fields})


def runs(tid: int, seconds: float, units: float | None = None, **fields: Any) -> Trial:
    progress = None if units is None else {"done": units}
    return trial(tid, Status.RUNNING, seconds, progress=progress, **fields)


def waits(tid: int, **fields: Any) -> Trial:
    return trial(tid, Status.NEW, **fields)


def left(*trials: Trial, budget: int, refit: float = 0.0, **fields: Any) -> float | None:
    return StudyState("s", budget, trials, refit=refit, **fields).seconds_left()


def test_one_worker_has_all_the_rest_to_do() -> None:
    """The rest of its trial, those that wait or are not posted, and the refit, which is longer."""
    state = [done(0, 100.0), runs(1, 40.0, units=4), waits(2)]
    assert left(*state, budget=4) == pytest.approx(60 + 100 + 100)
    assert left(*state, budget=4, refit=1.25) == pytest.approx(260 + 125)


def test_repeats_are_counted_before_they_are_posted_and_after() -> None:
    """They cost as much as the best trials so far; posted, they are trials that wait."""
    state = [done(0, 200.0, 0.1, cost=20.0), done(1, 100.0), runs(2, 40.0, units=4)]
    assert left(*state, budget=3, repeats=2) == pytest.approx(60 + 2 * (200 + 100))
    posted = [waits(tid, purpose=REPEAT, cost=20.0) for tid in (1, 2)]
    assert left(*state, *posted, budget=3, repeats=2) == pytest.approx(60 + 2 * 200 + 2 * 100)
    others = [waits(tid, purpose=REPEAT) for tid in (1001, 1002)]
    assert left(*state, *posted, *others, budget=3, repeats=2) == pytest.approx(60 + 2 * 200 + 200)


def test_the_refit_takes_as_long_as_the_trial_that_won() -> None:
    """With repeats, that need not be the best of the search."""
    state = [done(0, 100.0, 0.2), done(1, 300.0, 0.3, cost=30.0), runs(2, 0.0, units=0)]
    assert left(*state, budget=3, refit=1.0) == pytest.approx(100 + 200)
    assert left(*state, budget=3, refit=1.0, winner=1) == pytest.approx(100 + 300)


def test_trials_count_by_their_cost() -> None:
    """A trial of thirty units takes three times as long as one of ten."""
    state = [done(0, 100.0), runs(1, 0.0, cost=30.0), waits(2, cost=5.0)]
    assert left(*state, budget=3) == pytest.approx(300 + 50)


def test_the_last_long_trial_and_the_refit_count_in_full() -> None:
    """Quick trials so far, and at the end a long one that wins: minutes are left, not seconds."""
    quick = [done(tid, 19.0, loss=0.9, cost=2.0) for tid in range(8)]
    last = runs(8, 9.5, units=1, cost=24.0)
    assert left(*quick, last, budget=9, refit=1.25) == pytest.approx(9.5 * 23 + 1.25 * 19)
    winner = done(8, 228.0, loss=0.1, cost=24.0)
    refit = waits(8, purpose=REFIT, cost=24.0, owner=None)
    begun = runs(8, 0.0, units=0, purpose=REFIT, cost=24.0)
    assert left(*quick, winner, begun, budget=9, refit=1.25) == pytest.approx(1.25 * 228, rel=0.1)
    halfway = runs(8, 140.0, units=12, purpose=REFIT, cost=24.0)
    assert left(*quick, winner, halfway, budget=9, refit=1.25) == pytest.approx(140.0)
    assert left(*quick, winner, refit, budget=9, refit=1.25) == 0.0  # nobody has taken it yet


def test_a_winner_that_takes_longer_per_unit_is_refitted_as_slowly() -> None:
    """A searched batch size changes what an epoch takes: the winner's own time tells."""
    quick = [done(tid, 10.0, loss=0.9) for tid in range(3)]
    slow = done(3, 100.0, loss=0.1)
    last = runs(4, 5.0, units=5)
    assert left(*quick, slow, last, budget=5, refit=1.25) == pytest.approx(5 + 125)


def test_a_trial_that_was_pruned_counts_by_what_was_run() -> None:
    """Its pace is that of its part, and as much of those to come is expected to be run."""

    def pruned(tid: int, share: float | None, seconds: float) -> Trial:
        result = {"loss": 0.5, "pruned": True, "pruned_at": share}
        return done(tid, seconds, result=result)

    running = runs(2, 0.0, units=0)
    state = [done(0, 100.0), pruned(1, 0.2, 20.0), running]
    assert left(*state, budget=4) == pytest.approx(100 + 0.6 * 100)
    nobody_knows = [done(0, 100.0), pruned(1, None, 20.0), running]
    assert left(*nobody_knows, budget=4) == pytest.approx(100 + 100)
    without_costs = [dataclasses.replace(each, cost=None) for each in nobody_knows]
    assert left(*without_costs, budget=4) == pytest.approx(60 + 60)


def test_the_baseline_counts() -> None:
    """The study ends no sooner than it: it waits, or runs on a slow worker."""
    waiting = waits(0, purpose=BASELINE, cost=2.0)
    assert left(done(0, 100.0), runs(1, 50.0, units=5), waiting, budget=2) == pytest.approx(70.0)
    running = runs(0, 300.0, units=1, purpose=BASELINE, cost=2.0, owner="nano")
    assert left(done(0, 100.0), done(1, 100.0), running, budget=2) == pytest.approx(300.0)


def test_unlike_workers_share_the_rest_by_their_pace() -> None:
    """A worker of 10 s a trial and one of 40 s: what comes goes to the one that is free first."""
    state = [done(0, 10.0, owner="mac"), done(1, 40.0, owner="nano")]
    state += [runs(2, 0.0, owner="mac"), runs(3, 0.0, owner="nano"), waits(4), waits(5)]
    assert left(*state, budget=6) == pytest.approx(40.0)
    assert left(*state, budget=8) == pytest.approx(50.0)  # of the fifth trial of the mac


def test_a_slow_worker_that_ends_last_is_overtaken_by_a_copy() -> None:
    """A fast one runs its trial again, in clearly less time."""
    state = [done(0, 10.0, owner="mac"), done(1, 400.0, owner="nano")]
    state += [runs(2, 5.0, units=5, owner="mac"), runs(3, 40.0, units=1, owner="nano")]
    assert left(*state, budget=4) == pytest.approx(5 + 1.25 * 10)
    copied = dataclasses.replace(state[3], copy=Copy("t", "mac", {"done": 4}))
    assert left(*state[:2], done(2, 10.0, owner="mac"), copied, budget=4) == pytest.approx(6.0)


def test_without_costs_nothing_is_copied_and_each_trial_counts_the_same() -> None:
    """A slow worker's last trial is waited for; what ``done`` counts in is unknown."""
    free = {"cost": None}
    state = [done(0, 10.0, owner="mac", **free), done(1, 400.0, owner="nano", **free)]
    state += [runs(2, 40.0, units=3, owner="nano", **free)]
    assert left(*state, budget=3) == pytest.approx(360.0)


def test_a_worker_that_has_finished_nothing_shows_its_pace_by_its_progress() -> None:
    """The first trials of all, or the first of a slow newcomer."""
    assert left(runs(0, 20.0, units=2), budget=3) == pytest.approx(80 + 200)
    assert left(runs(0, 20.0, units=0), budget=3) is None
    state = [done(0, 10.0), runs(1, 200.0, units=0, owner="nano")]
    assert left(*state, budget=2) == pytest.approx(2000.0)


def test_an_overdue_trial_takes_some_time_yet() -> None:
    """It runs, though the others ended sooner: there is never nothing left."""
    state = [done(0, 10.0, cost=None), runs(1, 40.0, cost=None)]
    assert left(*state, budget=2) == pytest.approx(10.0)


def test_many_trials_are_estimated_at_once() -> None:
    """However large the budget is."""
    state = [done(0, 10.0), runs(1, 0.0), runs(2, 0.0)]
    assert left(*state, budget=10_001) == pytest.approx(50_000.0, rel=0.01)
    assert left(*state, budget=2**62) == pytest.approx(2**62 * 5.0, rel=0.01)


def test_nobody_works_or_nothing_is_to_come() -> None:
    """It is unknown while the search waits; a study that has ended has no time left."""
    assert left(done(0, 10.0), waits(1), budget=3) is None
    assert left(done(0, 10.0), runs(1, 0.0), budget=3, cancelled=True) is None
    assert left(done(0, 10.0), budget=1, has_ended=True) is None


def test_it_finishes_where_nothing_tells_how_long_it_takes() -> None:
    """After the refit the model is tested and drawn; before it, nobody may have taken it yet."""
    refitted = done(0, 12.0, purpose=REFIT)
    for state in ([done(0, 10.0)], [done(0, 10.0), refitted]):
        assert left(*state, budget=1, refit=1.25) == 0.0
    assert time_left(0.0) == time_left(0.9) == "finishing"
    assert time_left(1.0) == "about 1 s left"
    assert time_left(None) == ""


@pytest.mark.parametrize("units", [1e-308, -1.0, 1e308])
def test_what_a_worker_invents_makes_no_time(units: float) -> None:
    """An estimate that is no number is none."""
    state = (done(0, 10.0), runs(1, 1e6, units=units, cost=1e308))
    seconds = left(*state, budget=5)
    assert seconds is None or 0 <= seconds < float("inf")


def test_a_refit_takes_as_much_longer_as_it_has_more_images() -> None:
    """A fifth was held out: a quarter more than the trial had."""
    assert refit_length(True, 0.2) == pytest.approx(1.25)
    assert refit_length(True, 0.5) == pytest.approx(2.0)
    assert refit_length(True, 0.2, folds=5) == pytest.approx(0.25)  # of five trainings on 4/5
    assert refit_length(False, 0.5) == 0.0
