"""Runs ONNX models with OpenCV, for devices without PyTorch."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hyperhive.common.errors import CheckpointError


class OpenCVEngine:
    """An ``Engine`` that runs an ONNX file on the CPU.

    Args:
        packed: the bytes of a file that ``hyperhive best --export`` wrote.

    Raises ``CheckpointError`` if OpenCV cannot read the file.
    """

    name = "opencv"

    def __init__(self, packed: bytes) -> None:
        try:
            self._net = _read(packed)
        except cv2.error as error:
            raise CheckpointError(
                f"OpenCV {cv2.__version__} cannot read it: export it again with `hyperhive best "
                "--export`, or use a newer OpenCV"
            ) from error

    def run(self, pictures: np.ndarray) -> np.ndarray:
        """Return logits; see ``Engine.run``."""
        pixels = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)
        try:
            self._net.setInput(pixels)
            logits: np.ndarray = self._net.forward("logits")
        except cv2.error as error:
            raise CheckpointError(
                f"OpenCV {cv2.__version__} cannot run it: its input or output does not have the "
                "shapes on its card, or this OpenCV is too old for its network"
            ) from error
        return logits


def _read(packed: bytes) -> Any:
    try:
        return cv2.dnn.readNetFromONNX(np.frombuffer(packed, np.uint8))
    except TypeError:  # OpenCV 4.1.0 reads only from a path
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            file.write_bytes(packed)
            return cv2.dnn.readNetFromONNX(str(file))
