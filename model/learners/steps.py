"""From a configuration to what a step of SGD does.

With gradient g, velocity v and weights w, each step is

    v = momentum v + g + weight_decay w       (no weight_decay w if ``decoupled``)
    w = (1 - shrink) w - rate v               (Nesterov: g + weight_decay w + momentum v for v)

Plain: rate = learning_rate x share, shrink = 0, which is ``torch.optim.SGD``. ``share`` is the
schedule's, 0 to 1, see ``share``.

Decoupled: rate = learning_rate x (1 - momentum) x batch_size / 64 x share, and
shrink = weight_decay x batch_size / 64 x share. So each hyperparameter means the same whatever the
others are:

- A gradient moves the weights by rate / (1 - momentum) in all (Smith and Le, arXiv:1710.06451,
  section 5): the factor 1 - momentum takes that out.
- The rate grows with the batch (Goyal et al., arXiv:1706.02677, section 2.1), so that an epoch
  moves the weights as far in any number of steps. 64 is the default batch size.
- Weights shrink beside the gradient's step, as far as the schedule says, and neither by the
  learning rate nor through the velocity (SGDW: Loshchilov and Hutter, arXiv:1711.05101,
  algorithm 1). In plain SGD they shrink by learning_rate x weight_decay / (1 - momentum) in all.

All parameters shrink alike, biases and those of batch normalisation too.
"""

from __future__ import annotations

import math
from typing import Iterator, NamedTuple

from hyperhive.model.config import TrainConfig

_USUAL_BATCH = 64

_WARM_UP = 0.25
"""Share of a one-cycle's steps in which the rate rises. Smith and Topin (arXiv:1708.07120) raise it
for just under half; later practice found less to be enough: 0.3 in PyTorch's ``OneCycleLR``, 0.25
in fastai's ``fit_one_cycle``."""


class Step(NamedTuple):
    """What changes from step to step: ``rate`` and ``shrink`` of this module's formula."""

    rate: float
    shrink: float = 0.0


class Sgd(NamedTuple):
    """What is the same in all steps of a training.

    Args:
        momentum: 0 <= momentum < 1.
        nesterov: whether momentum has Nesterov's form.
        weight_decay: what is added to the gradient, per unit of weight.
        horizon: number of steps that weights are averaged over, see ``Average``; 0: they are not.
    """

    momentum: float
    nesterov: bool = False
    weight_decay: float = 0.0
    horizon: float = 0.0

    @classmethod
    def of(cls, config: TrainConfig, count: int) -> Sgd:
        """Return what a configuration says of all its ``count`` steps."""
        decay = 0.0 if config.decoupled else config.weight_decay
        return cls(config.momentum, config.nesterov, decay, config.averaging * count)


def steps(config: TrainConfig, count: int) -> Iterator[Step]:
    """Yield each of a configuration's ``count`` steps."""
    size = config.batch_size / _USUAL_BATCH
    rate, shrink = config.learning_rate, 0.0
    if config.decoupled:
        rate, shrink = rate * (1 - config.momentum) * size, config.weight_decay * size
    for step in range(count):
        of_step = share(config.schedule, step, count)
        yield Step(rate * of_step, shrink * of_step)


def share(schedule: str, step: int, count: int) -> float:
    """Return the share of the learning rate that a schedule gives a step, 0 to ``count`` - 1.

    ``cosine`` falls from 1 to 0 along half a cosine. ``one-cycle`` rises along a line in the first
    quarter of the steps, then falls as cosine does; momentum stays as it is.
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return _half_cosine(step / count)
    position = (step + 1) / (count + 1)  # neither the first step nor the last has a rate of 0
    rising = position / _WARM_UP
    return rising if rising < 1 else _half_cosine((position - _WARM_UP) / (1 - _WARM_UP))


def _half_cosine(position: float) -> float:
    return (1 + math.cos(math.pi * position)) / 2
