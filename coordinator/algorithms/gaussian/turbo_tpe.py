"""TuRBO and TPE by turns: even numbers of trials are TuRBO's suggestions, odd ones TPE's.

Liu, Tunguz and Titericz, GPU Accelerated Exhaustive Search for Optimal Ensemble of Black-Box
Optimization Algorithms, 2020, arXiv:2012.04201: algorithms that suggest by turns do better than
each alone. A trust region sees one place well, TPE goes on looking elsewhere. Each learns from the
trials of both.
"""

from __future__ import annotations

from hyperhive.coordinator.algorithms import tpe
from hyperhive.coordinator.algorithms.gaussian import turbo
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.algorithms.variables import Variables


def suggest(variables: Variables, known: Known, tid: int, seed: int) -> dict[str, float]:
    """Return the values of trial ``tid``. At least one trial must have ended."""
    suggest = tpe.suggest if tid % 2 else turbo.suggest
    return suggest(variables, known, tid, seed)
