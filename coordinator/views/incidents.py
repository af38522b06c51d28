"""What went wrong with a study's trials, in words."""

from __future__ import annotations

from typing import Container, Sequence

from hyperhive.common.text import shortened
from hyperhive.common.wording import counted
from hyperhive.store.trials.terms import SEARCH, ErrorKind, Status
from hyperhive.store.trials.trial import Trial

LONGEST_ERROR = 100
"""Characters of an error's message: a worker wrote it."""

_MOST_NAMES = 8


def incidents(trials: Sequence[Trial], overdue: Container[object]) -> list[str]:
    """Return a line for each kind of incident: what happened, and to which trials.

    Args:
        trials: of one study.
        overdue: the ids of the trials whose lease is over.
    """
    failing = [trial for trial in trials if not trial.is_final and failed_itself(trial)]
    lines = {
        "silent worker, the next free one takes it": [
            trial for trial in trials if trial.id in overdue and _may_be_claimed(trial)
        ],
        f"an attempt failed, and is made again{_last_error(failing)}": failing,
        "taken again after a worker was lost or stopped, or an attempt failed": [
            trial
            for trial in trials
            if trial.claims > 1 and trial.status is not Status.ERROR and not failed_itself(trial)
        ],
        "second result kept, not counted": [trial for trial in trials if trial.late],
        "the device of a worker failed, others may take it": [
            trial for trial in trials if trial.excluded and not trial.is_final
        ],
    }
    told = [f"{what}: {_names(which)}" for what, which in lines.items() if which]
    return [*_failed(trials), *told]


def failed_itself(trial: Trial) -> bool:
    """Return whether the objective failed in the last attempt that ended."""
    return (trial.error or {}).get("kind") == ErrorKind.OBJECTIVE.value


def error_of(trial: Trial) -> str:
    """Return what went wrong with a trial, in no more than a line."""
    message = (trial.error or {}).get("message", "no reason was given")
    return shortened(message, LONGEST_ERROR)


def _failed(trials: Sequence[Trial]) -> list[str]:
    """Return a line about the trials that have failed, if any: to cancel one is no failure."""
    failed = [trial for trial in trials if trial.status is Status.ERROR and not _cancelled(trial)]
    return [f"{counted(len(failed), 'trial')} failed{_last_error(failed)}"] if failed else []


def _cancelled(trial: Trial) -> bool:
    return (trial.error or {}).get("kind") == ErrorKind.CANCELLED.value


def _last_error(trials: Sequence[Trial]) -> str:
    return f" (the last error: {error_of(trials[-1])})" if trials else ""


def _may_be_claimed(trial: Trial) -> bool:
    return trial.attempts < trial.max_attempts and not trial.cancel_requested


def _names(trials: list[Trial]) -> str:
    """Return the names of trials, and how many more there are."""
    shown = trials[:_MOST_NAMES]
    searched = [str(trial.tid) for trial in shown if trial.purpose == SEARCH]
    others = [trial.title for trial in shown if trial.purpose != SEARCH]
    if searched:
        searched[0] = f"{'trials' if len(searched) > 1 else 'trial'} {searched[0]}"
    text = ", ".join([*searched, *others])
    more = len(trials) - _MOST_NAMES
    return f"{text} and {more} more" if more > 0 else text
