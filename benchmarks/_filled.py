"""Studies of many finished trials, written as workers' deliveries would have left them."""

from __future__ import annotations

import datetime
import random
from typing import Any

from bson import ObjectId

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.updates import new_document

EPOCHS = 20
_SECONDS = 20.0
_BATCH = 1000


def fill(store: Store, study: str, count: int, objective: str, workers: int = 4) -> None:
    """Insert the trials 0 to ``count`` - 1 of a study as DONE, each with a history of 20 epochs.

    Every twentieth was claimed a second time after its first worker was lost, and every hundredth
    has failed.
    """
    chance = random.Random(0)
    now = datetime.datetime.now(datetime.timezone.utc)
    start = now - datetime.timedelta(seconds=count * _SECONDS / workers)
    for first in range(0, count, _BATCH):
        tids = range(first, min(first + _BATCH, count))
        booked = [start + datetime.timedelta(seconds=tid * _SECONDS / workers) for tid in tids]
        documents = [
            _ended(Draft(study, tid, *_drawn(chance), objective), chance, at, tid % workers)
            for tid, at in zip(tids, booked)
        ]
        with store.guard():
            store.database["jobs"].insert_many(documents)


def _drawn(chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    vals = {
        "learning_rate": 10 ** chance.uniform(-4, -1),
        "momentum": chance.uniform(0, 0.95),
        "weight_decay": 10 ** chance.uniform(-6, -2),
        "dropout": chance.uniform(0, 0.5),
        "width": chance.randint(8, 64),
    }
    return dict(vals), vals


def _ended(
    draft: Draft, chance: random.Random, booked: datetime.datetime, worker: int
) -> dict[str, Any]:
    document = new_document(draft)
    name, token = f"worker-{worker}", f"{draft.tid:032x}"
    lost = [{"token": "0" + token[1:] + "lost", "worker": "worker-lost", "at": booked}]
    issued = [{"token": token, "worker": name, "at": booked}]
    if draft.tid % 20 == 19:
        issued = lost + issued
    loss = chance.uniform(0.1, 0.9)
    history = [
        {"step": step, "loss": loss * (1 + 1 / step), "accuracy": 1 - loss, "seconds": 1.0 * step}
        for step in range(1, EPOCHS + 1)
    ]
    document.update(
        {
            "_id": ObjectId(),
            "version": 3 * len(issued),
            "fence": 2 * len(issued),
            "owner": name,
            "token": token,
            "issued": issued,
            "attempts": len(issued),
            "book_time": booked,
            "refresh_time": booked + datetime.timedelta(seconds=_SECONDS),
        }
    )
    if draft.tid % 100 == 99:
        error = {"kind": "objective", "message": "ValueError: the loss is no number"}
        return {**document, "state": int(Status.ERROR), "error": error}
    result = {"status": "ok", "loss": loss, "accuracy": 1 - loss, "history": history}
    return {**document, "state": int(Status.DONE), "winner": token, "result": result}
