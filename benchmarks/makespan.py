"""How long a study takes on unlike devices: first come, first served, against fitting the work.

    python benchmarks/makespan.py [--trials 30] [--studies 8] [--epoch 1.0]

The store, the coordinator's search and the workers' loops are real; only training is not: an epoch
of a fast, a medium and a slow device is a sleep of 1/10, 1/4 and 1 of ``--epoch`` seconds. The
search space is ``classic`` (2 to 30 epochs), drawn at random by the study's seed, so that both ways
run the very same trials; the best of them is refitted in the end, as in any study. All studies of
one way run at the same time, on devices of their own.

Times are the server's, from the first claim to the last result. The bound is that of the search on
devices that are never idle and share a trial as they like: no way of doing it can be shorter.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
import threading
import time
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hyperhive.common.signals import StopRequest
from hyperhive.coordinator.ranking import best_of
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.study import Plan, Study
from hyperhive.model.data.loading import Request
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trial import Status
from hyperhive.worker.identity import Identity
from hyperhive.worker.loop import Terms, Worker
from hyperhive.worker.objectives.api import Context, Outcome, Stopped
from hyperhive.worker.outbox import Outbox

SPEED = {"fast": 10.0, "medium": 4.0, "slow": 1.0}
"""Epochs in the time of one of the slow device."""
REFIT = 1.25
"""An epoch of all training images against one without those that are held out."""
_SLICE_S = 0.05


@dataclass(frozen=True)
class Outcomes:
    """What came of one study: seconds, and the loss of each trial by its configuration."""

    search: float
    whole: float
    bound: float
    losses: dict[tuple[str, str], float]
    copies: int
    late: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="makespan of a study on unlike devices")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--epoch", type=float, default=1.0, help="seconds, on the slow device")
    asked = parser.parse_args()
    logging.getLogger("worker").setLevel(logging.ERROR)  # that a copy stops is to be expected
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder) / "mongo") as uri:
        with Store(uri) as store:
            store.ensure_indexes()
        first, fitted = [
            _run_all(uri, Path(folder), asked, first_come) for first_come in (True, False)
        ]
    _print(first, fitted)


def _run_all(uri: str, folder: Path, asked: argparse.Namespace, first_come: bool) -> list[Outcomes]:
    def run(seed: int) -> Outcomes:
        name = "{}-{}".format("first-come" if first_come else "fitted", seed)
        plan = Plan(name, Request("digits"), asked.trials, "random", seed)
        with Store(uri) as store, _fleet(uri, folder, name, asked.epoch, first_come):
            return _run_study(store, Study(plan, "none", {}), asked.epoch)

    with futures.ThreadPoolExecutor(asked.studies) as pool:
        return list(pool.map(run, range(asked.studies)))


def _run_study(store: Store, study: Study, epoch: float) -> Outcomes:
    store.studies.open(study.name, study.spec())
    search = Search(store, study, lambda snapshot: None, threading.Event())
    trials = search.run()
    winner = best_of(trials)
    assert winner is not None
    extra = [search.baseline(), search.refit(winner)]
    begun = min(trial.first_claim for trial in [*trials, *extra] if trial.first_claim)
    ended = [trial.refresh_time for trial in [*trials, *extra] if trial.refresh_time]
    documents = list(store.database["jobs"].find({"exp_key": {"$regex": "^" + study.name}}))
    assert [trial.status for trial in trials] == [Status.DONE] * study.plan.trials
    assert len({document["winner"] for document in documents}) == study.plan.trials + 2
    work = sum(trial.config["epochs"] for trial in [*trials, extra[0]])
    return Outcomes(
        search=(max(ended[:-1]) - begun).total_seconds(),
        whole=(max(ended) - begun).total_seconds(),
        bound=epoch * work / sum(SPEED.values()),
        losses={
            (t.exp_key[len(study.name) :], str(t.config)): float(t.result["loss"]) for t in trials
        },
        copies=sum(bool(each.get("copy")) for d in documents for each in d["issued"]),
        late=sum(len(document["late"]) for document in documents),
    )


@contextlib.contextmanager
def _fleet(uri: str, folder: Path, study: str, epoch: float, first_come: bool) -> Iterator[None]:
    """Have a fast, a medium and a slow device work for a study."""
    stops = []
    threads = []
    for device, speed in SPEED.items():
        name = f"{device}-{study}"
        stops.append(StopRequest())
        worker = Worker(
            Identity(name, study, device, {}),
            Terms(lambda: uri, "cpu", first_come=first_come),
            {"lenet5": _Sleeper(epoch / speed)},
            Outbox(name, folder / name),
            stops[-1],
        )
        threads.append(threading.Thread(target=worker.run, name=name))
        threads[-1].start()
    try:
        yield
    finally:
        for stop in stops:
            stop.ask()
        for thread in threads:
            thread.join()


class _Sleeper:
    """The objective of a device on which an epoch takes so many seconds."""

    def __init__(self, epoch: float) -> None:
        self._epoch = epoch

    def __call__(self, config: dict, context: Context) -> Outcome:
        seconds = self._epoch * (REFIT if config["train_on_all"] else 1.0)
        begun = time.monotonic()
        for epoch in range(1, config["epochs"] + 1):
            while time.monotonic() < begun + epoch * seconds:
                if context.should_stop():
                    raise Stopped
                time.sleep(min(_SLICE_S, max(0.0, begun + epoch * seconds - time.monotonic())))
            left = config["epochs"] - epoch
            progress = {"epoch": epoch, "epochs": config["epochs"], "done": epoch}
            context.report(progress, left * seconds)
        return Outcome({"status": "ok", "loss": abs(config["learning_rate"] - 0.03)})


def _print(first: list[Outcomes], fitted: list[Outcomes]) -> None:
    assert [each.losses for each in first] == [each.losses for each in fitted]
    print("study  search: first come, fitted, bound    with refit: first come, fitted    copies")
    row = "{:5}  {:18.1f} {:7.1f} {:6.1f} {:26.1f} {:7.1f} {:9}"
    for seed, (one, other) in enumerate(zip(first, fitted)):
        values = (one.search, other.search, other.bound, one.whole, other.whole, other.copies)
        print(row.format(seed, *values))
    for what in ("search", "whole"):
        before, after = [sum(getattr(each, what) for each in way) for way in (first, fitted)]
        gains = [1 - getattr(b, what) / getattr(a, what) for a, b in zip(first, fitted)]
        text = "{}: {:.1%} shorter (each study {})"
        each = ", ".join(f"{gain:.0%}" for gain in gains)
        print(text.format("with refit" if what == "whole" else "search", 1 - after / before, each))
    bound = 1 - sum(each.bound for each in fitted) / sum(each.search for each in first)
    print(f"search: no way of doing it could be more than {bound:.1%} shorter")
    print(
        f"results: {sum(len(each.losses) for each in fitted)} trials, each counted once, "
        f"the same in both ways; {sum(each.late for each in fitted)} late"
    )


if __name__ == "__main__":
    main()
