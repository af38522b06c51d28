"""The runs of an experiment: which there are to be, who does them, and the file that keeps them."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import threading
from concurrent import futures
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Sequence

from hyperhive.common import files
from hyperhive.common.errors import UsageError
from hyperhive.coordinator.experiments.fleet import Fleet
from hyperhive.coordinator.experiments.simulation import Run, Simulation, plan_of
from hyperhive.coordinator.experiments.tables import Table

_LOOK_EVERY_S = 0.2


class Job(NamedTuple):
    """A run that is to be: what makes it the same run when it is asked for again."""

    algorithm: str
    seed: int
    workers: int
    trials: int


@dataclass(frozen=True)
class Runs:
    """Which runs an experiment has: each algorithm with each seed, budget and number of workers."""

    algorithms: Sequence[str]
    seeds: int
    workers: Sequence[int]
    trials: Sequence[int]

    def jobs(self) -> list[Job]:
        """Return them seed by seed: an experiment that is stopped has compared all algorithms."""
        each = itertools.product(range(self.seeds), self.workers, self.trials, self.algorithms)
        return [Job(algorithm, seed, workers, trials) for seed, workers, trials, algorithm in each]


def job_of(run: Run) -> Job:
    """Return the job that a run did."""
    return Job(run.algorithm, run.seed, run.workers, run.trials)


class RunsFile:
    """The file of an experiment's runs, a line of JSON for each: what is in it is not run again.

    Args:
        path: of the file, which need not exist.
        identity: what all its runs have in common, as plain JSON.

    Raises ``UsageError`` for a file of other runs, ``OSError``.
    """

    def __init__(self, path: Path, identity: Any) -> None:
        self._path = path
        self.runs: dict[Job, Run] = {}
        header, lines = {"experiment": identity}, _lines(path)
        if lines and lines[0] != header:
            raise UsageError(
                f"{path} has runs of another table, fleet or version of hyperhive: delete it, or "
                "name another file with --runs"
            )
        for line in lines[1:]:
            run = Run(**line)
            self.runs[job_of(run)] = run
        # Without the half line that a killed process may have left.
        whole = [header, *(asdict(run) for run in self.runs.values())]
        files.write(path, "".join(map(_line, whole)).encode())

    def add(self, run: Run) -> None:
        """Keep a run."""
        self.runs[job_of(run)] = run
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(asdict(run)))


def _line(value: Any) -> str:
    return json.dumps(value) + "\n"


def _lines(path: Path) -> list[Any]:
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(text))
        except ValueError as error:
            if not found:
                raise UsageError(f"{path} holds no runs: name another file with --runs") from error
            break
    return found


def simulated(
    table: Table, jobs: Sequence[Job], processes: int, stop: threading.Event
) -> Iterator[Run]:
    """Do runs on a table, in so many processes; yield each as it ends, until ``stop`` is set.

    Then those that have begun still come to their end.
    """
    if processes == 1:
        for job in jobs:
            if stop.is_set():
                return
            yield _simulated(table, job)
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # more of each process would only wait for each other
    context = multiprocessing.get_context("spawn")
    with futures.ProcessPoolExecutor(processes, context, _begin, (table,)) as pool:
        pending = {pool.submit(_in_process, job) for job in jobs}
        while pending:
            ended, pending = futures.wait(pending, _LOOK_EVERY_S, futures.FIRST_COMPLETED)
            for each in ended:
                yield each.result()
            if stop.is_set():
                pending = {each for each in pending if not each.cancel()}


def _simulated(table: Table, job: Job) -> Run:
    plan = plan_of(table, job.algorithm, job.seed, job.trials)
    return Simulation(table, plan, Fleet(job.workers)).run()


def _begin(table: Table) -> None:
    """Prepare a process: Ctrl-C is for the one that started it."""
    global _table
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _table = table


def _in_process(job: Job) -> Run:
    return _simulated(_table, job)


_table: Table
