"""What went wrong with a study's trials and was recovered, in words."""

from __future__ import annotations

from typing import Container, Sequence

from hyperhive.store.trials.trial import SEARCH, Trial

_MOST_NAMES = 8


def incidents(trials: Sequence[Trial], overdue: Container[object]) -> list[str]:
    """Return a line for each kind of incident: what happened, and to which trials.

    Args:
        trials: of one study.
        overdue: the ids of the trials whose lease is over.
    """
    lines = {
        "silent worker, the next free one takes it": [
            trial for trial in trials if trial.id in overdue and _may_be_claimed(trial)
        ],
        "taken again after a worker was lost, stopped or failed": [
            trial for trial in trials if trial.claims > 1
        ],
        "second result kept, not counted": [trial for trial in trials if trial.late],
        "the device of a worker failed, others may take it": [
            trial for trial in trials if trial.excluded and not trial.is_final
        ],
    }
    return [f"{what}: {_names(which)}" for what, which in lines.items() if which]


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
