"""What a person is told of the trials with which a search ended, in sentences."""

from __future__ import annotations

from hyperhive.common.values import numbers, sequence
from hyperhive.common.wording import counted
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import finite_loss, why_nothing
from hyperhive.coordinator.suggest import OWN
from hyperhive.store.trials.draft import NO_PRUNER
from hyperhive.store.trials.terms import AUTO, LENET5
from hyperhive.store.trials.trial import Trial


def no_result(plan: Plan, trials: list[Trial]) -> str:
    """Return why a study has no result, and what to do."""
    name, more = plan.name, 2 * plan.trials
    are = "is" if len(trials) == 1 else "are"
    return (
        f"study {name} has no result: {why_nothing(trials)}; its "
        f"{counted(len(trials), 'trial')} {are} not run again: start it with more trials "
        f"(`--trials {more}`, in Python `trials={more}`), under another name (`--name`, "
        f"`name=`), or after `hyperhive study delete {name}`"
    )


def drawn(plan: Plan, trials: list[Trial]) -> str | None:
    """Return which algorithm ``auto`` chose, and whether it never began, in a sentence.

    None if there is neither to say.
    """
    name, is_auto = plan.chosen_algorithm, plan.algorithm == AUTO
    own = OWN.get(name)
    finished = sum(finite_loss(trial) is not None for trial in trials)
    # The last suggestion knew no more than all others.
    has_begun = min(finished, len(trials) - 1) >= plan.startup
    if own is None or not own.learns or has_begun:
        return f"by {name}, which auto chose" if is_auto else None
    how = "spread evenly" if own.is_spread else "at random"
    subject = f"{name}, which auto chose," if is_auto else name
    return (
        f"all trials {how}: {subject} begins when {plan.startup} have finished (startup), and this "
        f"study ended with {finished}"
    )


def pruned(plan: Plan, trials: list[Trial]) -> str | None:
    """Return how many were ended early or, if none was, why that cannot be; None unasked."""
    count = sum(trial.pruned for trial in trials)
    if count:
        return f"{count} of {len(trials)} trials ended early ({plan.pruner})"
    if plan.pruner == NO_PRUNER:
        return None
    if any(trial.rungs for trial in trials):
        return "none"
    reported = {name for trial in trials for name in _reported(trial)}
    if not reported or plan.metric in reported:
        return f"none: no trial reported its {plan.metric} at a point of comparison"
    names = ", ".join(sorted(reported))
    return f"none: the trials report {names}, and not {plan.metric}, which is compared"


def _reported(trial: Trial) -> set[str]:
    """Return the names of what a function reported last; LeNet-5 reports all that it has."""
    if trial.objective == LENET5:
        return set()
    last = sequence(trial.result.get("history"))[-1:]
    return {name for entry in last for name in numbers(entry)} - {"step"}
