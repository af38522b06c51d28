"""Models in ONNX computed by OpenCV, for devices without PyTorch."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hyperhive.common.errors import CheckpointError


class OpenCVEngine:
    """An ``Engine`` around an ONNX file, on the CPU.

    Args:
        packed: the file's bytes, as ``hyperhive best --export`` wrote them.

    Raises ``CheckpointError`` for what OpenCV cannot read.
    """

    name = "opencv"

    def __init__(self, packed: bytes) -> None:
        try:
            self._net = _read(packed)
        except cv2.error as error:
            raise CheckpointError(
                f"OpenCV {cv2.__version__} cannot read it: export it anew with `hyperhive "
                "best --export`"
            ) from error

    def run(self, pictures: np.ndarray) -> np.ndarray:
        """Return logits; see ``Engine.run``."""
        pixels = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)
        try:
            self._net.setInput(pixels)
            logits: np.ndarray = self._net.forward("logits")
        except cv2.error as error:
            raise CheckpointError(
                f"OpenCV {cv2.__version__} cannot compute it: it takes or gives other "
                "shapes than its card "
                "says"
            ) from error
        return logits


def _read(packed: bytes) -> Any:
    try:
        return cv2.dnn.readNetFromONNX(np.frombuffer(packed, np.uint8))
    except TypeError:  # OpenCV 4.1.0 reads files only
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.onnx"
            file.write_bytes(packed)
            return cv2.dnn.readNetFromONNX(str(file))
