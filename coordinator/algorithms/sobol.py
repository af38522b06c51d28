"""Points of a scrambled Sobol sequence: a study's trials lie evenly in its space from the first on.

Sobol, On the distribution of points in a cube and the approximate evaluation of integrals, USSR
Computational Mathematics and Mathematical Physics 1967; scrambled as in Matousek, On the
L2-discrepancy for anchored boxes, Journal of Complexity 1998. The sequence is that of SciPy: its
versions scramble differently.

Trial number k has the k-th point, whatever else is known. A point has a coordinate for each
variable, the place in its prior: a variable has the value below which this share of its prior lies.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from hyperhive.coordinator.algorithms.cube import at_shares
from hyperhive.coordinator.algorithms.variables import Index, Variable, Variables, drawn


def point(variables: Variables, seed: int, number: int) -> dict[str, float]:
    """Return the values at a point, counted from 0, of the sequence that a study's seed gives.

    A seed of its own for each trial, as other algorithms have, would give it another sequence.
    """
    sequence = qmc.Sobol(len(variables), scramble=True, seed=np.random.default_rng(seed))
    if number:  # SciPy cannot go forward by 0
        sequence.fast_forward(number)
    (places,) = sequence.random(1)
    place_of = {variable.label: place for variable, place in zip(variables, places)}

    def at_place(variable: Variable) -> float:
        (value,) = at_shares(variable, np.array([place_of[variable.label]]))
        return int(value) if isinstance(variable, Index) else float(value)

    return drawn(variables, at_place)
