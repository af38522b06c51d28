"""What a person is told of the trials with which a search ended, in sentences."""

from __future__ import annotations

from hyperhive.common.values import numbers, sequence
from hyperhive.common.wording import counted
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import finite_loss, why_nothing
from hyperhive.store.trials.draft import NO_PRUNER
from hyperhive.store.trials.terms import LENET5
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
    """Return a sentence if every trial was drawn at random, though an algorithm was chosen."""
    finished = sum(finite_loss(trial) is not None for trial in trials)
    # The last suggestion knew no more than all others.
    if plan.algorithm == "random" or min(finished, len(trials) - 1) >= plan.startup:
        return None
    return (
        f"all trials at random: {plan.algorithm} begins when {plan.startup} have finished "
        f"(startup), and this study ended with {finished}"
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
