"""Fault 25: trials that end early, by workers that are killed, cut off, or late."""

from __future__ import annotations

import os
import signal

import pytest
from support import proxy
from support.books import check, check_result, events
from support.clients import claim, only, post, raw, try_claim
from support.fleet import Fleet, abandon, draft, ended, running
from support.home import slot, until
from support.plugin.hyperhive_faults import PRUNED, loss_of
from support.proxy import Proxy

from hyperhive.coordinator.ranking import ranking
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import ASHA
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial

TRIALS = 15
EPOCHS = 9


def post_all(store: Store, trials: int = TRIALS) -> None:
    """Post trials that are compared after epochs 1 and 3."""
    for tid in range(trials):
        store.queue.post(draft("s", tid, objective="stepwise", epochs=EPOCHS, pruner=ASHA))


def pruned(trials: list[Trial]) -> list[Trial]:
    """Return those that were pruned; fail unless they are as such trials are, and the best not."""
    found = [trial for trial in trials if trial.pruned]
    assert 0 < len(found) < len(trials)
    for trial in found:
        assert (trial.loss, trial.artifact) == (loss_of(trial.config), None)
        assert trial.share is not None
        assert 0 < trial.share < 1
    best = min(trials, key=lambda trial: loss_of(trial.config))
    assert ranking(trials)[0] == best
    return found


def test_25_a_worker_killed_when_it_prunes_ends_the_trial_once(fleet: Fleet) -> None:
    """Killed before the result is in the outbox, it runs again; killed later, it never does."""
    with fleet.store() as store:
        post_all(store)
        for step in PRUNED:
            fleet.worker(die_at=step)
        until(lambda: len(events(fleet.audit, "died")) == len(PRUNED), "the last death")
        died = {event["step"]: event["pid"] for event in events(fleet.audit, "died")}
        (left,) = [
            trial
            for trial in store.trials.find("s")
            if trial.status is Status.RUNNING and slot(trial) == died["pruned"]
        ]
        abandon(store, left, lambda: store.trials.find("s", tids=[left.tid])[0].claims == 2)
        trials = ended(store, "s")
        check(store, "s", TRIALS, fleet.audit, fleet.outbox)
        again = [trial.tid for trial in trials if (trial.claims, trial.attempts) != (1, 1)]
        assert (again, sum(trial.late for trial in trials)) == ([left.tid], 0)
        pruned(trials)


@pytest.mark.long
def test_25_a_lost_reply_prunes_no_trial_twice(fleet: Fleet, mongo_uri: str) -> None:
    """A trial whose rung was not answered goes on; a result whose reply was lost counts once."""
    trials = 40  # of three comparisons out of four, a reply is lost
    kinds = (proxy.reach, lambda command: proxy.kind(command) == "aggregate", proxy.finish)
    drops = [proxy.every_second(each) for each in kinds]
    losing = Proxy.of(mongo_uri, lambda command: any(drop(command) for drop in drops))
    with losing as between, fleet.store() as store:
        post_all(store, trials)
        for _ in range(2):
            fleet.worker(uri=between.uri(mongo_uri))
        found = ended(store, "s", 120)
        assert {"reach", "aggregate", "finish"} <= set(between.dropped)
        check(store, "s", trials, fleet.audit, fleet.outbox)
        assert {(t.status, t.attempts, t.late) for t in found} == {(Status.DONE, 1, 0)}
        pruned(found)


@pytest.mark.long
def test_25_coordinators_count_pruned_trials_once(fleet: Fleet) -> None:
    """One of two is killed; the other and a third come to the same end, with a whole winner."""
    plan = {"objective": "stepwise", "pruner": "asha"}
    fleet.worker(seconds="0.3")
    with fleet.store() as store:
        first, second = (fleet.coordinator("s", TRIALS, **plan) for _ in range(2))
        until(lambda: any(trial.pruned for trial in store.trials.find("s")), "a pruned trial")
        first.signal(signal.SIGKILL)
        third = fleet.search("s", TRIALS, **plan)
        assert (second.end(), third.returncode) == (0, 0), second.said() + third.stderr
        check(store, "s", TRIALS, fleet.audit, fleet.outbox)
        check_result(store, "s")
        count = len(pruned(store.trials.find("s", SEARCH)))
        assert f"{count} of {TRIALS} trials ended early (asha)" in third.stdout
        others = [trial for trial in store.trials.find("s") if trial.purpose != SEARCH]
        assert [(trial.pruner, trial.rungs, trial.pruned) for trial in others] == [
            ("none", {}, False)
        ] * len(others)
        said = fleet.home.call("status", HYPERHIVE_MONGO=fleet.uri).stdout
        assert f"{count} of {TRIALS} were pruned" in said


@pytest.mark.parametrize("first", [True, False])
def test_25_the_first_result_counts_pruned_or_not(store: Store, first: bool) -> None:
    """Two runs of a trial: one was pruned, the other was not; the later one is kept as late."""
    assert post(store, pruner=ASHA)
    early = claim(store, lease=0)
    late = claim(store, "w2")
    results = {True: {"loss": 0.5, "pruned": True}, False: {"loss": 0.25}}
    assert store.queue.finish(early.id, str(early.token), results[first])
    for _ in range(2):
        assert not store.queue.finish(late.id, str(late.token), results[not first])
    assert store.queue.finish(early.id, str(early.token), results[first])
    assert (only(store).pruned, only(store).loss) == (first, results[first]["loss"])
    assert [entry["result"] for entry in raw(store)["late"]] == [results[not first]]
    assert (try_claim(store, "w3"), store.queue.expire()) == (None, 0)


@pytest.mark.long
def test_25_a_frozen_worker_does_not_resurrect_a_pruned_trial(fleet: Fleet) -> None:
    """Its lease was over, and another worker pruned the trial: the run that goes on is late."""
    with fleet.store() as store:
        slow = draft("s", 0, objective="stepwise", epochs=EPOCHS, pruner=ASHA)
        worse = [
            draft("s", tid, objective="stepwise", epochs=EPOCHS, pruner=ASHA)
            for tid in range(1, 60)
            if loss_of({"learning_rate": round(0.001 * (tid + 1), 6)}) < loss_of(slow.config)
        ][:3]
        store.queue.post(slow)
        with fleet.held_back(slow.config):
            fleet.worker()
            held = running(store, "s")
            os.kill(slot(held), signal.SIGSTOP)
        for better in worse:
            store.queue.post(better)
        fleet.worker()
        until(
            lambda: all(store.trials.find("s", tids=[each.tid])[0].is_final for each in worse),
            "the better trials",
        )
        abandon(store, held, lambda: store.trials.find("s", tids=[0])[0].is_final)
        before = store.trials.find("s", tids=[0])[0]
        assert (before.pruned, before.claims) == (True, 2)
        os.kill(slot(held), signal.SIGCONT)
        until(lambda: running_nothing(store, held), "the end of the frozen run")
        after = store.trials.find("s", tids=[0])[0]
        assert (after.pruned, after.winner, after.result) == (True, before.winner, before.result)


def running_nothing(store: Store, held: Trial) -> bool:
    """Whether the worker that held a trial is idle again."""
    return any(w.id == held.owner and w.trial is None for w in store.workers.present())
