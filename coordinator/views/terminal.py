"""How a search looks while it runs: a live panel on a terminal, one line per trial elsewhere."""

from __future__ import annotations

import contextlib
from typing import Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hyperhive.common.console import tell
from hyperhive.coordinator.views.study_state import Snapshot, Watch, at_work
from hyperhive.coordinator.views.waiting import why_waiting
from hyperhive.coordinator.views.wording import (
    counts,
    doing,
    hyperparameters,
    occupation,
    outcome,
    time_left,
)
from hyperhive.store.trial import Trial


@contextlib.contextmanager
def showing(console: Console) -> Iterator[Watch]:
    """Give the function that shows a search, as fits the console."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda snapshot: live.update(panel(snapshot))
    else:
        yield Lines(console).show


class Lines:
    """Writes a line when a trial ends or the phase changes: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._written: set[int] = set()
        self._is_started = False
        self._phase: str | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Write what is new."""
        study = snapshot.study
        ended = [t for t in study.searched if t.tid not in self._written and t.is_final]
        if ended and not self._is_started:
            self._write(f"resumed; {len(ended)} of {study.budget} trials have ended")
            self._written.update(trial.tid for trial in ended)
            ended = []
        self._is_started = True
        phase = _waiting(snapshot) or snapshot.phase
        if phase != self._phase:
            self._phase = phase
            self._write(f"{study.name}: {phase}")
        for trial in ended:
            self._written.add(trial.tid)
            self._write(f"[{len(self._written)}/{study.budget}] {_ending(trial, study.best)}")

    def _write(self, line: str) -> None:
        tell(line, to=self._console)


def _ending(trial: Trial, best: Trial | None) -> str:
    so_far = outcome(best) if best else "none yet"
    return f"trial {trial.tid}: {outcome(trial)} ({hyperparameters(trial)}); best {so_far}"


def panel(snapshot: Snapshot) -> Group:
    """Return what a person watches: progress, the best trial, and a line for each worker."""
    study = snapshot.study
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(study.name, style="bold"),
        ProgressBar(total=study.budget, completed=study.ended, width=30),
        counts(study),
        time_left(study.seconds_left()),
    )
    lines: list[Text] = [Text(snapshot.phase, style="dim")]
    best = study.best
    if best is not None:
        text = f"best so far {outcome(best)} (trial {best.tid}: {hyperparameters(best)})"
        lines.append(Text(text, style="green"))
    waiting = _waiting(snapshot)
    if waiting is not None:
        lines.append(Text(waiting, style="yellow"))
    return Group(head, *lines, _workers(snapshot))


def _waiting(snapshot: Snapshot) -> str | None:
    if not snapshot.is_reachable:
        return None
    study = snapshot.study
    return why_waiting(study.name, study.trials, snapshot.here, snapshot.had_workers)


def _workers(snapshot: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    held = at_work(snapshot.study.trials)
    for worker in snapshot.workers:
        trial = held.get(worker.id)
        work = occupation(worker, doing(trial) if trial else "")
        cells = ("  " + worker.id, worker.device, work)
        table.add_row(*map(Text, cells))  # what a worker wrote is not markup
    return table
