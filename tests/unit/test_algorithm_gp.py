"""Gaussian processes: the model against scikit-learn's, improvement against integrals, the search.

What holds for all algorithms that have the model is tested here for all of them.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from support.searching import BRANIN

from hyperhive.coordinator.algorithms import random_search
from hyperhive.coordinator.algorithms.gaussian import gp, turbo
from hyperhive.coordinator.algorithms.gaussian.expected_improvement import (
    log_h,
    log_improvement,
    log_improvement_slope,
)
from hyperhive.coordinator.algorithms.gaussian.gaussian_process import (
    MEAN_VARIANCE,
    GaussianProcess,
    Kernel,
    fitted,
    log_likelihood,
)
from hyperhive.coordinator.algorithms.gaussian.losses import warped
from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.algorithms.variables import variables_of
from hyperhive.coordinator.experiments.functions import branin, hartmann6
from hyperhive.coordinator.spaces.parsing import parse

ALGORITHMS = {"gp": gp.suggest, "turbo": turbo.suggest}
UNIT = {"distribution": "uniform", "low": 0.0, "high": 1.0}
MIXED = {
    "rate": {"distribution": "loguniform", "low": 1e-4, "high": 1.0},
    "units": {"distribution": "quniform", "low": 16, "high": 256, "step": 16},
    "layers": {"distribution": "randint", "low": 1, "high": 5},
    "noise": {"distribution": "normal", "mu": 0.0, "sigma": 2.0},
    "kind": {
        "choices": ["plain", {"name": "deep", "depth": UNIT}, {"name": "wide", "width": UNIT}]
    },
}
KERNEL = Kernel(np.array([0.3, 0.7, 1.5]), signal=1.3, noise=0.04)
RNG = np.random.default_rng(0)
POINTS, LOSSES, OTHERS = RNG.uniform(size=(40, 3)), RNG.normal(size=40), RNG.uniform(size=(25, 3))


def scikit_kernel() -> Any:
    matern = ConstantKernel(KERNEL.signal) * Matern(KERNEL.lengths, nu=2.5)
    return ConstantKernel(MEAN_VARIANCE, "fixed") + matern


def test_the_posterior_is_scikit_learns():
    """At many points at once, one by one, and jointly."""
    process = GaussianProcess(KERNEL, POINTS, LOSSES)
    theirs = GaussianProcessRegressor(scikit_kernel(), alpha=KERNEL.noise, optimizer=None)
    theirs.fit(POINTS, LOSSES)
    mean, covariance = theirs.predict(OTHERS, return_cov=True)
    deviation = np.sqrt(np.diag(covariance))
    assert process.mean(OTHERS) == pytest.approx(mean)
    for ours, expected in zip(process.marginal(OTHERS), (mean, deviation)):
        assert ours == pytest.approx(expected)
    for ours, expected in zip(process.joint(OTHERS), (mean, covariance)):
        assert ours == pytest.approx(expected, abs=1e-9)


def test_the_marginal_likelihood_and_its_gradient_are_scikit_learns():
    theirs = GaussianProcessRegressor(scikit_kernel() + WhiteKernel(KERNEL.noise), optimizer=None)
    theirs.fit(POINTS, LOSSES)
    likelihood, slope = theirs.log_marginal_likelihood(theirs.kernel_.theta, eval_gradient=True)
    theta = np.log([*KERNEL.lengths, KERNEL.signal, KERNEL.noise])
    ours, gradient = log_likelihood(theta, POINTS, LOSSES, np.arange(3))
    assert ours == pytest.approx(likelihood)
    assert gradient == pytest.approx([*slope[1:4], slope[0], slope[4]], rel=1e-6)


def test_the_columns_of_a_choice_have_one_length_scale():
    groups = np.array([0, 1, 1])
    theta = np.log([0.4, 0.9, 1.3, 0.04])
    numeric = approx_fprime(theta, lambda at: log_likelihood(at, POINTS, LOSSES, groups)[0], 1e-7)
    assert log_likelihood(theta, POINTS, LOSSES, groups)[1] == pytest.approx(numeric, rel=1e-4)
    lengths = fitted(POINTS, LOSSES, groups).lengths
    assert lengths[1] == lengths[2] != lengths[0]


def test_noise_and_what_matters_are_learned():
    points = RNG.uniform(size=(150, 2))
    losses = np.sin(6 * points[:, 0]) + RNG.normal(0, 0.3, size=150)
    kernel = fitted(points, losses / np.std(losses), np.arange(2))
    assert kernel.noise * np.var(losses) == pytest.approx(0.09, rel=0.3)
    assert kernel.lengths[1] > 5 * kernel.lengths[0]


def test_running_trials_are_believed():
    """No expected loss changes, and what they will tell is known already."""
    process = GaussianProcess(KERNEL, POINTS, LOSSES)
    believing = process.believing(OTHERS[:5])
    assert believing.mean(OTHERS) == pytest.approx(process.mean(OTHERS), abs=1e-6)
    _, before = process.marginal(OTHERS)
    _, after = believing.marginal(OTHERS)
    assert (after <= before + 1e-9).all()
    assert (after[:5] < 0.01).all()


@pytest.mark.parametrize("z", [4.0, 0.0, -0.999, -1.001, -6.0, -40.0, -9e3, -1.1e4, -1e6])
def test_log_improvement_is_the_logarithm_of_the_integral(z: float):
    """h(z) = pdf(z) times the integral of u exp(-u^2 / 2 + z u) over all improvements u."""
    wide = 1 / (1 + abs(z))  # u is about as large as that, far in the tail
    integral, _ = quad(
        lambda u: u * math.exp(-((u * wide) ** 2) / 2 + z * wide * u),
        0,
        60 if z < 0 else 100,
        epsabs=0,
        epsrel=1e-11,
        limit=200,
    )
    expected = -(z**2) / 2 - 0.5 * math.log(2 * math.pi) + math.log(integral * wide**2)
    assert log_h(np.array([z]))[0] == pytest.approx(expected, rel=1e-13, abs=1e-7)


def test_the_gradient_of_log_improvement_leads_upwards():
    process = GaussianProcess(KERNEL, POINTS, LOSSES)

    def improvement(point: np.ndarray) -> float:
        return float(log_improvement(-1.0, *process.marginal(point[None]))[0])

    for point in OTHERS[:3]:
        value, slope = log_improvement_slope(-1.0, *process.slopes(point))
        assert value == pytest.approx(improvement(point))
        assert slope == pytest.approx(approx_fprime(point, improvement, 1e-7), rel=1e-4)


def test_a_diverged_trial_hides_nothing():
    losses = np.array([0.3, 0.1, 0.2, 0.5, 0.4, 0.6])
    for worst in (0.7, 1e6, 1e300):
        drawn = warped(np.append(losses, worst))
        assert list(np.argsort(drawn)) == [1, 2, 0, 4, 3, 5, 6]
        assert np.mean(drawn) == pytest.approx(0, abs=1e-12)
        assert np.std(drawn) == pytest.approx(1)
        assert drawn[2] - drawn[1] > 0.2, worst


@pytest.mark.parametrize("scale", [1e-300, 1e300, -1e-5])
def test_the_unit_of_losses_does_not_matter(scale: float):
    losses = np.arange(8.0)
    assert warped(losses * scale) == pytest.approx(np.sign(scale) * warped(losses), abs=2.0)
    assert warped(losses * abs(scale)) == pytest.approx(warped(losses))


def history(
    space: Mapping[str, Any], losses: list[float | None], seed: int = 0
) -> tuple[Known, list[Observation]]:
    """Return trials with random values and these losses."""
    parsed = parse(space)
    variables = variables_of(parsed)
    drawn = [
        random_search.suggest(variables, Known(parsed), i, seed + i) for i in range(len(losses))
    ]
    seen = [Observation(i, vals, loss) for i, (vals, loss) in enumerate(zip(drawn, losses))]
    return Known(parsed, seen), seen


def suggested(name: str, space: Mapping[str, Any], known: Known, seed: int = 0) -> dict[str, float]:
    """Return a suggestion; the space can have it, or it could not be taken into the history."""
    tid = known.tids[-1] + 1
    vals = ALGORITHMS[name](variables_of(parse(space)), known, tid, seed)
    known.put(Observation(tid, vals, None))
    assert known.tids[-1] == tid
    return vals


NOISY = [float(loss) for loss in RNG.uniform(size=20)]


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(
    "losses",
    [
        [0.5],
        [0.0] * 15,
        [0.3, *[None] * 17],
        [1e300, -1e300, 1e-300, 0.0, None],
        [*NOISY, None, None],
    ],
    ids=["one", "equal", "pending", "huge", "usual"],
)
def test_any_history_gives_a_configuration_of_the_space(name: str, losses: list[float | None]):
    for space in (MIXED, {"x": UNIT}, {"a": {"choices": [1, 2]}, "b": {"choices": [1, 2, 3]}}):
        known, seen = history(space, losses)
        known.put(Observation(len(seen), seen[0].vals, 0.1))  # a repeat
        suggested(name, space, known)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_order_in_which_trials_end_does_not_matter(name: str):
    known, seen = history(MIXED, [*NOISY, None, None])
    other = Known(parse(MIXED), [Observation(each.tid, each.vals, None) for each in seen])
    for each in reversed(seen):
        other.put(each)
    assert suggested(name, MIXED, known, seed=5) == suggested(name, MIXED, other, seed=5)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_has_been_tried_is_not_tried_again_before_everything_else(name: str):
    space = {"a": {"choices": [0, 1]}, "b": {"choices": [0, 1, 2]}}
    known = Known(parse(space), [Observation(0, {"a": 0, "b": 0}, 0.5)])
    for tid in range(1, 6):
        known.put(Observation(tid, suggested(name, space, known), 0.5 + tid))
    assert len({(known.values("a")[i], known.values("b")[i]) for i in range(6)}) == 6
    suggested(name, space, known)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_workers_that_run_at_once_get_different_trials(name: str):
    space = {"x": UNIT, "y": UNIT}
    known, _ = history(space, [1.0] * 8)
    for tid, x in enumerate(known.values("x")[:8].copy()):
        vals = {"x": x, "y": known.values("y")[tid]}
        known.put(Observation(tid, vals, (x - 0.4) ** 2 + (vals["y"] - 0.6) ** 2))
    places = [list(suggested(name, space, known, seed).values()) for seed in range(8)]
    apart = np.linalg.norm(np.array(places)[:, None] - np.array(places), axis=2)
    assert np.min(apart[np.triu_indices(8, 1)]) > 1e-3


def test_a_long_history_is_known_in_part():
    """The suggestion is near the best trials all the same."""
    known, seen = history({"x": UNIT, "y": UNIT}, [1.0] * 1500)
    for each in seen:
        known.put(Observation(each.tid, each.vals, abs(each.vals["x"] - 0.25) + each.vals["y"]))
    vals = suggested("gp", {"x": UNIT, "y": UNIT}, known)
    assert abs(vals["x"] - 0.25) < 0.1
    assert vals["y"] < 0.1


def conditional(vals: Mapping[str, float]) -> float:
    """Return a loss whose minimum, 0, is in an option with a number of its own."""
    if "depth" in vals:
        return abs(vals["depth"] - 0.7) + abs(math.log10(vals["rate"]) + 2) / 4
    return 0.5 + abs(math.log10(vals["rate"]) + 1) / 4


Loss = Callable[[Mapping[str, float]], float]


def searched(
    name: str, space: Mapping[str, Any], loss: Loss, budget: int, noise: float, seed: int
) -> float:
    """Return the least loss without noise of a search: ten trials at random, then the algorithm."""
    known, seen = history(space, [None] * 10, seed=100 * seed)
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < budget:
        vals = (
            seen[len(found)].vals if len(found) < 10 else suggested(name, space, known, len(found))
        )
        found.append(loss(vals))
        known.put(Observation(len(found) - 1, vals, found[-1] + noise * rng.normal()))
    return min(found)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_twenty_trials_find_what_random_search_does_not(name: str):
    found = [searched(name, BRANIN, branin, 30, 1.0, seed) for seed in range(2)]
    assert np.mean(found) < 0.397887 + 0.3


@pytest.mark.parametrize("name", ALGORITHMS)
def test_numbers_of_an_option_are_searched_within_it(name: str):
    assert searched(name, MIXED, conditional, 30, 0.02, seed=0) < 0.12


@pytest.mark.long
@pytest.mark.parametrize("name", ALGORITHMS)
def test_six_numbers_are_searched_well_in_sixty_trials(name: str):
    space = {f"x{i}": UNIT for i in range(6)}
    found = [searched(name, space, hartmann6, 60, 0.05, seed) for seed in range(5)]
    assert np.mean(found) < -2.7  # of random search: -1.6
