"""The logarithm of expected improvement, exact where the improvement itself is too small a number.

Ament, Daulton, Eriksson, Balandat and Bakshy, Unexpected Improvements to Expected Improvement for
Bayesian Optimization, 2023, arXiv:2310.20708. Expected improvement itself is 0 in most of a space
once a good trial is known, and then nothing tells where to go.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)
_LOG_ROOT_HALF_PI = 0.5 * np.log(np.pi / 2)
_FAR = -1e4
"""Below, the next term of the series, 3 / z^2, is less than what rounding changes above it. (The
paper changes over at -1 / sqrt(eps), where rounding has left no digit.)"""


def log_improvement(best: float, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return log E[max(best - loss, 0)] of normal losses, all float64 ``[N]`` (equation 8)."""
    expected: np.ndarray = log_h((best - mean) / deviation) + np.log(deviation)
    return expected


def log_improvement_slope(
    best: float, mean: float, deviation: float, of_mean: np.ndarray, of_deviation: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return ``log_improvement`` at a point, and its gradient from those of both, ``[d]`` each.

    The derivative of h(z) = pdf(z) + z cdf(z) is cdf(z).
    """
    z = (best - mean) / deviation
    (log_of_h,) = log_h(np.array([z]))
    steep = np.exp(log_ndtr(z) - log_of_h)
    of_z = -(of_mean + z * of_deviation) / deviation
    return float(log_of_h + np.log(deviation)), steep * of_z + of_deviation / deviation


def log_h(z: np.ndarray) -> np.ndarray:
    """Return log(pdf(z) + z cdf(z)) of the standard normal, float64 ``[N]`` (equation 9)."""
    near = np.maximum(z, -1.0)
    as_is = np.log(np.exp(-(near**2) / 2 - _LOG_ROOT_2PI) + near * ndtr(near))
    tail = np.clip(z, _FAR, -1.0)
    ratio = np.log(erfcx(-tail / np.sqrt(2)) * -tail) + _LOG_ROOT_HALF_PI
    in_tail = -(tail**2) / 2 - _LOG_ROOT_2PI + np.log(-np.expm1(ratio))
    far = np.minimum(z, _FAR)
    far_off = -(far**2) / 2 - _LOG_ROOT_2PI - 2 * np.log(-far)
    log_of_h: np.ndarray = np.where(z > -1, as_is, np.where(z > _FAR, in_tail, far_off))
    return log_of_h
