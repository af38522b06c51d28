"""Evidence: the report of 10,000 trials on 50 workers takes 2.6 s, and is a file of 1.4 MB.

That is one run on two cores that ran the test suite too; 2.2 s of it were the processor's.

    python benchmarks/report_scale.py [--trials 10000] [--workers 50] [--output FILE]

The report of a study of 10,000 trials: the seconds from the start of ``hyperhive report`` to its
end, and the size of its file. The trials have eight parameters of all kinds, a history of 20
epochs, and ran on 50 workers; every second one that was bad was pruned, every twentieth had lost
its worker before, and every hundredth has failed.
"""

from __future__ import annotations

import argparse
import datetime
import heapq
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bson import ObjectId

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import scratch
from hyperhive.common.wording import size
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.updates import new_document

DEVICES = ("NVIDIA RTX 4090", "Apple MPS", "AMD Ryzen 9")
EPOCHS = 20
SPACE = {
    "learning_rate": {"distribution": "loguniform", "low": 1e-5, "high": 0.3},
    "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.99},
    "weight_decay": {"distribution": "loguniform", "low": 1e-7, "high": 1e-2},
    "dropout": {"distribution": "quniform", "low": 0, "high": 0.6, "step": 0.05},
    "width": {"distribution": "uniformint", "low": 8, "high": 256},
    "layers": {"distribution": "randint", "low": 1, "high": 7},
    "optimizer": {
        "choices": [
            {"kind": "adam"},
            {"kind": "sgd", "nesterov": {"choices": [False, True]}},
            {"kind": "lamb"},
        ]
    },
}


def fill(store: Store, name: str, count: int, workers: int, seed: int = 0) -> None:
    """Make a study, with so many trials that ended on so many workers."""
    chance = random.Random(seed)
    plan = Plan(name=name, trials=count, space=parse(SPACE), objective="f.py:f", metric="error")
    study = Study(plan)
    store.studies.open(name, study.spec())
    names = [f"host{place:02}-{100 + place}-{place:06x}" for place in range(workers)]
    for place, worker in enumerate(names):
        store.workers.report(worker, None, DEVICES[place % len(DEVICES)], {}, None)
    hours = datetime.timedelta(seconds=400.0 * count / workers)
    start = datetime.datetime.now(datetime.timezone.utc) - hours
    free = [(chance.uniform(0, 5), worker) for worker in names]
    documents = []
    for tid in range(count):
        begin, worker = heapq.heappop(free)
        document, took = ended(study.suggested(tid, drawn(chance)), chance, start, begin, worker)
        documents.append(document)
        heapq.heappush(free, (begin + took, worker))
    for first in range(0, count, 1000):
        store.database["jobs"].insert_many(documents[first : first + 1000])


def drawn(chance: random.Random) -> dict[str, Any]:
    """Return values of the space."""
    optimizer = chance.randrange(3)
    return {
        "learning_rate": 10 ** chance.uniform(-5, -0.53),
        "momentum": chance.uniform(0, 0.99),
        "weight_decay": 10 ** chance.uniform(-7, -2),
        "dropout": round(chance.randint(0, 12) * 0.05, 2),
        "width": chance.randint(8, 256),
        "layers": chance.randint(1, 6),
        "optimizer": optimizer,
        **({"nesterov": chance.randrange(2)} if optimizer == 1 else {}),
    }


def ended(
    draft: Draft, chance: random.Random, start: datetime.datetime, begin: float, worker: str
) -> tuple[dict[str, Any], float]:
    """Return the document of a trial that has ended, and the seconds that it took."""
    vals, tid = draft.vals, draft.tid
    loss = 0.05 + 0.05 * abs(math.log10(vals["learning_rate"]) + 2.5) + 0.1 * vals["dropout"]
    loss += chance.expovariate(20)
    is_pruned = loss > 0.25 and tid % 2 == 0
    steps, took = (4 if is_pruned else EPOCHS), chance.uniform(200, 600)
    took *= steps / EPOCHS

    def at(seconds: float) -> datetime.datetime:
        return start + datetime.timedelta(seconds=seconds)

    token = f"{tid:032x}"
    issued: list[dict[str, Any]] = [{"token": token, "worker": worker, "at": at(begin)}]
    if tid % 20 == 19:
        lost = {"token": f"{tid:031x}l", "worker": worker, "at": at(begin - 100)}
        issued = [lost, {**issued[0], "before": {"at": at(begin - 40), "how": "lost"}}]
    history = [{"step": step, "error": loss * (1 + 2 / step)} for step in range(1, steps + 1)]
    last = history[-1]["error"]
    pruned = {"pruned": True, "pruned_at": steps / EPOCHS} if is_pruned else {}
    result = {"status": "ok", "loss": last, "error": last, "history": history, **pruned}
    document = {
        **new_document(draft),
        "_id": ObjectId(),
        "version": 3,
        "fence": 2,
        "owner": worker,
        "token": token,
        "issued": issued,
        "attempts": len(issued),
        "book_time": at(begin),
        "refresh_time": at(begin + took),
    }
    if tid % 100 == 99:
        error = {"kind": "objective", "message": "ValueError: the loss is no number"}
        return {**document, "state": int(Status.ERROR), "error": error}, took
    return {**document, "state": int(Status.DONE), "winner": token, "result": result}, took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="how long a large report takes, and its size")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--output", type=Path, help="keep the report there")
    options = parser.parse_args()
    with scratch() as folder, embedded_server(folder / "mongo") as uri, Store(uri) as store:
        store.ensure_indexes()
        fill(store, "large", options.trials, options.workers)
        target = (options.output or folder / "report.html").resolve()
        environment = {**os.environ, "HYPERHIVE_MONGO": uri}
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
        began, used = time.perf_counter(), os.times()
        command = [sys.executable, "-m", "hyperhive", "report", "large", "--output", str(target)]
        subprocess.run(command, env=environment, check=True)
        took, now = time.perf_counter() - began, os.times()
        seconds = sum(now[2:4]) - sum(used[2:4])
        length = size(target.stat().st_size)
        print(f"{options.trials:,} trials: {took:.1f} s ({seconds:.1f} s of processor), {length}")


if __name__ == "__main__":
    main()
