"""When each device did what: every attempt, the lost and the failed, second copies, refits.

The store has no times of pauses: a pause is a gap, after an attempt that was handed back.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Tuple

from hyperhive.coordinator.figures.numbers import seconds_since
from hyperhive.coordinator.figures.source import Source
from hyperhive.store.trials.attempts import FAILED, LOST, RETURNED, Attempt
from hyperhive.store.trials.terms import (
    BASELINE,
    LOST_KINDS,
    REFIT,
    REPEAT,
    REPEATS_END,
    SEARCH,
    TEACHER,
    Status,
)
from hyperhive.store.trials.trial import Trial

KINDS = (
    *("run", "pruned", "failed", "lost", "copy", "refit", "repeat", "baseline", "teacher"),
    "paused",
)
"""What a span was. ``paused`` is an attempt that was handed back: its worker paused or stopped;
``failed`` is also one that was cancelled."""

_PURPOSES = {SEARCH: "run", REFIT: REFIT, REPEAT: REPEAT, BASELINE: BASELINE, TEACHER: TEACHER}
_HOW = {FAILED: "failed", LOST: "lost", RETURNED: "paused"}

Span = Tuple[int, Any, Any, Any, int]
"""The device, begin and end in seconds since the study's start, the tid, and the kind."""


def timeline(source: Source, trials: Iterable[Trial] | None = None) -> dict[str, Any]:
    """Return the spans of all attempts at all trials, by when they began.

    A span is ``[device, begin, end, tid, kind]``; an end is None while it runs. Of a repeat or a
    refit the tid is that of the search's trial, of a baseline or a teacher it is None. An attempt
    that a worker of an earlier version followed ends when that one began. Of a trial of a batch,
    begin and end are those of the batch.

    Args:
        source: the study.
        trials: those whose attempts are to be in it; None for all.
    """
    chosen = source.state.trials if trials is None else trials
    spans = [span for trial in chosen for span in _spans(source, trial)]
    return {"spans": sorted(spans, key=lambda span: span[1]), "kinds": list(KINDS)}


def _spans(source: Source, trial: Trial) -> Iterator[list[Any]]:
    attempts = source.attempts.get(trial.id) or only_attempt(trial)
    for attempt in attempts:
        device = source.devices.of_worker(attempt.worker)
        begin = seconds_since(source.started, attempt.began)
        if device is None or begin is None:
            continue
        end = attempt.ended or (trial.refresh_time if trial.is_final else None)
        if end is None and trial.status is Status.NEW:
            end = trial.refresh_time  # it waits for its next attempt
        kind = KINDS.index(_kind(trial, attempt))
        yield [device, begin, seconds_since(source.started, end), _searched(trial), kind]


def _searched(trial: Trial) -> int | None:
    """Return the number of the search's trial that a trial is, or is made from."""
    if trial.purpose == REPEAT:
        return trial.tid // REPEATS_END
    return trial.tid if trial.purpose in (SEARCH, REFIT) else None


def only_attempt(trial: Trial) -> tuple[Attempt, ...]:
    """Return the one attempt at a trial, if it had one."""
    if trial.owner is None or trial.book_time is None or trial.status is Status.NEW:
        return ()
    return (Attempt(trial.owner, trial.book_time),)


def _kind(trial: Trial, attempt: Attempt) -> str:
    """Return what an attempt was; how it ended counts before what the trial was for."""
    if attempt.how is not None:
        return _HOW.get(attempt.how, "run")
    if attempt.is_copy:
        return "copy"
    if attempt.ended is not None:
        return "lost"  # nobody noted how it ended, and another worker began the trial anew
    if trial.status is Status.NEW:
        return "failed" if trial.error else "paused"
    if trial.status is Status.ERROR:
        return "lost" if (trial.error or {}).get("kind") in LOST_KINDS else "failed"
    return "pruned" if trial.pruned else _PURPOSES.get(trial.purpose, "run")
