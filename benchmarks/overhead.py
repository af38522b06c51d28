"""What a trial costs beside its training, with a warm worker and a real mongod.

    python benchmarks/overhead.py [--trials 100]

One worker process' loop (claim, heartbeat, outbox on disk, weights to GridFS, finish) runs trials
whose objective returns at once with LeNet-5's weights. All time is overhead.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from model.checkpoint import pack_weights
from model.lenet import LeNet5
from store.connection import Store
from store.embedded import embedded_server
from store.trial import SEARCH, Draft, Status
from worker.identity import Identity
from worker.lease import Heartbeat
from worker.loop import Terms, Worker
from worker.objectives import Context, Outcome
from worker.outbox import Outbox
from worker.stop import Stop

STUDY = "overhead"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what a trial costs beside its training")
    parser.add_argument("--trials", type=int, default=100)
    trials = parser.parse_args().trials
    weights = pack_weights(LeNet5(3, 10))

    def objective(config: dict, context: Context) -> Outcome:
        return Outcome({"status": "ok", "loss": 0.5}, weights)

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        uri = stack.enter_context(embedded_server(folder / "mongo"))
        store = stack.enter_context(Store(uri))
        store.ensure_indexes()
        for tid in range(trials):
            store.trials.post(Draft(STUDY, tid, {}, {}))
        times = _run(uri, store, objective, folder / "outbox")
        assert store.trials.counts(STUDY, SEARCH)[Status.DONE] == trials
    times.sort()
    print("trials {}, weights {:,} bytes".format(trials, len(weights)))
    print(
        "overhead a trial: median {:.1f} ms, 95th percentile {:.1f} ms".format(
            1000 * times[len(times) // 2], 1000 * times[int(0.95 * len(times))]
        )
    )


def _run(uri: str, store: Store, objective: object, outbox_folder: Path) -> "list[float]":
    identity = Identity("overhead-1", STUDY, "cpu", {})
    terms = Terms(lambda: uri, "cpu")
    times = []
    with Outbox(identity.worker, outbox_folder) as outbox:
        worker = Worker(identity, terms, {"lenet5": objective}, outbox, Stop())
        with Heartbeat(lambda: Store(uri), identity, terms.lease) as heartbeat:
            while True:
                begun = time.perf_counter()
                if not worker.run_one(store, heartbeat):
                    return times
                times.append(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
