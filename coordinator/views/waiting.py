"""Why trials wait although workers are here, and what to do about it: one answer for every view."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Iterable, Sequence

from hyperhive.common.text import shortened
from hyperhive.common.wording import counted
from hyperhive.coordinator.views.incidents import error_of
from hyperhive.coordinator.views.study_state import at_work
from hyperhive.coordinator.views.wording import file_of, no_worker
from hyperhive.store.store import GIVE_UP_AFTER_S
from hyperhive.store.trials.terms import ASK, HYPEROPT, Status, is_published
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord, host_of

_LONGEST_HASH = 8
_MOST_WORKERS = 3
"""Of those that have the same file: the sentence is to be read."""


def why_waiting(
    study: str, trials: Sequence[Trial], here: Sequence[WorkerRecord], had_workers: bool
) -> str | None:
    """Return why nobody takes some of a study's trials, and what to do; None if somebody will.

    If somebody will, it may still say that workers have different files of the same name.

    Args:
        study: its name, or the key of an experiment of hyperopt's.
        trials: of the study, in any state.
        here: the workers that are here, also those of other studies.
        had_workers: whether any were here before.
    """
    waiting = [trial for trial in trials if trial.status is Status.NEW]
    if is_asked_for(trials):
        return _asked_for(waiting)
    if not here:
        return no_worker(had_workers, (trial.objective for trial in trials))
    workers = [worker for worker in here if worker.takes(study)]
    if not workers:
        with_it = f", or with --study {study}" if study else ""
        return f"{_here(here)} for other studies only: start one without --study{with_it}"
    lacking = [trial for trial in waiting if not any(w.has(trial.objective) for w in workers)]
    if lacking:
        return _lacking(lacking, workers)
    failed = [trial for trial in waiting if not _able(workers, trial)]
    if failed:
        return _failed(failed)
    paused = [trial for trial in waiting if all(w.paused for w in _able(workers, trial))]
    if paused:
        return _paused(paused, _able(workers, paused[0]))
    files = {file_of(trial.objective) for trial in trials}
    return next(
        filter(None, (_differing(file, workers) for file in sorted(filter(None, files)))), None
    )


def as_at_work(
    workers: tuple[WorkerRecord, ...], trials: Iterable[Trial]
) -> tuple[WorkerRecord, ...]:
    """Return what is known of workers once these trials were read, which was after their records.

    One that was paused without a trial and runs one now was resumed meanwhile.
    """
    if not any(worker.paused for worker in workers):
        return workers
    held = at_work(trials)
    return tuple(
        replace(worker, paused=None) if worker.id in held and worker.trial is None else worker
        for worker in workers
    )


def is_asked_for(trials: Sequence[Trial]) -> bool:
    """Return whether programs ask for all of these trials, so that no worker takes one."""
    return bool(trials) and all(trial.objective == ASK for trial in trials)


def _asked_for(waiting: Sequence[Trial]) -> str | None:
    if not waiting:
        return None
    return f"{_wait(waiting)} for a program that asks (study.ask): workers do not take them"


def _differing(file: str, workers: Iterable[WorkerRecord]) -> str | None:
    """Return that workers differ in a file, if they do; its hash is among their versions."""
    having: dict[str, list[str]] = {}
    for worker in workers:
        if file in worker.versions:
            found = shortened(str(worker.versions[file]), _LONGEST_HASH)
            having.setdefault(found, []).append(worker.id)
    if len(having) < 2:
        return None
    which = ", ".join(f"{found} on {_some(ids)}" for found, ids in having.items())
    return (
        f"{file} differs between the workers here ({which}): copy one to all, and start them again"
    )


def _some(workers: Sequence[str]) -> str:
    more = len(workers) - _MOST_WORKERS
    names = " and ".join(workers[:_MOST_WORKERS])
    return f"{names} and {more} more" if more > 0 else names


def _able(workers: Sequence[WorkerRecord], trial: Trial) -> list[WorkerRecord]:
    return [worker for worker in workers if worker.can_run(trial)]


def _lacking(trials: Sequence[Trial], workers: Sequence[WorkerRecord]) -> str:
    objective = trials[0].objective
    without = f"{_here(workers)} without it"
    if objective == HYPEROPT:
        return f"{_wait(trials)} for a worker with --allow-pickled-objectives: {without}"
    if is_published(objective):
        reasons = [
            f"{worker.id} refuses {what}: {why}"
            for worker in workers
            for what, why in worker.refused
            if what == objective or not is_published(what)
        ]
        why = "; ".join(reasons[:_MOST_WORKERS]) or (
            f"{without}; if it was withdrawn, publish the same file again; if they were not given "
            "its key, start each with a line of `hyperhive mongo invite`, or with --trust KEY "
            "(`hyperhive objectives list`)"
        )
        return f"{_wait(trials)} for objective {objective}: {why}"
    file = file_of(objective)
    if file is not None:
        return (
            f"{_wait(trials)} for objective {objective}: {without}; start "
            f"`hyperhive worker --objectives {shlex.quote(file)}` there, with the path of that file"
        )
    return (
        f"{_wait(trials)} for objective {objective}: {without}; install its package there (entry "
        "point hyperhive.objectives) and start them again"
    )


def _failed(trials: Sequence[Trial]) -> str:
    names = ", ".join(trial.title for trial in trials)
    errors = [error_of(trial) for trial in trials if trial.error is not None]
    last = f" ({errors[-1]})" if errors else ""
    return (
        f"every worker here has failed at {names}{last}: without another worker, it fails "
        f"{GIVE_UP_AFTER_S:.0f} s after that"
    )


def _paused(trials: Sequence[Trial], workers: Sequence[WorkerRecord]) -> str:
    sentence = f"{_wait(trials)} while every worker here that could run it is paused"
    ordered = [worker for worker in workers if worker.order]
    if not ordered:
        return f"{sentence}: {workers[0].paused}"
    name = host_of(ordered[0].id) or ordered[0].id
    paused = f"{name} is {ordered[0].paused}"
    return f"{sentence} ({paused}): `hyperhive worker resume {name}` lets it go on"


def _wait(trials: Sequence[Trial]) -> str:
    return f"{counted(len(trials), 'trial')} {'waits' if len(trials) == 1 else 'wait'}"


def _here(workers: Sequence[WorkerRecord]) -> str:
    return f"{counted(len(workers), 'worker')} {'is' if len(workers) == 1 else 'are'} here"
