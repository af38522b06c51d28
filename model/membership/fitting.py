"""Training of the classifier that tells members from photographs, with PyTorch.

Networks for cross-fitting and the card's own are trained at once, as one batch of matrices.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hyperhive.model.membership.classifier import HIDDEN, PhotographClassifier
from hyperhive.model.membership.numbers import folds_of, percentiles, rounded
from hyperhive.model.membership.statistics import of_texture

_FOLDS = 4

_STEPS = 500
_HALF = 128
"""Members in a batch; as many are squares of photographs."""
_RATE = 0.01
_DECAY = 2e-3
_NOISE = 0.1
"""Standard deviation of what is added to each normalised statistic. It makes the network smooth
(Bishop 1995, "Training with noise is equivalent to Tikhonov regularization")."""

_KEPT = 0.95
"""Share of members that is kept where it is measured whether photographs are told from them."""

_SMALLEST_STD = 1e-3


class Fitted(NamedTuple):
    """A classifier, and which share of a photograph that it has not seen it tells from members."""

    classifier: PhotographClassifier
    separation: float


def fitted(
    members: np.ndarray, photographs: np.ndarray, series: np.ndarray | None = None
) -> Fitted:
    """Return a classifier of statistics of members and of photographs.

    The probabilities of each quarter of the members are those of a network that was trained on the
    others, as for the distance. The separation is the mean over the photographs of the share of
    each that is refused at a threshold that 95 % of members pass, by a network that has seen
    neither that photograph nor these members.

    Args:
        members: float64 ``[V, N, S]``: of N members, then of V - 1 copies of each, N of 2 or more.
        photographs: float64 ``[P, M, S]``: of M squares of each of P photographs, P of 2 or more.
        series: int64 ``[N]``, which members stay together; None if each is by itself.
    """
    count = members.shape[1]
    rows = of_texture(np.concatenate([_flat(members), _flat(photographs)]))
    own = np.arange(members.shape[0] * count).reshape(-1, count)
    others = own.size + np.arange(len(rows) - own.size).reshape(len(photographs), -1)
    fold = folds_of(count, _FOLDS, series)
    folds = range(fold.max() + 1)
    pools = [(own[:, fold != number], others) for number in folds]
    pools += [(own[:, fold != 0], np.delete(others, one, axis=0)) for one in range(len(others))]
    networks = _trained(rows, [*pools, (own, others)])
    found = np.empty(members.shape[:2])
    for number in folds:
        inside = fold == number
        found[:, inside] = networks[number].probability(members[:, inside])
    refused = []
    for photograph, network in zip(photographs, networks[len(folds) :]):
        least = np.quantile(network.probability(members[:, fold == 0]), _KEPT)
        refused.append((network.probability(photograph) > least).mean())
    classifier = replace(networks[-1], probabilities=percentiles(found))
    return Fitted(classifier, round(float(np.mean(refused)), 3))


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(-1, rows.shape[-1])


def _trained(
    rows: np.ndarray, pools: list[tuple[np.ndarray, np.ndarray]]
) -> list[PhotographClassifier]:
    """Return a network, without percentiles, for each pair of pools: members and photographs.

    Half of each batch is drawn from either pool, which has indices of rows ``[R, T]``.
    """
    mean, scale = rows.mean(axis=0), np.maximum(rows.std(axis=0), _SMALLEST_STD)
    inputs = torch.from_numpy((rows - mean) / scale).float()
    draws, grain = np.random.RandomState(0), torch.Generator().manual_seed(0)
    networks = _Networks(len(pools), rows.shape[1])
    optimizer = torch.optim.Adam(networks.parameters(), weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_STEPS)
    is_photograph = torch.arange(2.0).repeat_interleave(_HALF).expand(len(pools), -1)
    for _ in range(_STEPS):
        chosen = [draws.choice(pool.ravel(), _HALF) for pair in pools for pool in pair]
        batch = inputs[torch.from_numpy(np.concatenate(chosen))].reshape(len(pools), 2 * _HALF, -1)
        batch += _NOISE * torch.randn(batch.shape, generator=grain)
        loss = functional.binary_cross_entropy_with_logits(
            networks(batch), is_photograph, reduction="sum"
        )
        optimizer.zero_grad()
        (loss / (2 * _HALF)).backward()
        optimizer.step()
        schedule.step()
    return networks.classifiers(mean, scale)


class _Networks(nn.Module):
    """Networks of one hidden layer that begin alike, as one batch of matrices."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        hidden = torch.randn((size, HIDDEN), generator=random) / size**0.5
        output = torch.randn((HIDDEN, 1), generator=random) / HIDDEN**0.5
        self.hidden = nn.Parameter(hidden.repeat(count, 1, 1))
        self.hidden_bias = nn.Parameter(torch.zeros(count, 1, HIDDEN))
        self.output = nn.Parameter(output.repeat(count, 1, 1))
        self.output_bias = nn.Parameter(torch.zeros(count, 1, 1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the logits ``[K, B]`` of K networks for a batch ``[K, B, T]``."""
        units = torch.baddbmm(self.hidden_bias, batch, self.hidden).relu()
        return torch.baddbmm(self.output_bias, units, self.output).squeeze(2)

    def classifiers(self, mean: np.ndarray, scale: np.ndarray) -> list[PhotographClassifier]:
        """Return each network, of statistics that are not yet normalised."""
        arrays = [each.detach().double().numpy() for each in self.parameters()]
        made = []
        for hidden, hidden_bias, output, output_bias in zip(*arrays):
            weights = (hidden / scale[:, None]).T
            biases = hidden_bias[0] - weights @ mean
            rows = [rounded(row) for row in np.column_stack([weights, biases])]
            made.append(PhotographClassifier(rows, rounded([*output[:, 0], *output_bias[0]]), []))
        return made
