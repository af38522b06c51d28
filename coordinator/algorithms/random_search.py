"""Random search: each trial is drawn from the space's own distributions.

Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 2012.
"""

from __future__ import annotations

import numpy as np

from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Variables, drawn


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of a trial, whatever is known."""
    rng = np.random.default_rng(seed)
    return drawn(variables, lambda variable: variable.draw(rng))
