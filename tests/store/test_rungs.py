"""What a trial has reached is kept under its claim, and the other trials of its study compared."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.clients import claim, finish, only, post, raw

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token


def held(store: Store, tid: int = 0, lease: float = 60.0, **fields: Any) -> Trial:
    assert post(store, tid, **fields)
    return claim(store, lease=lease)


def test_rungs_are_kept_until_another_claim(store: Store) -> None:
    """Each has a name; a new run of the trial begins without any."""
    trial = held(store, lease=0)
    store.queue.reach(trial, "1/9", 0.5)
    reached = store.queue.reach(trial, "1/3", 0.25)
    assert (reached.rungs, reached.version) == ({"1/9": 0.5, "1/3": 0.25}, trial.version + 2)
    assert (reached.fence, reached.token) == (trial.fence, trial.token)
    assert claim(store, "w2").rungs == {}
    with pytest.raises(LeaseLost):
        store.queue.reach(trial, "1/9", 0.5)
    assert only(store).rungs == {}


def test_the_copy_of_a_trial_reaches_its_rungs_too(store: Store) -> None:
    """The holder's claim stays as it is; the last value of the two counts."""
    trial = held(store, cost=1.0)
    copied = store.queue.copy("w2", new_token(), ["lenet5"], "s", -1e6)
    assert copied is not None
    store.queue.reach(trial, "1/9", 0.5)
    store.queue.reach(copied, "1/9", 0.75)
    assert only(store).rungs == {"1/9": 0.75}
    assert store.queue.heartbeat(trial).token == trial.token


def test_a_finished_trial_reaches_nothing(store: Store) -> None:
    """Its result never changes, and nor do its rungs."""
    trial = held(store)
    finish(store, trial)
    before = raw(store)
    with pytest.raises(LeaseLost):
        store.queue.reach(trial, "1/9", 0.5)
    assert raw(store) == before


def test_a_trial_is_compared_with_the_others_of_its_study(store: Store) -> None:
    """Those that run count, and equal ones are not better; other studies and purposes do not."""
    mine = held(store)
    store.queue.reach(mine, "1/9", 0.5)
    for tid, loss in enumerate([0.25, 0.5, 0.75, math.inf], 1):
        store.queue.reach(held(store, tid), "1/9", loss)
    store.queue.reach(held(store, 5), "1/3", 0.125)
    store.queue.reach(held(store, 0, purpose=BASELINE), "1/9", 0.125)
    store.queue.post(Draft("t", 0, {}, {}, objective="lenet5"))
    store.queue.reach(claim(store), "1/9", 0.125)
    assert store.trials.at_rung(mine, "1/9", 0.5, only_full=False) == (4, 1)
    assert store.trials.at_rung(mine, "1/9", math.inf, only_full=False) == (4, 3)
    assert store.trials.at_rung(mine, "step 3", 0.5, only_full=False) == (0, 0)


def test_only_trials_that_ran_to_their_end_count_where_only_they_may(store: Store) -> None:
    """One that runs or was pruned does not."""
    mine = held(store)
    running, full, pruned = (held(store, tid) for tid in (1, 2, 3))
    for trial in (running, full, pruned):
        store.queue.reach(trial, "1/9", 0.25)
    finish(store, full)
    store.queue.finish(pruned.id, str(pruned.token), {"loss": 0.25, "pruned": True})
    assert store.trials.at_rung(mine, "1/9", 0.5, only_full=True) == (1, 1)
    assert store.trials.at_rung(mine, "1/9", 0.5, only_full=False) == (3, 3)


RUBBISH = ["0.1", None, True, [0.1], {"a": 0.1}, math.nan, {"1/9": 0.1}]


def test_rubbish_at_a_rung_counts_for_nothing(store: Store) -> None:
    """A worker's login can write anything there: it stops nobody, and is not compared with."""
    mine = held(store)
    for tid, value in enumerate(RUBBISH, 1):
        held(store, tid)
        store.database.jobs.update_one({"tid": tid}, {"$set": {"rungs": {"1/9": value}}})
    for tid, value in enumerate(RUBBISH[:-1], 100):
        held(store, tid)
        store.database.jobs.update_one({"tid": tid}, {"$set": {"rungs": value, "result": value}})
        assert only(store, tid).rungs == {} or value == {"a": 0.1}
    assert store.trials.at_rung(mine, "1/9", 0.5, only_full=False) == (0, 0)
    store.database.jobs.update_one({"tid": 0}, {"$set": {"rungs": [1, "x"]}})
    assert store.queue.reach(mine, "1/9", 0.5).rungs == {"1/9": 0.5}
