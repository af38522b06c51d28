"""The end of a study, or of a trial, because a person wants it; each says in a sentence what came.

Each can be repeated: after a lost reply it says again what holds by then.
"""

from __future__ import annotations

from hyperhive.common.errors import InputError, UsageError
from hyperhive.common.wording import counted
from hyperhive.coordinator import hyperopt_experiment
from hyperhive.coordinator.ranking import best_of
from hyperhive.store.errors import NotFound, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy
from hyperhive.store.trials.terms import SEARCH, ErrorKind
from hyperhive.store.trials.trial import Trial


class NothingToFinish(InputError):
    """No trial of the study has a result yet."""


def cancel(store: Store, name: str) -> str:
    """End a study now, or an experiment of hyperopt's. Raises ``NotFound``."""
    if store.is_experiment(name):
        return hyperopt_experiment.cancel(store, name)
    if store.study(name).result is not None:
        return f"study {name} has ended already"
    count = store.cancel_study(name)
    return f"study {name} cancelled, {counted(count, 'trial')} with it"


def trial_of(store: Store, name: str, tid: int) -> Trial:
    """Return a trial of a study's search.

    Raises ``NotFound``, and ``UsageError`` for an experiment of hyperopt's: its jobs are its
    ``fmin``'s own.
    """
    if store.is_experiment(name):
        raise UsageError(
            f"{name!r} is an experiment of hyperopt's fmin, and only its fmin changes a single "
            "job: leave the trial out"
        )
    store.study(name)
    for trial in store.trials.find(name, SEARCH, [tid], in_short=True):
        return trial
    raise NotFound(
        f"study {name} has no trial {tid}: `hyperhive study export {name} --csv -` lists those "
        "that it has"
    )


def cancel_trial(store: Store, name: str, tid: int) -> str:
    """End a trial of a study's search without a result; it counts as one of the study's trials.

    Raises what ``trial_of`` does.
    """
    trial_of(store, name, tid)
    store.cancel_trial(name, tid)
    trial = trial_of(store, name, tid)
    if not trial.is_final:
        return f"{trial.full_title} ends when its worker, {trial.owner}, next reports"
    if (trial.error or {}).get("kind") == ErrorKind.CANCELLED.value:
        return f"{trial.full_title} cancelled"
    return f"{trial.full_title} has ended already"


def finishable(store: Store, name: str) -> StoredStudy:
    """Return a study that can end with the trials that it has, or has ended.

    Raises ``NotFound``, ``StudyWithdrawn`` if it was cancelled, ``NothingToFinish``.
    """
    stored = store.study(name)
    if stored.cancelled:
        raise StudyWithdrawn(f"study {name} was cancelled, and cannot be finished any more")
    if stored.result is None and best_of(store.trials.find(name, SEARCH, in_short=True)) is None:
        raise NothingToFinish(
            f"study {name} has no trial with a result yet: wait for the first one, or run "
            f"`hyperhive study cancel {name}`"
        )
    return stored


def ask_to_finish(store: Store, name: str) -> str:
    """Ask for a study's end with the trials that it has, which its coordinator then brings about.

    Raises what ``finishable`` does.
    """
    if finishable(store, name).result is not None:
        return f"study {name} has ended already"
    store.studies.finish(name)
    return (
        f"study {name} ends with the trials that it has: its coordinator does the rest; if none "
        f"runs, `hyperhive study finish {name}` does"
    )
