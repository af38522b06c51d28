"""Which algorithm ``auto`` stands for."""

from __future__ import annotations

from hyperhive.coordinator.algorithms.variables import Index, Variable, Variables

_MOST_TRIALS = 1000
_MOST_VARIABLES = 12


def chosen(variables: Variables, trials: int) -> str:
    """Return the name of the algorithm for a space and a budget.

    This is by reasoning, until a table of measurements says something else:

    - With more than 1,000 trials, ``tpe``: it learns from all of them, in milliseconds. The others
      learn from a part of so many, or take longer than a short trial.
    - If more than half of the variables are choices, or stand in an option of one, ``mtpe``: it
      counts how often an option was good. The distances that the others work with say little there.
    - With more than 12 variables, ``turbo+tpe``: so few trials tell nothing of a large space as a
      whole. One half searches the neighbourhood of the best, the other half everywhere.
    - Otherwise ``gp``.

    Args:
        variables: of the space.
        trials: how many the study is to run. One that is given more is searched from then on as if
            it had had them from its beginning.
    """
    if trials > _MOST_TRIALS:
        return "tpe"
    if 2 * sum(map(_has_no_distance, variables)) > len(variables):
        return "mtpe"
    return "turbo+tpe" if len(variables) > _MOST_VARIABLES else "gp"


def _has_no_distance(variable: Variable) -> bool:
    """Return whether a variable is a choice, or is not in every trial."""
    is_choice = isinstance(variable, Index) and variable.is_choice
    return is_choice or None not in variable.options
