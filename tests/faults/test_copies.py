"""Fault 24: second copies of trials by real workers, one of which is killed or stopped."""

from __future__ import annotations

import os
import signal
from typing import Any

from support.books import check
from support.fleet import Fleet, draft, ended, running
from support.home import until

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

EPOCHS = 20


def with_a_copy(store: Store, fleet: Fleet, study: str, holders: Draft, **faults: str) -> Trial:
    """Post a study's two trials: a long one, and one for a worker that is idle afterwards.

    Returns the first one, once that worker runs a copy of it.
    """
    store.studies.open(study, {"trials": 2})
    store.queue.post(holders)
    running(store, study)
    store.queue.post(draft(study, 1, epochs=EPOCHS))
    fleet.worker(**faults)
    copied: Trial = until(lambda: is_copied(store, study), "a copy in study " + study)
    return copied


def is_copied(store: Store, study: str) -> Trial | None:
    (trial,) = store.trials.find(study, tids=[0])
    return trial if trial.copy is not None else None


def test_24_a_copy_keeps_the_trial_of_a_holder_that_is_killed(fleet: Fleet) -> None:
    """The holder is killed: its copy keeps the trial, and the copy's result counts."""
    first = draft("s", 0, epochs=EPOCHS, max_attempts=2)
    holder = fleet.worker()
    with fleet.store() as store:
        with fleet.held_back(first.config):
            trial = with_a_copy(store, fleet, "s", first)
            assert trial.copy is not None
            fleet.kill(holder)
            store.database.jobs.update_one(its(trial), [{"$set": {"lease_until": "$$NOW"}}])
            is_kept = {**its(trial), "$expr": {"$gt": ["$lease_until", "$$NOW"]}}
            until(lambda: store.database.jobs.find_one(is_kept), "a lease that the copy renewed")
        done = ended(store, "s")[0]
        assert (done.status, done.winner, done.late) == (Status.DONE, trial.copy.token, 0)
        assert (done.owner, done.claims, done.attempts) == (trial.copy.worker, 1, 2)
        check(store, "s", 2, fleet.audit, fleet.outbox)


def test_24_a_holder_ends_as_ever_when_its_copy_is_frozen(fleet: Fleet) -> None:
    """The copy, silent for longer than a lease, goes on later; its result is late."""
    first = draft("s", 0, epochs=EPOCHS)
    fleet.worker()
    with fleet.store() as store:
        with fleet.held_back(first.config):
            trial = with_a_copy(store, fleet, "s", first, deaf="")
            assert trial.copy is not None
            slot = int(trial.copy.worker.split("-")[-2])
            os.kill(slot, signal.SIGSTOP)
            store.database.jobs.update_one(its(trial), [{"$set": {"copy.until": "$$NOW"}}])
        done = ended(store, "s")[0]
        os.kill(slot, signal.SIGCONT)
        assert (done.status, done.winner) == (Status.DONE, trial.token)
        assert (done.owner, done.claims) == (trial.owner, 1)
        until(lambda: store.trials.find("s")[0].late == 1, "the copy's result")
        check(store, "s", 2, fleet.audit, fleet.outbox)


def its(trial: Trial) -> dict[str, Any]:
    return {"_id": trial.id}
