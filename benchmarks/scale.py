"""Evidence: with 10,000 finished trials, status takes 1.1 times as long as with 100, resume 1.8.

A dashboard takes 1.4 times as long, a coordinator 114 MB in place of 77. 100 workers are at 97.7 %
of the ideal. One run on 2 idle cores; docs/scale.md has the tables.

    python benchmarks/scale.py [--trials 100,1000,10000,50000] [--workers 10,40,100]

On a study with so many finished trials, each with a history of 20 epochs: ``status`` is the whole
command, ``resume`` the time from the start of the same ``hyperhive coordinator`` command to its
first post (random search), ``waiting`` what that coordinator then uses of a core while nothing
happens, and its memory; ``dashboard`` is a reading in which one trial has ended since the last, and
``first`` the first reading.

Efficiency: so many workers, each a process, run a function that sleeps. The ideal time is that of
sleeping alone. It is measured by the server's clock, from the first claim to the last result, on
trials that are posted when all workers are there, and idle. So the start counts: an idle worker
looks for a trial every half second, which is 1.2 % of eight trials of 5 s and 2.5 % of four.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any, Callable, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import scratch
from benchmarks._filled import fill
from hyperhive.common.wording import percent
from hyperhive.coordinator.live.answers import Answers
from hyperhive.coordinator.live.readings import Readings
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH, Status

HYPERHIVE = [sys.executable, "-m", "hyperhive"]
COLUMNS = ("status", "resume", "waiting", "memory", "first", "dashboard")
OBJECTIVE = """
import time

def train(config):
    time.sleep({seconds})
    return config["learning_rate"]
"""
STUDY = """
name = "{name}"
trials = {trials}
algorithm = "random"
objective = "objective.py:train"

[space]
learning_rate = {{ distribution = "loguniform", low = 0.0001, high = 0.1 }}
momentum = {{ distribution = "uniform", low = 0.0, high = 0.95 }}
weight_decay = {{ distribution = "loguniform", low = 0.000001, high = 0.01 }}
dropout = {{ distribution = "uniform", low = 0.0, high = 0.5 }}
width = {{ distribution = "quniform", low = 8, high = 64, step = 1 }}
"""


class Place:
    """A server, and a folder with an objective and studies, for commands of this user."""

    def __init__(self, folder: Path, uri: str, seconds: float) -> None:
        self.folder = folder
        self.environment = {**os.environ, "HYPERHIVE_MONGO": uri, "HOME": str(folder)}
        for name in ("DATA", "CACHE", "CONFIG", "STATE"):
            self.environment[f"XDG_{name}_HOME"] = str(folder / name.lower())
        self.environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1])
        (folder / "objective.py").write_text(OBJECTIVE.format(seconds=seconds))

    def study(self, name: str, trials: int) -> str:
        """Write a study file; return its path."""
        file = self.folder / f"{name}.toml"
        file.write_text(STUDY.format(name=name, trials=trials))
        return str(file)

    def require(self, process: subprocess.Popen[bytes]) -> bool:
        """Return True while a command runs; if it has ended, end this program with its output."""
        if process.poll() is not None:
            said = (self.folder / "log").read_text()
            sys.exit(f"a command ended with {process.returncode}:\n{said}")
        return True

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command while the context is open; it is stopped as by Ctrl-C."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*HYPERHIVE, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def until(
    place: Place,
    process: subprocess.Popen[bytes],
    holds: Callable[[], Any],
    pause: float = 0.005,
) -> None:
    """Wait until something holds that a command of this place brings about."""
    while place.require(process) and not holds():
        time.sleep(pause)


def by_finished(place: Place, store: Store, count: int) -> dict[str, float]:
    """Return what is measured with so many finished trials: milliseconds, or megabytes."""
    name = f"study{count}"
    file = place.study(name, count + 200)
    jobs = store.database["jobs"]
    with place.running("coordinator", file) as coordinator:  # it makes the study
        until(place, coordinator, lambda: jobs.find_one({"exp_key": name}))
    jobs.delete_many({"exp_key": name})
    fill(store, name, count, "objective.py:train")
    found = {"status": median(_seconds(lambda: _status(place, name)) for _ in range(3))}
    posted = {"exp_key": name, "state": int(Status.NEW)}
    times = []
    for _ in range(3):
        started_at = time.perf_counter()
        with place.running("coordinator", file) as coordinator:
            until(place, coordinator, lambda: jobs.find_one(posted))
            times.append(time.perf_counter() - started_at)
            time.sleep(1.0)
            before = _cpu_seconds(coordinator.pid)
            time.sleep(3.0)
            found["waiting"] = (_cpu_seconds(coordinator.pid) - before) / 3.0
            found["memory"] = _megabytes(coordinator.pid, "status", "VmRSS") / 1000
        jobs.delete_many(posted)
    found["resume"] = median(times)
    found.update(_dashboard(store, name, count))
    store.delete_study(name)
    return {what: 1000 * each for what, each in found.items()}


def _seconds(step: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    step()
    return time.perf_counter() - started_at


def _status(place: Place, name: str) -> None:
    command = [*HYPERHIVE, "status"]
    shown = subprocess.run(
        command, cwd=place.folder, env=place.environment, check=True, capture_output=True, text=True
    )
    assert name in shown.stdout


def _dashboard(store: Store, name: str, count: int) -> dict[str, float]:
    """Return the seconds of the first reading, and of one after a trial has ended."""
    times = iter(range(0, 1_000_000, 10))
    reader = FleetReader(store, clock=lambda: 0.0)
    dashboard = Answers(store, Readings(reader, lambda: float(next(times))))
    first = _seconds(dashboard.fleet)
    later = []
    for tid in range(count, count + 15):
        config = {"learning_rate": 0.1}
        store.queue.post(Draft(name, tid, config, config, "objective.py:train"))
        trial = store.queue.claim("worker-0", f"token-{tid}", ["objective.py:train"])
        assert trial is not None
        store.queue.finish(trial.id, f"token-{tid}", {"status": "ok", "loss": 0.5})
        later.append(_seconds(dashboard.fleet))
    return {"first": first, "dashboard": median(later)}


def efficiency(
    place: Place, store: Store, workers: int, rounds: int, seconds: float
) -> tuple[float, float]:
    """Return the share of the ideal that workers reach, and the megabytes of each."""
    name = f"workers{workers}"
    trials = workers * rounds
    objective = ("--objectives", str(place.folder / "objective.py"))
    with place.running("worker", "--slots", str(workers), "--device", "cpu", *objective) as parent:
        until(place, parent, lambda: len(store.workers.present()) >= workers, 0.5)
        time.sleep(2.0)  # their start is over
        pids = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        sizes = [_megabytes(int(pid), "smaps_rollup", "Pss") for pid in pids]
        with place.running("coordinator", place.study(name, trials)) as coordinator:
            coordinator.wait()
    found = store.trials.find(name, SEARCH)
    assert [trial.status for trial in found] == [Status.DONE] * trials
    began = min(trial.first_claim for trial in found if trial.first_claim is not None)
    ended = max(trial.refresh_time for trial in found if trial.refresh_time is not None)
    store.delete_study(name)
    return rounds * seconds / (ended - began).total_seconds(), sum(sizes) / workers


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int, file: str, field: str) -> float:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what trials and workers cost")
    parser.add_argument("--trials", default="100,1000,10000,50000", help="finished, by commas")
    parser.add_argument("--workers", default="10,40,100", help="by commas")
    parser.add_argument("--rounds", type=int, default=8, help="trials of each worker")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a trial")
    parser.add_argument("--points", type=Path, help="write the curve of finished trials, as JSON")
    options = parser.parse_args()
    sizes, fleets = (
        [int(each) for each in text.split(",") if each]
        for text in (options.trials, options.workers)
    )
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch())
        uri = stack.enter_context(embedded_server(folder / "mongo"))
        store = stack.enter_context(Store(uri))
        store.ensure_indexes()
        place = Place(folder, uri, options.seconds)
        if sizes:
            print("finished trials   status ms   resume ms   waiting ms/s   memory MB", end="")
            print("   first ms   dashboard ms")
        curve = []
        for count in sizes:
            found = by_finished(place, store, count)
            curve.append(found)
            print(f"{count:>15,}", end="")
            widths = zip(COLUMNS, (12, 12, 15, 12, 11, 15))
            print("".join(f"{found[name]:>{width}.0f}" for name, width in widths), flush=True)
        if fleets:
            print(f"\nworkers   {options.seconds:g} s trials   of the ideal   MB a worker")
        for workers in fleets:
            share, size = efficiency(place, store, workers, options.rounds, options.seconds)
            trials = workers * options.rounds
            print(f"{workers:>7}{trials:>13}{percent(share):>15}{size:>14.0f}", flush=True)
    if options.points:
        shown = ("status", "resume", "first", "dashboard")
        series = {name: [[n, each[name]] for n, each in zip(sizes, curve)] for name in shown}
        title = "What finished trials cost"
        points = {"title": title, "x": "finished trials", "y": "milliseconds", "series": series}
        options.points.write_text(json.dumps(points))


if __name__ == "__main__":
    main()
