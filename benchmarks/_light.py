"""The light in a scene: its brightness, colour and evenness, and the camera's tone curve."""

from __future__ import annotations

import math
from typing import Mapping

import numpy as np

from benchmarks._backgrounds import HEIGHT, SIDE, WIDTH

_STEPS = 4095
_XYZ_TO_RGB = np.array(
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)


def lit(frame: np.ndarray, values: Mapping[str, float], side: float) -> np.ndarray:
    """Return a frame in another light, clipped as by a sensor: uint8 BGR.

    Exposure, the light's colour and its fall towards one side multiply linear light. The tone curve
    is applied after the encoding by sRGB's curve.

    Args:
        frame: uint8 BGR ``[480, 640, 3]``.
        values: of exposure, uneven, temperature and gamma; see ``_scene.KINDS``.
        side: direction in which the light falls, in radians.
    """
    if not {"exposure", "uneven", "temperature", "gamma"} & set(values):
        return frame
    gains = 2.0 ** values.get("exposure", 0.0) * white(values.get("temperature", 0.0))
    linear = _LINEAR[frame] * gains.astype(np.float32)
    if "uneven" in values:
        x, y = np.meshgrid(np.linspace(-1, 1, WIDTH), np.linspace(-1, 1, HEIGHT))
        along = (x * WIDTH / SIDE * math.cos(side) + y * math.sin(side)) / math.sqrt(2)
        fall = abs(values["uneven"]) / 100 * np.clip((along + 1) / 2, 0, 1)
        linear *= (1 - fall)[..., None].astype(np.float32)
    levels = np.minimum(linear * _STEPS, _STEPS).astype(np.int32)
    encoded = np.round(255 * _ENCODED ** values.get("gamma", 1.0)).astype(np.uint8)
    return encoded[levels]


def white(mired: float) -> np.ndarray:
    """Return the gains (B, G, R) of linear light that is this many mired warmer than D65.

    They follow the CIE's daylight locus (Wyszecki and Stiles, Color Science, 2nd edition, section
    3.3.4) in linear sRGB (IEC 61966-2-1). The gain of green is 1.
    """

    def of(temperature: float) -> np.ndarray:
        t = 1000 / temperature
        if temperature <= 7000:
            x = -4.6070 * t**3 + 2.9678 * t**2 + 0.09911 * t + 0.244063
        else:
            x = -2.0064 * t**3 + 1.9018 * t**2 + 0.24748 * t + 0.237040
        y = -3 * x**2 + 2.87 * x - 0.275
        rgb = _XYZ_TO_RGB @ np.array([x / y, 1, (1 - x - y) / y])
        return (rgb / rgb[1])[::-1]

    neutral = 6504.0
    return of(1e6 / (1e6 / neutral + mired)) / of(neutral)


def _to_linear(encoded: np.ndarray) -> np.ndarray:
    curved = ((encoded + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, curved)


def _to_encoded(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


_LINEAR = _to_linear(np.arange(256) / 255).astype(np.float32)
_ENCODED = _to_encoded(np.arange(_STEPS + 1) / _STEPS)
