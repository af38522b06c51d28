"""How a search looks while it runs: a live panel on a terminal, one line per trial elsewhere."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from hyperhive.common.console import Screen, tell
from hyperhive.coordinator.views.incidents import error_of, failed_itself
from hyperhive.coordinator.views.study_state import Snapshot, StudyState, Watch, at_work
from hyperhive.coordinator.views.waiting import why_waiting
from hyperhive.coordinator.views.wording import (
    counts,
    doing,
    judged,
    literal,
    named,
    occupation,
    others,
    outcome,
    time_left,
)
from hyperhive.store.trials.draft import Goal
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial

_MOST_FAILING = 3
"""Trials that will be tried again, of those in the panel."""


def opening(name: str, address: str, goal: Goal) -> str:
    """Return the first line of a search: where its study is, and its goal if that is not usual."""
    sought = "" if goal == Goal() else f": {goal.direction[:-1]}ing {goal.metric}"
    return f"study {name} on {address}{sought}"


@contextlib.contextmanager
def showing(console: Screen) -> Iterator[Watch]:
    """Give the function that shows a search, as fits the console."""
    if console.redraws:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda snapshot: live.update(panel(snapshot))
    else:
        yield Lines(console).show


class Lines:
    """Writes a line when a trial or an attempt ends or the phase changes: for logs and pipes."""

    def __init__(self, console: Screen) -> None:
        self._console = console
        self._written: set[Any] = set()  # ids; of attempts that failed, with the number
        self._count = 0  # of the search
        self._seen: StudyState | None = None
        self._is_started = False
        self._phase: str | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Write what is new."""
        study = snapshot.study
        news = () if study is self._seen else study.trials  # it is the same while nothing changed
        self._seen = study
        ended = [trial for trial in news if trial.id not in self._written and trial.is_final]
        self._written.update(trial.id for trial in ended)
        if study.ended and not self._is_started:
            self._count = study.ended
            self._write(f"resumed; {study.ended} of {study.budget} trials have ended")
            ended = []
        self._is_started = True
        phase = _waiting(snapshot) or snapshot.phase
        if phase != self._phase:
            self._phase = phase
            self._write(f"{study.name}: {phase}")
        for trial in _failing(snapshot):
            attempt = (trial.id, trial.attempts)
            if attempt not in self._written:
                self._written.add(attempt)
                self._write(_attempt(trial))
        for trial in ended:
            self._write(self._ending(trial, study))

    def _ending(self, trial: Trial, study: StudyState) -> str:
        words = f"{trial.title}: {judged(trial)}"
        if trial.purpose != SEARCH:
            return words
        self._count += 1
        best = outcome(study.best) if study.best else "none yet"
        return f"[{self._count}/{study.budget}] {words}; best {best}"

    def _write(self, line: str) -> None:
        tell(line, to=self._console)


def panel(snapshot: Snapshot) -> Group:
    """Return what a person watches: progress, the best trial, and a line for each worker."""
    study = snapshot.study
    head = Table.grid(padding=(0, 2))
    head.add_row(
        *literal(study.name, style="bold"),
        ProgressBar(total=study.budget, completed=study.ended, width=30),
        *literal(counts(study), time_left(study.seconds_left())),
    )
    phase = "; ".join(filter(None, (snapshot.phase, others(study))))
    lines = literal(phase, style="dim")
    best = study.best
    if best is not None:
        lines += literal(f"best so far {outcome(best)} ({named(best)})", style="green")
    lines += literal(*map(_attempt, _failing(snapshot)[:_MOST_FAILING]), style="yellow")
    waiting = _waiting(snapshot)
    if waiting is not None:
        lines += literal(waiting, style="yellow")
    return Group(head, *lines, _workers(snapshot))


def _failing(snapshot: Snapshot) -> list[Trial]:
    """Return the trials that wait for their next attempt, because the objective has failed."""
    trials = snapshot.study.tally.open
    return [trial for trial in trials if trial.status is Status.NEW and failed_itself(trial)]


def _attempt(trial: Trial) -> str:
    attempt = f"attempt {trial.attempts} of {trial.max_attempts}"
    return f"{trial.title}: {attempt} failed ({error_of(trial)})"


def _waiting(snapshot: Snapshot) -> str | None:
    if not snapshot.is_reachable or snapshot.are_starting:
        return None
    study = snapshot.study
    return why_waiting(study.name, study.tally.telling, snapshot.here, snapshot.had_workers)


def _workers(snapshot: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    held = at_work(snapshot.study.tally.open)
    for worker in snapshot.workers:
        trial = held.get(worker.id)
        work = occupation(worker, doing(trial) if trial else "")
        cells = ("  " + worker.id, worker.device, work)
        table.add_row(*literal(*cells))
    return table
