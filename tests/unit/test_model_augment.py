"""Augmentation for cameras: each distortion is what it claims to be, and follows the seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hyperhive.model.augmentation import camera as augment
from hyperhive.model.augmentation.camera import CameraAugmentation

SEED = 7


def images(count: int = 8, channels: int = 3) -> torch.Tensor:
    random = np.random.RandomState(0)
    small = random.randint(0, 256, (count, channels, 4, 4)).astype(np.uint8)
    return torch.from_numpy(small.repeat(7, axis=2).repeat(7, axis=3))


def level(value: int, count: int = 400, channels: int = 3) -> torch.Tensor:
    return torch.full((count, channels, 28, 28), value, dtype=torch.uint8)


def camera(strength: float = 1.0, seed: int = SEED) -> CameraAugmentation:
    return CameraAugmentation(torch.Generator().manual_seed(seed), strength)


def only(monkeypatch: pytest.MonkeyPatch, *kept: str) -> CameraAugmentation:
    """Return an augmentation without blur, with all bounds at zero except the named ones."""
    bounds = ("TURN", "GROWTH", "SHIFT", "KEYSTONE", "STOPS", "WARMTH", "TINT", "FALL", "CURVE")
    for name in set(bounds) - set(kept):
        monkeypatch.setattr(augment, "_" + name, 0.0)
    monkeypatch.setattr(augment, "_blur", lambda pixels, share: None)
    return camera()


def middles(pixels: torch.Tensor) -> torch.Tensor:
    return pixels[:, :, 13:15, 13:15].mean(dim=(2, 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_shape_and_range(channels: int) -> None:
    """Grey and colour images become float32 of the same shape, within 0..255, and change."""
    given = images(32, channels)
    seen = camera()(given)
    assert (seen.shape, seen.dtype) == (given.shape, torch.float32)
    assert seen.min() >= 0
    assert seen.max() < 255.001
    assert (seen - given.float()).abs().mean(dim=(1, 2, 3)).min() > 1


def test_at_strength_zero_images_stay_as_they_are() -> None:
    """At strength zero, sampling, blur and light leave every pixel unchanged."""
    given = images()
    assert torch.allclose(camera(0.0)(given), given.float(), atol=0.01)


def test_the_seed_decides() -> None:
    """The same seed gives the same distortions, call by call; another seed or call gives others."""
    given = images()
    one, other = camera(), camera()
    first = one(given)
    assert torch.equal(first, other(given))
    second = one(given)
    assert not torch.equal(first, second)
    assert torch.equal(second, other(given))
    assert not torch.equal(first, camera(seed=8)(given))


def test_the_batch_given_is_not_touched() -> None:
    """The input images are not changed."""
    given = images()
    before = given.clone()
    camera()(given)
    assert torch.equal(given, before)


def test_warm_light_raises_red_as_it_lowers_blue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The light's colour keeps green, and the product of red and blue; both signs are drawn."""
    red, green, blue = middles(only(monkeypatch, "WARMTH")(level(100))).t()
    assert torch.allclose(green, torch.full_like(green, 100), atol=0.01)
    assert torch.allclose(red * blue, torch.full_like(red, 100.0**2), rtol=1e-3)
    assert 90 < red.min() < 92
    assert 109 < red.max() < 111


def test_exposure_moves_all_colours_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exposure is one factor for the whole picture, within its bound."""
    seen = only(monkeypatch, "STOPS")(level(100))
    factors = seen[:, 0, 14, 14] / 100
    assert torch.allclose(seen, (100 * factors).reshape(-1, 1, 1, 1).expand_as(seen), rtol=1e-3)
    bound = np.exp(augment._STOPS)
    assert 1 / bound <= factors.min() < 0.77
    assert 1.32 < factors.max() <= bound


def test_uneven_light_falls_along_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The centre keeps its brightness; one side gains what the other loses."""
    seen = only(monkeypatch, "FALL")(level(100))
    assert torch.allclose(middles(seen), torch.full((400, 3), 100.0), atol=0.5)
    assert torch.allclose(seen + seen.flip((2, 3)), torch.full_like(seen, 200), atol=0.01)
    assert (seen[:, 0, 14, 0] - seen[:, 0, 14, 27]).abs().max() > 25


def test_the_tone_curve_leaves_black_and_white(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tone curve keeps black and white, and the order of the levels between them."""
    distort = only(monkeypatch, "CURVE")
    ramp = torch.linspace(0, 255, 28).round().to(torch.uint8).expand(64, 3, 28, 28).contiguous()
    seen = distort(ramp)
    assert torch.allclose(seen[..., 0], torch.zeros(()), atol=0.01)
    assert torch.allclose(seen[..., 27], torch.tensor(255.0), atol=0.1)
    assert (seen[..., 1:] > seen[..., :-1]).all()
    assert (seen[..., 14] - ramp[..., 14].float()).abs().max() > 18


@pytest.mark.parametrize("axis", [2, 3])
def test_a_shift_moves_the_picture(monkeypatch: pytest.MonkeyPatch, axis: int) -> None:
    """At its bound, a shift moves a bright bar by that share of half a side."""
    monkeypatch.setattr(torch, "rand", _highest)
    bar = torch.zeros(4, 3, 28, 28, dtype=torch.uint8)
    bar.narrow(axis, 10, 8).fill_(200)
    seen = only(monkeypatch, "SHIFT")(bar)
    centre = _centre(seen.float(), axis)[:, 13] - _centre(bar.float(), axis)[:, 13]
    assert torch.allclose(centre, torch.full_like(centre, -14 * augment._SHIFT), atol=0.3)


def _highest(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Return draws that put every value at its bound, with a black wall."""
    return (torch.arange(shape[0]) < augment._SIGNED).float().reshape(-1, 1, 1, 1, 1).expand(shape)


def _centre(pixels: torch.Tensor, axis: int) -> torch.Tensor:
    """Return the centre of brightness along an axis, for each line of the green channel."""
    lines = pixels[:, 1].transpose(1, 2) if axis == 2 else pixels[:, 1]
    return (lines * torch.arange(28)).sum(dim=2) / lines.sum(dim=2)


def test_what_is_outside_becomes_a_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that shrinks is surrounded by one colour, a different one for each picture."""
    seen = only(monkeypatch, "GROWTH")(level(50))
    shrunk = (seen[:, :, 0, 0] - 50).abs().amax(dim=1) > 1
    assert 100 < int(shrunk.sum()) < 300
    assert torch.allclose(middles(seen), torch.tensor(50.0), atol=0.01)
    walls = seen[shrunk][:, :, 0, 0]
    assert torch.allclose(walls, seen[shrunk][:, :, 27, 27], atol=0.01)
    assert walls.std(dim=0).min() > 40


def test_blur_averages_neighbours() -> None:
    """Full blur spreads a dot over nine equal pixels; no brightness is lost at the border."""
    dot = torch.zeros(1, 1, 28, 28)
    dot[0, 0, 10, 10] = 90.0
    share = torch.ones(1, 1, 1, 1)
    seen = dot.clone()
    augment._blur(seen, share)
    assert torch.allclose(seen[0, 0, 9:12, 9:12], torch.full((3, 3), 10.0))
    assert float(seen.sum()) == pytest.approx(90.0)
    even = torch.full((1, 1, 28, 28), 90.0)
    augment._blur(even, share)
    assert torch.allclose(even, torch.tensor(90.0))
    augment._blur(seen, 0 * share)
    assert torch.allclose(seen[0, 0, 9:12, 9:12], torch.full((3, 3), 10.0))
