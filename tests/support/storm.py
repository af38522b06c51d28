"""Faults at random, by a seed, on a fleet that does one study after the other.

The short form is a test; ``make faults`` runs the long form and writes docs/reliability.md.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import Callable

from hyperhive.store.store import Store
from support.books import Books, check, check_result
from support.fleet import Fleet, answers
from support.home import Home, Program, until
from support.proxy import Proxy, at_random

LEASE_S = 3.0
SHARE_OF_REPLIES_LOST = 0.003


@dataclass(frozen=True)
class Measure:
    """How much of each fault, and the mean time between two of them, in seconds."""

    workers_killed: int
    mongods_killed: int
    coordinators_killed: int
    workers_frozen: int
    replies_lost: int
    gap: float


SHORT = Measure(4, 2, 1, 2, replies_lost=3, gap=1.5)
LONG = Measure(200, 50, 50, 50, replies_lost=100, gap=2.5)


class Storm:
    """A fleet of three workers, and what happens to it.

    Every second study has trials that end at once, and ten times as many: workers claim and deliver
    those in batches.

    Args:
        home: where the processes live.
        seed: decides which fault comes when, and whom it strikes.
        trials: of each study of longer trials.
        seconds: that each of those takes.
    """

    def __init__(self, home: Home, seed: int, trials: int, seconds: float) -> None:
        self._dice = random.Random(seed)
        self._trials = trials
        self._seconds = str(seconds)
        self._fleet = Fleet(home, lease=LEASE_S)
        self._studies: list[str] = []
        self._thaws: list[tuple[float, int]] = []
        self.counts: Counter[str] = Counter()

    def run(self, measure: Measure) -> Books:
        """Have it all happen, wait for the end of the last study, and check the books of all."""
        fleet = self._fleet
        lost_replies = at_random(random.Random(self._dice.random()), SHARE_OF_REPLIES_LOST)
        with Proxy.of(fleet.uri, lost_replies) as proxy, fleet.store() as store:
            fleet.way = proxy.uri(fleet.uri)
            self._workers = [self._new_worker() for _ in range(3)]
            self._next_study()
            faults = self._faults(measure)
            while faults or sum(proxy.dropped.values()) < measure.replies_lost:
                self._live_for(self._dice.expovariate(1 / measure.gap))
                if faults:
                    faults.pop()(store)
            proxy.drop = lambda command: False
            self._live_until_the_study_ends()
            self.counts["replies lost"] = sum(proxy.dropped.values())
            self._end()
            books = Books()
            for study in self._studies:
                audit, outbox = fleet.audit, fleet.outbox
                books += check(store, study, self._trials_of(study), audit, outbox)
                check_result(store, study)
        wanted = {what.replace("_", " "): times for what, times in vars(measure).items()}
        del wanted["gap"]
        assert all(self.counts[what] >= times for what, times in wanted.items())
        return books

    def _faults(self, measure: Measure) -> list[Callable[[Store], None]]:
        faults: dict[Callable[[Store], None], int] = {
            self._kill_a_worker: measure.workers_killed,
            self._kill_the_server: measure.mongods_killed,
            self._kill_the_coordinator: measure.coordinators_killed,
            self._freeze_a_worker: measure.workers_frozen,
        }
        order = [fault for fault, times in faults.items() for _ in range(times)]
        self._dice.shuffle(order)
        return order

    @property
    def studies(self) -> int:
        """How many studies there were."""
        return len(self._studies)

    # -- the faults -----------------------------------------------------------------------------

    def _kill_a_worker(self, _: Store) -> None:
        number = self._dice.randrange(len(self._workers))
        self._fleet.kill(self._workers[number])
        self._workers[number] = self._new_worker()
        self.counts["workers killed"] += 1

    def _kill_the_server(self, store: Store) -> None:
        until(lambda: answers(store), "the server")
        os.kill(self._fleet.mongod(), signal.SIGKILL)
        self.counts["mongods killed"] += 1

    def _kill_the_coordinator(self, _: Store) -> None:
        self._live()  # there is one
        self._coordinator.signal(signal.SIGKILL)
        self._coordinator.end()
        self._coordinator = self._new_coordinator()
        self.counts["coordinators killed"] += 1

    def _freeze_a_worker(self, _: Store) -> None:
        worker = self._dice.choice(self._workers)
        (pid,) = until(lambda: self._fleet.home.slots(worker), "its slot")
        until(lambda: self._thaw() or pid not in [frozen for _, frozen in self._thaws], "its thaw")
        os.kill(pid, signal.SIGSTOP)
        self._thaws.append((time.monotonic() + 1.5 * LEASE_S, pid))
        self.counts["workers frozen"] += 1

    # -- what goes on meanwhile -----------------------------------------------------------------

    def _live_for(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._live()
            time.sleep(0.05)

    def _live_until_the_study_ends(self) -> None:
        studies = len(self._studies)
        until(lambda: self._live() or len(self._studies) > studies, "the last study's end", 300.0)
        self._coordinator.signal(signal.SIGKILL)  # of one study more, which need not be
        self._studies.pop()

    def _thaw(self) -> None:
        """Let those go on who were frozen long enough."""
        while self._thaws and self._thaws[0][0] <= time.monotonic():
            _, pid = self._thaws.pop(0)
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:  # killed meanwhile
                continue

    def _live(self) -> None:
        """Thaw, and see to it that there is a coordinator."""
        self._thaw()
        if not self._coordinator.is_running():
            if self._coordinator.end() == 0:
                self._next_study()
            else:  # it may be refused when it starts, and then says why
                assert "does not answer" in self._coordinator.said(), self._coordinator.said()
                self._coordinator = self._new_coordinator()

    def _next_study(self) -> None:
        self._studies.append(f"study-{len(self._studies) + 1}")
        self._coordinator = self._new_coordinator()

    def _new_coordinator(self) -> Program:
        study = self._studies[-1]
        objective = "swift" if _is_swift(study) else "quick"
        trials = self._trials_of(study)
        return self._fleet.coordinator(study, trials, attempts=20, objective=objective)

    def _trials_of(self, study: str) -> int:
        return self._trials * (10 if _is_swift(study) else 1)

    def _new_worker(self) -> Program:
        return self._fleet.worker(seconds=self._seconds)

    def _end(self) -> None:
        """Stop the workers in good order, and let a last one deliver what the dead ones left."""
        until(lambda: self._thaw() or not self._thaws, "the last thaw")
        for worker in self._workers:
            worker.signal(signal.SIGTERM)
        for worker in self._workers:
            assert worker.end() == 0
            assert "Traceback" not in worker.said()
        self._new_worker()


def _is_swift(study: str) -> bool:
    return int(study.rpartition("-")[2]) % 2 == 0
