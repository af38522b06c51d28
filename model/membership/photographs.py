"""Photographs of no class: what a drawing or a digit is told from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from hyperhive.model.data.images import fit

_SMALLEST = 20
"""Side of the smallest square in pixels. Enlarged, it is as smooth as what is out of focus."""


def squares(channels: int, count: int) -> np.ndarray:
    """Return squares of three photographs: uint8 ``[3, count, 28, 28, channels]``.

    A square has any place, and any size from 20 pixels to the photograph's shorter side, evenly in
    the logarithm. Half of them lie on their side.
    """
    random = np.random.RandomState(0)
    found = []
    for photograph in _photographs():
        most = min(photograph.shape[:2])
        for _ in range(count):
            side = int(np.exp(random.uniform(np.log(_SMALLEST), np.log(most))))
            top, left = (random.randint(whole - side + 1) for whole in photograph.shape[:2])
            square = photograph[top : top + side, left : left + side]
            if random.randint(2):
                square = np.ascontiguousarray(square.transpose(1, 0, 2))
            found.append(fit(square, channels))
    return np.stack(found).reshape(-1, count, *found[0].shape)


def _photographs() -> list[np.ndarray]:
    """Return photographs that come with packages of the coordinator, uint8 ``[H, W, 3]`` each.

    Two are scikit-learn's, of a temple and of a flower (CC BY). The third is matplotlib's, of Grace
    Hopper (public domain): skin, cloth and a flag are in no other.
    """
    import matplotlib
    from sklearn.datasets import load_sample_images

    portrait = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return [*load_sample_images().images, np.asarray(Image.open(portrait).convert("RGB"))]
