"""Which cameras there are."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Iterator

import numpy as np

from hyperhive.common.errors import SourceError
from hyperhive.inference.sources import camera_advice as complaints
from hyperhive.inference.sources import opencv_capture as captures
from hyperhive.inference.sources.address import CaptureRequest

_PROBED = 10
"""Systems that do not list their cameras are asked for these numbers, up to the second gap."""

_GAPS = 2
_PATIENCE_S = 3.0

_PROFILER = ["/usr/sbin/system_profiler", "SPCameraDataType", "-json"]


@dataclass(frozen=True)
class Found:
    """A camera's number, its name if the system tells, and its pictures' size or what it lacks."""

    index: int
    name: str
    size: tuple[int, int] | None
    hindrance: str = ""


def cameras(backend: int) -> Iterator[Found]:
    """Open one camera after the other for a moment, and give what was found.

    Call it in the main thread: macOS asks there for permission.
    """
    gaps = 0
    for index in _numbers():
        found = _probe(index, backend)
        if found.size is None and not found.name:
            gaps += 1
            if gaps == _GAPS:
                return
            continue
        yield found


def names_on_a_mac() -> list[str]:
    """Return the names that macOS has for its cameras: without their numbers, which it hides.

    Nothing on other systems, and where macOS does not tell.
    """
    if sys.platform != "darwin":
        return []
    try:
        told = subprocess.run(_PROFILER, stdout=subprocess.PIPE, timeout=30, check=True).stdout
        return [str(camera["_name"]) for camera in json.loads(told)["SPCameraDataType"]]
    # The cameras were found without it; names are an extra.
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return []


def _numbers() -> list[int]:
    if not complaints.SYSFS.is_dir():
        return list(range(_PROBED))
    found = []
    for entry in complaints.SYSFS.glob("video*"):
        digits = entry.name[len("video") :]
        index_file = entry / "index"
        # A webcam has a second device, of index 1, for what is no picture.
        first = not index_file.exists() or index_file.read_text().strip() == "0"
        if digits.isdigit() and first:
            found.append(int(digits))
    return sorted(found)


def _probe(index: int, backend: int) -> Found:
    name = complaints.camera_name(index)
    title = f"camera {index}"
    try:
        capture = captures.open_camera(index, title, backend, CaptureRequest(), lambda _: None)
    except SourceError as error:
        return Found(index, name, None, str(error))
    try:
        image = _first(capture)
    except SourceError as error:
        return Found(index, name, None, str(error))
    finally:
        capture.release()
    if image is None:
        return Found(index, name, None, "it opens, and gives no picture")
    height, width = image.shape[:2]
    return Found(index, name, (width, height))


def _first(capture: captures.OpenCvCapture) -> np.ndarray | None:
    """Return a camera's first picture; many give nothing at once."""
    deadline = time.monotonic() + _PATIENCE_S
    image = capture.read()
    while image is None and time.monotonic() < deadline:
        time.sleep(0.02)
        image = capture.read()
    return image
