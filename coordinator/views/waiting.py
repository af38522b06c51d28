"""Why trials wait although workers are here, and what to do about it: one answer for every view."""

from __future__ import annotations

from typing import Sequence

from hyperhive.common.text import shortened
from hyperhive.coordinator.views.wording import file_of, no_worker
from hyperhive.store.store import GIVE_UP_AFTER_S
from hyperhive.store.trials.trial import ASK, HYPEROPT, Status, Trial
from hyperhive.store.workers import WorkerRecord

_LONGEST = 100
"""Characters of an error's message: a worker wrote it."""


def why_waiting(
    study: str, trials: Sequence[Trial], here: Sequence[WorkerRecord], had_workers: bool
) -> str | None:
    """Return why nobody takes some of a study's trials, and what to do; None if somebody will.

    Args:
        study: its name, or the key of an experiment of hyperopt's.
        trials: of the study, in any state.
        here: the workers that are here, also those of other studies.
        had_workers: whether any were here before.
    """
    if not here:
        return no_worker(had_workers, (trial.objective for trial in trials))
    workers = [worker for worker in here if worker.takes(study)]
    if not workers:
        with_it = f", or with --study {study}" if study else ""
        return f"{_here(here)} for other studies only: start one without --study{with_it}"
    waiting = [trial for trial in trials if trial.status is Status.NEW]
    lacking = [trial for trial in waiting if not any(w.has(trial.objective) for w in workers)]
    if lacking:
        return _lacking(lacking, workers)
    failed = [trial for trial in waiting if not _able(workers, trial)]
    if failed:
        return _failed(failed)
    paused = [trial for trial in waiting if all(w.paused for w in _able(workers, trial))]
    return _paused(paused, _able(workers, paused[0])) if paused else None


def _able(workers: Sequence[WorkerRecord], trial: Trial) -> list[WorkerRecord]:
    return [worker for worker in workers if worker.can_run(trial)]


def _lacking(trials: Sequence[Trial], workers: Sequence[WorkerRecord]) -> str:
    objective = trials[0].objective
    without = f"{_here(workers)} without it"
    if objective == HYPEROPT:
        return f"{_wait(trials)} for a worker with --allow-pickled-objectives: {without}"
    if objective == ASK:
        return f"{_wait(trials)} for a program that asks (study.ask): workers do not take them"
    file = file_of(objective)
    if file is not None:
        return (
            f"{_wait(trials)} for objective {objective}: {without}; start "
            f"`hyperhive worker --objectives {file}` there, with the path of that file"
        )
    return (
        f"{_wait(trials)} for objective {objective}: {without}; install its package there (entry "
        "point hyperhive.objectives) and start them again"
    )


def _failed(trials: Sequence[Trial]) -> str:
    names = ", ".join(trial.title for trial in trials)
    messages = [trial.error["message"] for trial in trials if trial.error is not None]
    last = f" ({shortened(messages[-1], _LONGEST)})" if messages else ""
    return (
        f"every worker here has failed at {names}{last}: without another worker, it fails "
        f"{GIVE_UP_AFTER_S:.0f} s after that"
    )


def _paused(trials: Sequence[Trial], workers: Sequence[WorkerRecord]) -> str:
    reason = workers[0].paused
    return f"{_wait(trials)} while every worker here that could run it is paused: {reason}"


def _wait(trials: Sequence[Trial]) -> str:
    return "1 trial waits" if len(trials) == 1 else f"{len(trials)} trials wait"


def _here(workers: Sequence[WorkerRecord]) -> str:
    return "1 worker is here" if len(workers) == 1 else f"{len(workers)} workers are here"
