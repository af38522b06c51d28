"""Statistics of pictures at 28x28, whatever a network sees of them, and without a network."""

from __future__ import annotations

import numpy as np

from hyperhive.model.data.images import batches, reduced

STATISTICS = {1: 62, 3: 69}
"""Number of statistics of a picture, by its number of channels."""

OF_DISTANCE = {1: 27, 3: 34}
"""How many of them, from the first, the distance is taken over."""

_OF_LAYOUT = 16
"""How many of those, from the last, say where the picture is light."""

_FLATTEST, _FAINTEST = 0.01, 0.03
"""In 0..1. Differences between pixels far below the first, and contrasts of a picture far below the
second, are noise, and must not count."""

_WEAKEST = 0.005
"""The same for the mean response of a pattern."""

_WAVES = np.array(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]],
    np.float32,
)
"""The discrete cosine transform of three pixels: their mean, slope and bend."""


def statistics(pictures: np.ndarray) -> np.ndarray:
    """Return float64 ``[N, 62]`` for grey pictures uint8 ``[N, S, S, 1]``, 69 for colour.

    The first, of the distance, say how steep the picture is (quantiles; means by direction, and of
    the second difference, which is mostly noise), how light, how rich in contrast and in colour,
    and which of its 4x4 fields are lighter than the others. The others say how strong each pattern
    of 3x3 pixels is, and how much of that are few strong places, as in drawings, or many weak ones;
    how strong the patterns are and how steep the picture is at half the size, where a camera blurs
    nothing; and how flat its flattest parts are.
    """
    return np.concatenate([_statistics(reduced(batch)) for batch in batches(pictures)])


def of_texture(rows: np.ndarray) -> np.ndarray:
    """Return the statistics ``[..., T]`` of ``[..., S]`` that do not say where a picture is light.

    T is 46 for grey pictures and 53 for colour.
    """
    channels = next(each for each, size in STATISTICS.items() if size == rows.shape[-1])
    end = OF_DISTANCE[channels]
    return np.concatenate([rows[..., : end - _OF_LAYOUT], rows[..., end:]], axis=-1)


def _statistics(pictures: np.ndarray) -> np.ndarray:
    # Channels first: NumPy is slow over a last axis of three.
    levels = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)).astype(np.float32) / 255
    light = levels.mean(axis=1)
    parts = [_of_distance(levels, light), _patterns(light), _of_half(light), _flatness(light)]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _of_distance(levels: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return ``[N, 27]``, or 34 for colour, of pictures ``[N, C, 28, 28]`` and their lightness."""
    across = np.abs(np.diff(levels, axis=3)).mean(axis=1)
    down = np.abs(np.diff(levels, axis=2)).mean(axis=1)
    bent = np.abs(np.diff(light, n=2, axis=2))
    flat = levels.reshape(*levels.shape[:2], -1)
    ratios = [
        _steepness(across, down),
        np.stack([part.mean(axis=(1, 2)) for part in (across, down, bent)], axis=1),
        flat.std(axis=2),
    ]
    if levels.shape[1] == 3:
        saturation = flat.max(axis=1) - flat.min(axis=1)
        ratios.append(_quantiles(saturation, (0.1, 0.5, 0.9)))
    parts = [_logarithms(np.concatenate(ratios, axis=1)), flat.mean(axis=2), _layout(light)]
    return np.concatenate(parts, axis=1)


def _of_half(light: np.ndarray) -> np.ndarray:
    """Return ``[N, 14]``: strengths of patterns and quantiles of steepness at 14x14."""
    half = light.reshape(len(light), 14, 2, 14, 2).mean(axis=(2, 4))
    across, down = (np.abs(np.diff(half, axis=axis)) for axis in (2, 1))
    strengths = _patterns(half)[:, :8]
    return np.concatenate([strengths, _logarithms(_steepness(across, down))], axis=1)


def _flatness(light: np.ndarray) -> np.ndarray:
    """Return ``[N, 5]``: quantiles of the contrast within fields of 4x4 pixels."""
    fields = light.reshape(len(light), 7, 4, 7, 4).transpose(0, 1, 3, 2, 4)
    contrasts = fields.reshape(len(light), 49, 16).std(axis=2)
    return _logarithms(_quantiles(contrasts, (0.1, 0.3, 0.5, 0.7, 0.9)))


def _layout(light: np.ndarray) -> np.ndarray:
    """Return ``[N, 16]``: the lightness of 4x4 fields, relative to the picture's own."""
    fields = light.reshape(len(light), 4, 7, 28).mean(axis=2).reshape(len(light), 16, 7)
    fields = fields.mean(axis=2)
    fields -= fields.mean(axis=1, keepdims=True)
    layout: np.ndarray = fields / (fields.std(axis=1, keepdims=True) + _FAINTEST)
    return layout


def _patterns(light: np.ndarray) -> np.ndarray:
    """Return ``[N, 16]``: strengths of the 3x3 discrete cosine transform, and their unevenness."""
    height, width = (side - 2 for side in light.shape[1:])
    across = [light[:, :, start : start + width] for start in range(3)]
    by_column = [_weighted(across, wave) for wave in _WAVES]
    responses = []
    for columns in by_column:
        down = [columns[:, start : start + height] for start in range(3)]
        responses += [_weighted(down, wave) for wave in _WAVES]
    strong = np.stack([np.abs(each).mean(axis=(1, 2)) for each in responses[1:]], axis=1)
    squared = np.stack([(each * each).mean(axis=(1, 2)) for each in responses[1:]], axis=1)
    strength = np.log(strong + _WEAKEST)
    uneven = np.log(np.sqrt(squared) + _WEAKEST) - strength
    return np.concatenate([strength, uneven], axis=1)


def _steepness(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    count = len(across)
    steep = np.concatenate([across.reshape(count, -1), down.reshape(count, -1)], axis=1)
    return _quantiles(steep, (0.1, 0.25, 0.5, 0.75, 0.9, 0.98))


def _logarithms(ratios: np.ndarray) -> np.ndarray:
    # In the logarithm, twice as much is the same step everywhere; the offset keeps zero finite.
    logarithms: np.ndarray = np.log(ratios + _FLATTEST)
    return logarithms


def _weighted(parts: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    total: np.ndarray = parts[0] * weights[0] + parts[1] * weights[1] + parts[2] * weights[2]
    return total


def _quantiles(values: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    places = [round(share * (values.shape[1] - 1)) for share in shares]
    return np.partition(values, places, axis=1)[:, places]
