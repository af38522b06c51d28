"""Fault 24: second copies of trials by real workers, one of which is killed or stopped."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any, Iterator

from support.books import check
from support.fleet import Fleet, draft, ended, running
from support.home import Home, until

from hyperhive.store.store import Store
from hyperhive.store.trial import Draft, Status, Trial

EPOCHS = 20


@contextlib.contextmanager
def held_back(fleet: Fleet, trial: Draft) -> Iterator[None]:
    """Keep every run of a trial from ending: its holder stays in its second epoch."""
    hold: Path = fleet.audit / "hold-{}".format(trial.config["learning_rate"])
    hold.touch()
    try:
        yield
    finally:
        hold.unlink()


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


def as_stored(store: Store, study: str, **condition: Any) -> Any:
    """Return a study's first trial if it meets a condition by the server's clock."""
    return store.database.jobs.find_one({"exp_key": study, "tid": 0, "$expr": condition})


def test_24_a_copy_and_its_holder_may_each_vanish(home: Home) -> None:
    """If the holder is killed, its copy keeps the trial, and the copy's result counts.

    If the copy is stopped for longer than a lease, the holder's result counts; the copy's is late.
    """
    fleet = Fleet(home, lease=4.0)  # a heartbeat may be three seconds late
    first = draft("s", 0, epochs=EPOCHS, max_attempts=2)
    holder = fleet.worker()
    with fleet.store() as store:
        with held_back(fleet, first):
            trial = with_a_copy(store, fleet, "s", first)
            assert trial.copy is not None
            fleet.kill(holder)
            (left,) = store.trials.find("s", tids=[0])
            is_over = {"$gt": ["$$NOW", left.lease_until]}
            kept = {"$and": [is_over, {"$gt": ["$lease_until", "$$NOW"]}]}
            until(lambda: as_stored(store, "s", **kept), "a lease longer than the holder left")
        done = ended(store, "s")[0]
        assert (done.status, done.winner, done.late) == (Status.DONE, trial.copy.token, 0)
        assert (done.owner, done.claims, done.attempts) == (trial.copy.worker, 1, 2)
        check(store, "s", 2, fleet.audit, fleet.outbox)

        second = draft("t", 0, epochs=EPOCHS)
        with held_back(fleet, second):
            trial = with_a_copy(store, fleet, "t", second, deaf="")
            assert trial.copy is not None
            slot = int(trial.copy.worker.split("-")[-2])
            os.kill(slot, signal.SIGSTOP)
            silent = {"$lt": ["$copy.until", "$$NOW"]}
            until(lambda: as_stored(store, "t", **silent), "a lease without the copy")
        done = ended(store, "t")[0]
        os.kill(slot, signal.SIGCONT)
        assert (done.status, done.winner) == (Status.DONE, trial.token)
        assert (done.owner, done.claims) == (trial.owner, 1)
        until(lambda: store.trials.find("t")[0].late == 1, "the copy's result")
        check(store, "t", 2, fleet.audit, fleet.outbox)
