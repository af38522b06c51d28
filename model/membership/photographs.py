"""Photographs of no class: what a drawing or a digit is told from."""

from __future__ import annotations

import numpy as np

from hyperhive.model.data.images import fit

_SMALLEST = 20
"""Side of the smallest square in pixels. Enlarged, it is as smooth as what is out of focus."""


def squares(channels: int, count: int) -> np.ndarray:
    """Return squares of two photographs: uint8 ``[2, count, 28, 28, channels]``.

    They are scikit-learn's, of a temple and of a flower, and come with it (both CC BY). A square
    has any place, and any size from 20 pixels to the photograph's height, evenly in the logarithm.
    Half of them lie on their side.
    """
    from sklearn.datasets import load_sample_images

    random = np.random.RandomState(0)
    found = []
    for photograph in load_sample_images().images:
        most = min(photograph.shape[:2])
        for _ in range(count):
            side = int(np.exp(random.uniform(np.log(_SMALLEST), np.log(most))))
            top, left = (random.randint(whole - side + 1) for whole in photograph.shape[:2])
            square = photograph[top : top + side, left : left + side]
            if random.randint(2):
                square = np.ascontiguousarray(square.transpose(1, 0, 2))
            found.append(fit(square, channels))
    return np.stack(found).reshape(-1, count, *found[0].shape)
