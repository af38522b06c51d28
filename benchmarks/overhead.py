"""Evidence: a trial costs 8 ms (median) in addition to its training, with a warm worker.

Measured with a real mongod on the same machine, with 2 idle CPU cores. Trials without weights that
end at once are not measured here: a worker claims and delivers those in batches.

    python benchmarks/overhead.py [--trials 100]

A worker's loop (claim, heartbeat, outbox on disk, weights to GridFS, finish) runs trials whose
objective returns LeNet-5's weights at once, so all the time is overhead.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import scratch
from hyperhive.common.signals import StopRequest
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.worker.heartbeat import Heartbeat
from hyperhive.worker.identity import Identity
from hyperhive.worker.loop import Worker
from hyperhive.worker.objectives.api import Context, Outcome
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.settings import WorkerSettings

STUDY = "overhead"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what a trial costs in addition to its training")
    parser.add_argument("--trials", type=int, default=100)
    trials = parser.parse_args().trials
    weights = pack_weights(LeNet5(3, 10))

    def objective(config: dict, context: Context) -> Outcome:
        return Outcome({"status": "ok", "loss": 0.5}, weights)

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch())
        uri = stack.enter_context(embedded_server(folder / "mongo"))
        store = stack.enter_context(Store(uri))
        store.ensure_indexes()
        for tid in range(trials):
            store.queue.post(Draft(STUDY, tid, {}, {}, objective="lenet5"))
        times = _run(uri, store, objective, folder / "outbox")
        assert all(trial.status == Status.DONE for trial in store.trials.find(STUDY))
        assert len(times) == trials
    times.sort()
    print(f"trials {trials}, weights {len(weights):,} bytes")
    print(
        f"overhead per trial: median {1000 * times[len(times) // 2]:.1f} ms, 95th percentile "
        f"{1000 * times[int(0.95 * len(times))]:.1f} ms"
    )


def _run(uri: str, store: Store, objective: object, outbox_folder: Path) -> list[float]:
    """Run all trials; return the seconds that each took."""
    identity = Identity("overhead-1", STUDY, "cpu", {})
    settings = WorkerSettings(uri, STUDY, "cpu")
    times = []
    with Outbox(identity.worker, outbox_folder) as outbox:
        worker = Worker(settings, identity, {"lenet5": objective}, outbox, StopRequest())
        with Heartbeat(lambda: Store(uri), identity, settings.lease) as heartbeat:
            while True:
                started_at = time.perf_counter()
                if not worker.run_next(store, heartbeat):
                    return times
                times.append(time.perf_counter() - started_at)


if __name__ == "__main__":
    main()
