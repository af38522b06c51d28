"""How a search looks while it runs: a live panel on a terminal, a line a trial anywhere else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Iterator

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hyperhive.common.values import number
from hyperhive.coordinator.ranking import hyperparameters
from hyperhive.coordinator.views.fleet import at_work
from hyperhive.store.trial import Status, Trial
from hyperhive.store.workers import WorkerRecord

if TYPE_CHECKING:  # it would import hyperopt and matplotlib for a status
    from hyperhive.coordinator.search import Snapshot, Watch

NO_WORKER = "no worker {}: run `hyperhive worker` on this machine, or on any other with --mongo"


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
        self._told: set[int] | None = None
        self._phase: str | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Write what is new."""
        if self._told is None:
            self._told = {trial.tid for trial in snapshot.finished}
            if self._told:
                self._write(f"resumed with {len(self._told)} trials done")
        phase = snapshot.phase
        if not snapshot.workers and snapshot.is_reachable:
            phase = no_worker(snapshot)
        if phase != self._phase:
            self._phase = phase
            self._write(f"{snapshot.study}: {phase}")
        for trial in snapshot.finished:
            if trial.tid not in self._told:
                self._told.add(trial.tid)
                best = snapshot.best
                self._write(
                    "[{}/{}] trial {}: {} ({}); best {}".format(
                        len(self._told),
                        snapshot.budget,
                        trial.tid,
                        outcome(trial),
                        hyperparameters(trial),
                        outcome(best) if best else "none yet",
                    )
                )

    def _write(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def panel(snapshot: Snapshot) -> Group:
    """Return everything a person watching wants to see: progress, the best, a line a worker."""
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(snapshot.study, style="bold"),
        ProgressBar(total=snapshot.budget, completed=len(snapshot.finished), width=30),
        f"{len(snapshot.finished)}/{snapshot.budget} done",
        f"{len(snapshot.running)} running",
        f"{len(snapshot.waiting)} waiting",
        time_left(snapshot.seconds_left()),
    )
    lines: list[Text] = [Text(snapshot.phase, style="dim")]
    best = snapshot.best
    if best is not None:
        text = f"best so far {outcome(best)} (trial {best.tid}: {hyperparameters(best)})"
        lines.append(Text(text, style="green"))
    if not snapshot.workers:
        lines.append(Text(no_worker(snapshot), style="yellow"))
    return Group(head, *lines, _workers(snapshot))


def no_worker(snapshot: Snapshot) -> str:
    """Return what is wrong, and what to do, when nobody works."""
    return NO_WORKER.format("any more" if snapshot.had_workers else "yet")


def _workers(snapshot: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    held = at_work(snapshot.running)
    for worker in snapshot.workers:
        trial = held.get(worker.id)
        said = occupation(worker, doing(trial) if trial else "")
        table.add_row(*map(Text, ("  " + worker.id, worker.device, said)))  # no markup of theirs
    return table


def occupation(worker: WorkerRecord, trial: str) -> str:
    """Return what a worker does, by what it does with a trial: that, ``idle`` or ``paused``."""
    paused = "" if worker.paused is None else f"paused: {worker.paused}"
    return "; ".join(part for part in (trial, paused) if part) or "idle"


def doing(trial: Trial) -> str:
    """Return what a worker does with a trial: ``trial 7: epoch 3 of 21, 61.2%``."""
    progress = trial.progress or {}
    name = "second copy of trial" if trial.is_copy else "trial"
    if not {"epoch", "epochs"} <= set(progress):  # it has just begun, or is another objective
        return f"{name} {trial.tid}"
    text = "{} {}: epoch {} of {}".format(name, trial.tid, progress["epoch"], progress["epochs"])
    accuracy = number(progress.get("validation_accuracy"))
    return text if accuracy is None else f"{text}, {accuracy:.1%}"


def does(worker: WorkerRecord, trial: Trial | None, is_silent: bool) -> str:
    """Return what a worker does, with the trial that it holds, if it holds one."""
    text = occupation(worker, f"{trial.study}, {doing(trial)}" if trial else "")
    if is_silent:
        text = "silent: killed, asleep or cut off"
    if worker.undelivered:
        text += f"; results that wait on its device: {worker.undelivered}"
    return text


def ago(seconds: float) -> str:
    """Return how long ago something was."""
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"


def outcome(trial: Trial) -> str:
    """Return how a trial ended: its validation accuracy, or what went wrong."""
    if trial.status is Status.ERROR:
        return "failed ({})".format((trial.error or {}).get("message", "no reason given"))
    if trial.result.get("diverged"):
        return "diverged"
    accuracy = number(trial.result.get("validation_accuracy"))
    return "done" if accuracy is None else f"{accuracy:.1%}"


def time_left(seconds: float | None) -> str:
    """Return an honest rounding of the time left."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"
