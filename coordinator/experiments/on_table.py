"""An experiment on a table of results: searches on a simulated fleet, several at once."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from concurrent import futures
from dataclasses import asdict
from typing import Iterator, Sequence

from hyperhive.coordinator.experiments.fleet import SPEEDS, Fleet
from hyperhive.coordinator.experiments.runs import Job, Run, Subject, Usual
from hyperhive.coordinator.experiments.simulation import Simulation
from hyperhive.coordinator.experiments.tables import Table
from hyperhive.coordinator.planning.plan import Plan

_LOOK_EVERY_S = 0.2


class OnTable(Subject):
    """Searches of a table.

    Args:
        table: what is searched.
        processes: how many search at once.
    """

    usual = Usual(20, (1, 4, 16), (30, 100))

    def __init__(self, table: Table, processes: int) -> None:
        self.name, self.is_share = table.name, table.is_share
        self.identity = {
            "table": table.identity,
            "fleet": {**asdict(Fleet(0)), "speeds": list(SPEEDS)},
        }
        self.minimum = table.minimum
        self._table = table
        self._processes = processes

    def plan(self, job: Job) -> Plan:
        """See ``Subject``."""
        return plan_of(self._table, job)

    def runs(self, jobs: Sequence[Job], stop: threading.Event) -> Iterator[Run]:
        """See ``Subject``: those that have begun when ``stop`` is set come to their end."""
        if self._processes == 1:
            for job in jobs:
                if stop.is_set():
                    return
                yield simulated(self._table, job)
            return
        context = multiprocessing.get_context("spawn")
        how = (self._processes, context, _begin, (self._table,))
        with futures.ProcessPoolExecutor(*how) as pool:
            pending = {pool.submit(_in_process, job) for job in jobs}
            while pending:
                ended, pending = futures.wait(pending, _LOOK_EVERY_S, futures.FIRST_COMPLETED)
                for each in ended:
                    yield each.result()
                if stop.is_set():
                    pending = {each for each in pending if not each.cancel()}


def plan_of(table: Table, job: Job) -> Plan:
    """Return the study that searches a table: what a job does not say is as in any study.

    Raises what ``Plan.usable`` does.
    """
    return Plan(
        "simulated",
        algorithm=job.algorithm,
        seed=job.seed,
        trials=job.trials,
        objective="table",
        space=table.space,
    ).usable()


def simulated(table: Table, job: Job) -> Run:
    """Do one job on a table."""
    return Simulation(table, plan_of(table, job), Fleet(job.workers)).run()


_table: Table


def _begin(table: Table) -> None:
    """Prepare a process: Ctrl-C is for the one that started it."""
    global _table
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _table = table


def _in_process(job: Job) -> Run:
    return simulated(_table, job)
