"""More trials for a study that goes on, and how the coordinator that runs it takes them up."""

from __future__ import annotations

from dataclasses import replace

from hyperhive.common.errors import UsageError
from hyperhive.common.wording import counted
from hyperhive.coordinator.study import Study
from hyperhive.store.errors import StudyExtended, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredStudy


def open_budget(store: Store, name: str) -> int:
    """Return how many trials a study may run, if it may be given more.

    Raises ``NotFound``, ``StudyWithdrawn`` if it was cancelled, ``UsageError`` if it has ended or
    is to.
    """
    stored = store.study(name)
    if stored.cancelled:
        raise StudyWithdrawn(f"study {name} was cancelled, and takes no more trials")
    if stored.finishing or stored.result is not None:
        what = "ended" if stored.result is not None else "been asked to end"
        raise UsageError(
            f"study {name} has {what}: start it again with more trials, and it goes on "
            "(`hyperhive coordinator` with --trials)"
        )
    return Study.stored(name, stored.spec).plan.trials


def require_more(name: str, budget: int, trials: int) -> None:
    """Raise ``UsageError`` for fewer trials than a study has."""
    if trials < budget:
        raise UsageError(
            f"study {name} has {counted(budget, 'trial')} to run already, and {trials} is fewer: "
            f"`hyperhive study finish {name}` ends it early"
        )


def extend(store: Store, name: str, trials: int) -> str:
    """Have a study run so many trials in all; return what holds then, in a sentence.

    The coordinator that runs it goes on with them, and so does the next one if that was killed. It
    can be repeated. Raises what ``open_budget`` does, and ``UsageError`` for fewer than it has.
    """
    require_more(name, open_budget(store, name), trials)
    store.studies.raise_budget(name, trials)
    now = open_budget(store, name)  # the study may have ended just before
    return f"study {name} runs {counted(now, 'trial')}"


def with_more_trials(study: Study, restarts: int | None, stored: StoredStudy) -> Study:
    """Return a study with the trials that it was given while its coordinator ran it.

    Args:
        study: as its coordinator began it.
        restarts: ``StoredStudy.restarts`` at that time; None if it had not read that yet.
        stored: the study now.

    Raises ``StudyExtended`` if it was changed in another way, or by starting it again: then another
    coordinator runs it.
    """
    now = Study.stored(stored.name, stored.spec)
    longer = with_budget(study, max(study.plan.trials, now.plan.trials))
    if restarts not in (None, stored.restarts) or longer.spec() != now.spec():
        raise StudyExtended(stored.name)
    return longer


def as_raised(study: Study, stored: StoredStudy) -> Study:
    """Return a study as it is to be run by the same command that began it.

    If somebody raised its budget meanwhile, that counts, and not the command's.
    """
    before = Study.stored(stored.name, stored.spec).plan.trials
    is_raised = stored.raised_from is not None and stored.raised_from <= study.plan.trials < before
    return with_budget(study, before) if is_raised else study


def with_budget(study: Study, trials: int) -> Study:
    """Return a study with another number of trials."""
    return replace(study, plan=replace(study.plan, trials=trials))
