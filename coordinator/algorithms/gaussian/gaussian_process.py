"""A Gaussian process: what losses are likely at any point, given those of some points.

Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006 (below: RW). The
kernel is Matern's with nu = 5/2 (RW 4.17), and each group of columns has a length scale of its own
(RW 5.1). The mean of all losses is not known either: its prior is normal, which adds a constant to
the kernel (RW 2.7).

The hyperparameters are those most likely a posteriori (RW 5.4.1): without a prior, ten trials
would make a model that is too sure of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, lapack
from scipy.optimize import minimize

MEAN_VARIANCE = 1.0
"""The prior variance of the mean of all losses, whose own variance is 1."""
_LENGTH, _LENGTH_SPREAD = 0.3, 1.0
"""Prior of a length scale: the median of d groups is 0.3 sqrt(d), as distances grow with sqrt(d)
(Hvarfner, Hellsten and Nardi 2024, arXiv:2402.02229), the spread that of its logarithm."""
_SIGNAL, _SIGNAL_SPREAD = 1.0, 1.0
_NOISE, _NOISE_SPREAD = 0.1, 1.5
"""Priors of the variances of losses and of their noise, likewise."""
_LOWEST = np.log([2e-2, 1e-2, 1e-6])
_HIGHEST = np.log([1e2, 5e1, 1e1])
"""Bounds of length scales, signal and noise. Within them rounding is less than the least noise, and
a covariance of the largest model is still positive definite."""
_OPTIONS = {"maxiter": 30, "ftol": 1e-5}
"""Of L-BFGS, from each start: the last digits of a hyperparameter do not matter."""
_NO_NOISE = 1e-6
"""The noise of a loss that is known."""
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Kernel:
    """The kernel and its hyperparameters.

    Attributes:
        lengths: the length scale of each column, float64 ``[d]``.
        signal: the variance of losses about their mean.
        noise: the variance of a loss that is measured again.
    """

    lengths: np.ndarray
    signal: float
    noise: float

    @property
    def variance(self) -> float:
        """The prior variance of the loss at a point, without noise."""
        return self.signal + MEAN_VARIANCE

    def between(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return the covariances, ``[N, M]``, of points ``[N, d]`` and points ``[M, d]``."""
        root = _roots(left / self.lengths, right / self.lengths)
        return self.signal * _matern(root) + MEAN_VARIANCE

    def slopes(self, point: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a point's covariances, ``[N]``, with points, and their gradient, ``[N, d]``."""
        apart = (point - points) / self.lengths
        root = np.sqrt(5 * np.einsum("ij,ij->i", apart, apart))
        slope = -self.signal * _steepness(root)
        return self.signal * _matern(root) + MEAN_VARIANCE, slope[:, None] * apart / self.lengths


class GaussianProcess:
    """A Gaussian process, given losses at points (RW, algorithm 2.1).

    Args:
        kernel: with its hyperparameters.
        points: float64 ``[N, d]``.
        losses: float64 ``[N]``, of mean 0 and variance 1.
        believed: the number of points, the last ones, whose losses have no noise.
    """

    def __init__(
        self, kernel: Kernel, points: np.ndarray, losses: np.ndarray, believed: int = 0
    ) -> None:
        self.kernel = kernel
        self.points = points
        self.losses = losses
        covariance = kernel.between(points, points)
        noise = np.full(len(points), kernel.noise)
        noise[len(points) - believed :] = _NO_NOISE
        covariance.flat[:: len(points) + 1] += noise
        factor = cholesky(covariance, lower=True, check_finite=False)
        self._weights = cho_solve((factor, True), losses, check_finite=False)
        self._inverse = np.tril(lapack.dtrtri(factor, lower=1)[0])

    def believing(self, points: np.ndarray) -> GaussianProcess:
        """Return the process that takes its own means at points, ``[M, d]``, as their losses.

        Ginsbourger, Le Riche and Carraro, Kriging is well-suited to parallelize optimization, 2010,
        section 4.2, the kriging believer: no mean changes, but these points are known. They are
        without noise: so running trials keep apart, however noisy losses are.
        """
        losses = np.concatenate([self.losses, self.mean(points)])
        both = np.vstack([self.points, points])
        return GaussianProcess(self.kernel, both, losses, len(points))

    def mean(self, points: np.ndarray) -> np.ndarray:
        """Return the expected losses, ``[N]``, at points ``[N, d]`` (RW 2.25)."""
        mean: np.ndarray = self.kernel.between(points, self.points) @ self._weights
        return mean

    def marginal(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, ``[N]`` each, without noise, at points ``[N, d]``."""
        between = self.kernel.between(self.points, points)
        explained = np.sum((self._inverse @ between) ** 2, axis=0)
        variance = np.maximum(self.kernel.variance - explained, _LEAST_VARIANCE)
        return self._weights @ between, np.sqrt(variance)

    def joint(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean, ``[N]``, and covariance, ``[N, N]``, without noise (RW 2.25 and 2.26)."""
        between = self.kernel.between(self.points, points)
        explained = self._inverse @ between
        return self._weights @ between, self.kernel.between(points, points) - (
            explained.T @ explained
        )

    def slopes(self, point: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Return mean and standard deviation at a point, ``[d]``, and the gradients, ``[d]``."""
        between, gradients = self.kernel.slopes(point, self.points)
        explained = self._inverse @ between
        variance = max(self.kernel.variance - float(explained @ explained), _LEAST_VARIANCE)
        deviation = float(np.sqrt(variance))
        slope = -(explained @ self._inverse @ gradients) / deviation
        return float(between @ self._weights), deviation, self._weights @ gradients, slope


def fitted(points: np.ndarray, losses: np.ndarray, groups: np.ndarray) -> Kernel:
    """Return the kernel that is most likely a posteriori.

    Args:
        points: float64 ``[N, d]``.
        losses: float64 ``[N]``, of mean 0 and variance 1.
        groups: the group of each column, int ``[d]``, from 0 on; a group has one length scale.
    """
    count = int(groups[-1]) + 1
    wide = np.log(_LENGTH * np.sqrt(count))
    mean = np.array([wide] * count + [np.log(_SIGNAL), np.log(_NOISE)])
    spread = np.array([_LENGTH_SPREAD] * count + [_SIGNAL_SPREAD, _NOISE_SPREAD])

    def surprise(theta: np.ndarray) -> tuple[float, np.ndarray]:
        likelihood, gradient = log_likelihood(theta, points, losses, groups)
        off = (theta - mean) / spread
        return 0.5 * float(off @ off) - likelihood, off / spread - gradient

    bounds = [(_LOWEST[i], _HIGHEST[i]) for i in [0] * count + [1, 2]]
    rough = mean - np.array([1.0] * count + [0.0, -1.0])  # shorter lengths and more noise
    ends = [
        minimize(surprise, start, jac=True, method="L-BFGS-B", bounds=bounds, options=_OPTIONS)
        for start in (mean, rough)
    ]
    theta = min(ends, key=lambda end: float(end.fun)).x
    return Kernel(np.exp(theta[groups]), float(np.exp(theta[-2])), float(np.exp(theta[-1])))


def log_likelihood(
    theta: np.ndarray, points: np.ndarray, losses: np.ndarray, groups: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the log marginal likelihood (RW 5.8) and its gradient (RW 5.9) in ``theta``.

    ``theta``, float64 ``[G + 2]``, is the logarithm of each group's length scale, of signal and of
    noise; the others are those of ``fitted``.
    """
    scaled = points / np.exp(theta[groups])
    signal, noise = np.exp(theta[-2:])
    root = _roots(scaled, scaled)
    matern = signal * _matern(root)
    covariance = matern + MEAN_VARIANCE
    covariance.flat[:: len(points) + 1] += noise
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = cho_solve((factor, True), losses, check_finite=False)
    likelihood = -0.5 * losses @ weights - np.sum(np.log(np.diag(factor)))
    likelihood -= 0.5 * len(points) * np.log(2 * np.pi)

    lower = np.tril(lapack.dpotri(factor, lower=1)[0])
    inverse = lower + np.tril(lower, -1).T
    pull = np.outer(weights, weights) - inverse  # of RW 5.9
    # The sum of pull * slope * (u_i - u_j)^2 for each column u, without a matrix for each.
    slope = pull * (signal * _steepness(root))
    of_columns = np.sum(slope, axis=1) @ scaled**2 - np.sum(scaled * (slope @ scaled), axis=0)
    of_groups = np.bincount(groups, of_columns)
    of_noise = 0.5 * noise * np.trace(pull)
    return float(likelihood), np.append(of_groups, [0.5 * np.sum(pull * matern), of_noise])


def _roots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return sqrt(5) times the distances, ``[N, M]``, of points ``[N, d]`` and ``[M, d]``."""
    squares = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1) - 2 * left @ right.T
    roots: np.ndarray = np.sqrt(5 * np.maximum(squares, 0.0))
    return roots


def _matern(root: np.ndarray) -> np.ndarray:
    """Return the correlation (RW 4.17) at sqrt(5) times a distance."""
    correlation: np.ndarray = (1 + root + root**2 / 3) * np.exp(-root)
    return correlation


def _steepness(root: np.ndarray) -> np.ndarray:
    """Return minus the correlation's derivative in the distance, divided by the distance."""
    steepness: np.ndarray = 5 / 3 * (1 + root) * np.exp(-root)
    return steepness
