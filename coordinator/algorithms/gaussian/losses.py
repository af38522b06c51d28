"""Losses as a Gaussian process can model them: bad ones drawn together, good ones as they are.

A few trials that diverged would otherwise be all that a model sees: beside a loss of 10^6, all
others are alike. How bad a bad trial is hardly matters, but that it is bad does. So a loss above
the median counts by its logarithm, which keeps the order, and one below it as it is: noise, and
what is to be gained, stay on one scale where the search goes. The power transformations of HEBO
(Cowen-Rivers et al. 2020, arXiv:2012.03826) also draw bad losses together, but they stretch the
good side, and the noise there with it.
"""

from __future__ import annotations

import numpy as np

_WORST = 100.0
"""No loss is more than so many scales above the median, whose logarithm is 4.6."""


def warped(losses: np.ndarray) -> np.ndarray:
    """Return losses, float64 ``[N]``, N > 0 and finite, with mean 0 and variance 1, in their order.

    All are 0 if all are equal. The scale is the mean distance of the better half from the median.
    """
    largest = np.max(np.abs(losses))
    if largest == 0:
        return np.zeros(len(losses))
    losses = losses / largest  # so that no difference is too large for a float
    above = losses - np.median(losses)
    better, worse = -above[above < 0], above[above > 0]
    scales = [np.mean(side) for side in (better, worse) if len(side)]
    if not scales:
        return np.zeros(len(losses))
    above = np.minimum(above / scales[0], _WORST)
    drawn = np.where(above > 0, np.log1p(np.maximum(above, 0.0)), above)
    standard: np.ndarray = (drawn - np.mean(drawn)) / np.std(drawn)
    return standard
