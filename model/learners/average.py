"""The exponential moving average of weights."""

from __future__ import annotations

from typing import Sequence

import torch


class Average:
    """Averages tensors over the steps of a training, the latest most (Polyak averaging).

    After step t, each is the sum of decay^(t - i) x (its value after step i), over i = 1..t,
    divided by the sum of those powers: the correction of Adam (Kingma and Ba, arXiv:1412.6980,
    section 3). So the initial values do not count, and after one step it is that step's value.
    decay is 1 - 1 / horizon.

    Args:
        of: the tensors that change.
        to: where their averages are kept.
        horizon: in steps, above 0; up to 1 each average is the latest value.
    """

    def __init__(
        self, of: Sequence[torch.Tensor], to: Sequence[torch.Tensor], horizon: float
    ) -> None:
        self._of = of
        self._to = to
        self._decay = 1 - 1 / max(1.0, horizon)
        self._rest = 1.0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the values after a step."""
        self._rest *= self._decay  # decay^t
        share = (1 - self._decay) / (1 - self._rest)
        for value, average in zip(self._of, self._to):
            average.lerp_(value, share)
