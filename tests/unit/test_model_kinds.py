"""Augmentation by kind: each does what it says, up to its bound, and follows the seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.stripes import config

from hyperhive.model.augmentation import kinds
from hyperhive.model.augmentation.kinds import augmentations

MEAN = [0.2, 0.4, 0.6]
PLACED = {"mirror": True, "shift": 1.0, "rotate": 1.0, "scale": 1.0}
KINDS: list[dict[str, Any]] = [{name: value} for name, value in PLACED.items()]
KINDS += [{"cutout": 0.5}, {"colour": 0.5}, {**PLACED, "cutout": 1.0, "colour": 1.0}]


def images(count: int = 8, channels: int = 3) -> torch.Tensor:
    random = np.random.RandomState(0)
    return torch.from_numpy(random.randint(0, 256, (count, channels, 28, 28)).astype(np.uint8))


def changed(given: torch.Tensor, seed: int = 7, **strengths: Any) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    (change,) = augmentations(config(**strengths), MEAN[: given.shape[1]], random)
    return change(given)


@pytest.mark.parametrize("strengths", KINDS, ids=lambda each: "+".join(each))
@pytest.mark.parametrize("channels", [1, 3])
def test_a_kind_changes_images_by_the_seed(channels: int, strengths: dict[str, Any]) -> None:
    """Shape and range stay; the seed decides; the batch that is given is not touched."""
    given = images(channels=channels)
    before = given.clone()
    seen = changed(given, **strengths)
    assert seen.shape == given.shape
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 255.001
    assert torch.equal(seen, changed(given, **strengths))
    assert not torch.equal(seen, changed(given, seed=8, **strengths))
    assert torch.equal(given, before)


def test_half_of_the_images_are_mirrored() -> None:
    """Each is itself or its mirror image, to the last bit, with and without interpolation."""
    given = images(200)
    seen = changed(given, mirror=True)
    is_same = (seen == given).flatten(1).all(dim=1)
    is_mirrored = (seen == given.flip(3)).flatten(1).all(dim=1)
    assert bool((is_same ^ is_mirrored).all())
    assert 70 < int(is_mirrored.sum()) < 130
    placed = changed(given, mirror=True, scale=1e-6)
    assert torch.allclose(placed, seen.float(), atol=0.1)


def test_a_shift_is_one_of_whole_pixels_and_continues_the_edge() -> None:
    """At strength 1 all shifts from -4 to 4 occur; what was outside has the edge's colour."""
    ramp = torch.arange(28, dtype=torch.uint8).expand(400, 1, 28, 28)
    seen = changed(ramp, shift=1.0)[:, 0].long()
    shifts = seen[:, 0, 14] - 14
    assert set(shifts.tolist()) == set(range(-4, 5))
    expected = (torch.arange(28) + shifts[:, None]).clamp(0, 27)
    assert torch.equal(seen, expected[:, None].expand_as(seen))
    placed = changed(ramp, shift=1.0, rotate=1e-6)[:, 0]
    assert float((placed[:, 14] - seen[:, 14]).abs().max()) <= 0.51  # not rounded


def test_a_turn_and_a_scale_keep_the_centre_and_their_bounds() -> None:
    """A bright pixel away from the centre moves along its circle, or towards the centre."""
    ramp = torch.arange(28, dtype=torch.uint8).mul(9).expand(400, 1, 28, 28)
    for strengths, least, most in (
        ({"rotate": 1.0}, np.cos(kinds._TURN), 1.0),
        ({"scale": 1.0}, 1 / 1.3, 1.3),
    ):
        seen = changed(ramp, **strengths)[:, 0]
        slope = (seen[:, 13, 17] - seen[:, 13, 10]) / 63
        assert torch.allclose(seen[:, 13:15, 13:15].mean(dim=(1, 2)), torch.tensor(121.5), atol=0.1)
        assert least - 0.01 < float(slope.min()) < least + 0.02
        assert most - 0.02 < float(slope.max()) < most + 0.01


def test_a_square_of_the_mean_colour_is_cut_out() -> None:
    """At strength 1 a whole square has 14x14 pixels; none has more."""
    white = torch.full((300, 3, 28, 28), 255, dtype=torch.uint8)
    seen = changed(white, cutout=1.0)
    is_cut = (seen != 255).all(dim=1)
    sizes = is_cut.flatten(1).sum(dim=1)
    assert int(sizes.max()) == 14 * 14
    assert int(sizes.min()) >= 49  # a quarter of it, in a corner
    assert seen[0][:, is_cut[0]][:, 0].tolist() == [51, 102, 153]


def test_colours_stay_within_their_bounds() -> None:
    """The mean colour moves by brightness and tint alone; grey images have no tint."""
    level = torch.tensor([51, 102, 153], dtype=torch.uint8).reshape(1, 3, 1, 1)
    factors = changed(level.expand(500, 3, 28, 28), colour=1.0)[:, :, 0, 0] / level[:, :, 0, 0]
    tint = (factors / factors[:, :1]).log().abs().max()
    assert 0.25 < float(tint) < 2 * kinds._TINT + 0.01
    grey = changed(torch.full((500, 1, 28, 28), 51, dtype=torch.uint8), colour=1.0)[:, 0, 0, 0] / 51
    assert 1 / 1.5 - 0.01 < float(grey.min()) < 0.7
    assert 1.45 < float(grey.max()) < 1.51


def test_the_strength_of_one_kind_does_not_change_what_another_draws() -> None:
    """With colour beside it, an image is mirrored and moved as without it."""
    given = images()
    alone = changed(given, mirror=True, shift=1.0)
    beside = changed(given, mirror=True, shift=1.0, colour=1e-6)
    assert torch.allclose(beside, alone.float(), atol=0.01)
