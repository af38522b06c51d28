"""The cameras of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Iterator

import numpy as np

from hyperhive.common.errors import SourceError
from hyperhive.inference.sources import camera_advice, opencv_capture
from hyperhive.inference.sources.address import CaptureRequest

_PROBED = 10
"""Where a system does not list its cameras, these numbers are tried, up to the second gap."""

_GAPS = 2
_PATIENCE_S = 3.0

_PROFILER = ["/usr/sbin/system_profiler", "SPCameraDataType", "-json"]


@dataclass(frozen=True)
class ListedCamera:
    """A camera: its number, its name if the system gives it, its picture size or its fault."""

    index: int
    name: str
    size: tuple[int, int] | None
    fault: str = ""

    @property
    def state(self) -> str:
        """The picture size, or the fault, as a person reads it."""
        return self.fault if self.size is None else f"{self.size[0]}x{self.size[1]} pixels"


def cameras(backend: int) -> Iterator[ListedCamera]:
    """Open one camera after the other for a moment, and yield those that exist.

    Call it in the main thread, where macOS asks for permission.
    """
    gaps = 0
    for index in _numbers():
        camera = _probe(index, backend)
        if camera.size is None and not camera.name:
            gaps += 1
            if gaps == _GAPS:
                return
            continue
        yield camera


def names_on_a_mac() -> list[str]:
    """Return macOS's names of its cameras, without their numbers, which it does not give.

    The list is empty on other systems, and if macOS does not answer.
    """
    if sys.platform != "darwin":
        return []
    try:
        report = subprocess.run(_PROFILER, stdout=subprocess.PIPE, timeout=30, check=True).stdout
        return [str(camera["_name"]) for camera in json.loads(report)["SPCameraDataType"]]
    # The cameras are listed already; their names are an extra.
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return []


def _numbers() -> list[int]:
    if not camera_advice.SYSFS.is_dir():
        return list(range(_PROBED))
    numbers = []
    for entry in camera_advice.SYSFS.glob("video*"):
        digits = entry.name[len("video") :]
        index_file = entry / "index"
        # A webcam has a second device, of index 1, for metadata.
        has_pictures = not index_file.exists() or index_file.read_text().strip() == "0"
        if digits.isdigit() and has_pictures:
            numbers.append(int(digits))
    return sorted(numbers)


def _probe(index: int, backend: int) -> ListedCamera:
    name = camera_advice.camera_name(index)
    title = f"camera {index}"
    try:
        capture = opencv_capture.open_camera(
            index, title, backend, CaptureRequest(), lambda _: None
        )
    except SourceError as error:
        return ListedCamera(index, name, None, str(error))
    try:
        image = _first(capture)
    except SourceError as error:
        return ListedCamera(index, name, None, str(error))
    finally:
        capture.release()
    if image is None:
        return ListedCamera(index, name, None, "it opens, but gives no picture")
    height, width = image.shape[:2]
    return ListedCamera(index, name, (width, height))


def _first(capture: opencv_capture.OpenCvCapture) -> np.ndarray | None:
    """Return a camera's first picture, or None; many cameras give nothing at first."""
    deadline = time.monotonic() + _PATIENCE_S
    image = capture.read()
    while image is None and time.monotonic() < deadline:
        time.sleep(0.02)
        image = capture.read()
    return image
