"""What went wrong with a study's trials and was mended, as a person wants to hear it."""

from __future__ import annotations

from typing import Container

from hyperhive.store.trial import SEARCH, Trial

_NAMED = 8


def mended(trials: list[Trial], overdue: Container[object]) -> list[str]:
    """Return a line for each kind of mishap among these trials: what, and which trials.

    ``overdue`` has the ids of the trials whose lease is over.
    """
    lines = {
        "silent worker, the next free one takes it": [
            trial for trial in trials if trial.id in overdue and _may_be_taken(trial)
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


def _may_be_taken(trial: Trial) -> bool:
    return trial.attempts < trial.max_attempts and not trial.cancel_requested


def _names(trials: list[Trial]) -> str:
    names = [_name(trial) for trial in trials[:_NAMED]]
    more = len(trials) - len(names)
    text = "{} {}".format("trials" if len(trials) > 1 else "trial", ", ".join(names))
    return text if not more else f"{text} and {more} more"


def _name(trial: Trial) -> str:
    if trial.purpose == SEARCH:
        return str(trial.tid)
    return f"{trial.purpose}/{trial.tid}"
