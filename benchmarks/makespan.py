"""Evidence: fitting trials to the speed of devices makes a study 36 % shorter, its search 12 %.

Eight studies of 30 trials on three devices with speeds of 10 : 4 : 1, against first come, first
served; five earlier runs gained 28 to 41 % for the whole study.
docs/scheduling.md has every figure.

    python benchmarks/makespan.py [--trials 30] [--studies 8] [--epoch 1.0]

The store, the coordinator's search and the workers' loops are real. Training is a sleep: an epoch
takes 1/10, 1/4 and 1 of ``--epoch`` seconds on the fast, the medium and the slow device. The search
space is ``classic`` (2 to 30 epochs). It is sampled at random by the study's seed, so both ways run
the same trials. As in any study, the best configuration is trained again at the end (the refit).
All studies of one way run at the same time, each on its own three devices.

Times are the server's, from the first claim to the last result. The bound of the search assumes
devices that are never idle and can share a trial; no schedule can be shorter.
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
from hyperhive.common.wording import percent
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import best_of
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.study import Study
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.worker.identity import Identity
from hyperhive.worker.loop import Worker
from hyperhive.worker.objectives.api import Context, Outcome, Stopped
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.settings import WorkerSettings

SPEED = {"fast": 10.0, "medium": 4.0, "slow": 1.0}
"""Epochs that a device trains while the slow one trains one."""
REFIT = 1.25
"""Time of an epoch over all training images, relative to one without the held-out images."""
_SLICE_S = 0.05


@dataclass(frozen=True)
class Outcomes:
    """The result of one study: times in seconds, and each trial's loss by its configuration."""

    search: float
    whole: float
    bound: float
    losses: dict[tuple[str, str], float]
    copies: int
    late: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="how long a study takes on unlike devices")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--epoch", type=float, default=1.0, help="seconds on the slow device")
    options = parser.parse_args()
    # Workers warn of each copy that stops; that is expected here.
    logging.getLogger("hyperhive.worker").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder) / "mongo") as uri:
        with Store(uri) as store:
            store.ensure_indexes()
        first, fitted = [
            _run_all(uri, Path(folder), options, first_come) for first_come in (True, False)
        ]
    _print(first, fitted)


def _run_all(
    uri: str, folder: Path, options: argparse.Namespace, first_come: bool
) -> list[Outcomes]:
    def run(seed: int) -> Outcomes:
        name = "{}-{}".format("first-come" if first_come else "fitted", seed)
        plan = Plan(name, DatasetRequest("digits"), options.trials, "random", seed)
        with Store(uri) as store, _fleet(uri, folder, name, options.epoch, first_come):
            return _run_study(store, Study(plan, "none", {}), options.epoch)

    with futures.ThreadPoolExecutor(options.studies) as pool:
        return list(pool.map(run, range(options.studies)))


def _run_study(store: Store, study: Study, epoch: float) -> Outcomes:
    store.studies.open(study.name, study.spec())
    search = Search(store, study, lambda snapshot: None, threading.Event())
    trials = search.run()
    winner = best_of(trials)
    assert winner is not None
    refit = search.refit(winner)
    assert refit is not None
    extra = [*search.baselines(), refit]
    started_at = min(trial.first_claim for trial in [*trials, *extra] if trial.first_claim)
    ended = [trial.refresh_time for trial in [*trials, *extra] if trial.refresh_time]
    documents = list(store.database["jobs"].find({"exp_key": {"$regex": "^" + study.name}}))
    assert len(trials) == study.plan.trials
    assert all(trial.status == Status.DONE for trial in trials)
    assert len({document["winner"] for document in documents}) == study.plan.trials + 3
    work = sum(trial.config["epochs"] for trial in [*trials, *extra[:-1]])
    return Outcomes(
        search=(max(ended[:-1]) - started_at).total_seconds(),
        whole=(max(ended) - started_at).total_seconds(),
        bound=epoch * work / sum(SPEED.values()),
        losses={
            (t.exp_key[len(study.name) :], str(t.config)): float(t.result["loss"]) for t in trials
        },
        copies=sum(bool(each.get("copy")) for d in documents for each in d["issued"]),
        late=sum(len(document["late"]) for document in documents),
    )


@contextlib.contextmanager
def _fleet(uri: str, folder: Path, study: str, epoch: float, first_come: bool) -> Iterator[None]:
    """Run a fast, a medium and a slow device for a study."""
    stops = []
    threads = []
    for device, speed in SPEED.items():
        name = f"{device}-{study}"
        stops.append(StopRequest())
        worker = Worker(
            WorkerSettings(uri, study, "cpu", first_come=first_come),
            Identity(name, study, device, {}),
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
    """An objective that sleeps; ``epoch`` is the seconds that an epoch takes on its device."""

    def __init__(self, epoch: float) -> None:
        self._epoch = epoch

    def __call__(self, config: dict, context: Context) -> Outcome:
        seconds = self._epoch * (REFIT if config["train_on_all"] else 1.0)
        context.report({"done": 0}, 0.0)  # as LeNet-5 does
        started_at = time.monotonic()
        for epoch in range(1, config["epochs"] + 1):
            ends_at = started_at + epoch * seconds
            while time.monotonic() < ends_at:
                if context.should_stop():
                    raise Stopped
                time.sleep(min(_SLICE_S, max(0.0, ends_at - time.monotonic())))
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
        each = ", ".join(percent(gain, 0) for gain in gains)
        name = "with refit" if what == "whole" else "search"
        print(f"{name}: {percent(1 - after / before)} shorter (each study {each})")
    bound = 1 - sum(each.bound for each in fitted) / sum(each.search for each in first)
    print(f"search: no schedule could be more than {percent(bound)} shorter")
    print(
        f"results: {sum(len(each.losses) for each in fitted)} trials, each counted once, "
        f"with the same results in both ways; {sum(each.late for each in fitted)} late"
    )


if __name__ == "__main__":
    main()
