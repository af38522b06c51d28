"""Cameras and streams, opened through OpenCV 4.1 to 5 with the parts that its build has."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

import cv2
import numpy as np

from hyperhive.common.errors import SourceError, UsageError
from hyperhive.inference.frames import Say
from hyperhive.inference.sources import camera_advice
from hyperhive.inference.sources.address import CaptureRequest, CsiAddress

_USUAL: dict[str, int] = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION}
"""By name: otherwise OpenCV tries every backend it has, and each prints its own complaints."""

_STREAM_TIMEOUT_MS = 10_000

_LONGEST_SKIP_S = 2.0
"""While FFmpeg opens a stream it buffers pictures, and then gives these old ones first. They are
skipped for as long as opening took, and for no longer than this."""


def camera_backend(name: str | None) -> int:
    """Return OpenCV's number of a backend for cameras; None is this system's own.

    Raises ``UsageError`` for a backend that this build does not have.
    """
    return _number(name, _USUAL.get(sys.platform, int(cv2.CAP_ANY)))


def stream_backend(name: str | None) -> int:
    """Return OpenCV's number of a backend for streams; None is FFmpeg. Raises as above."""
    return _number(name, int(cv2.CAP_FFMPEG))


def require_gstreamer() -> None:
    """Raise ``SourceError`` if this OpenCV cannot open a camera on a Jetson's ribbon cable."""
    if not _has("GStreamer"):
        raise SourceError(camera_advice.no_gstreamer(cv2.__version__))


class OpenCvCapture:
    """OpenCV's capture as a ``Capture``.

    Args:
        capture: an open ``cv2.VideoCapture``.
        title: names it to a person.
    """

    def __init__(self, capture: Any, title: str) -> None:
        self._capture = capture
        self._title = title

    def read(self) -> np.ndarray | None:
        """Return BGR pixels, or None; see ``Capture.read``."""
        try:
            readable, image = self._capture.read()
        except cv2.error as error:
            raise SourceError(f"{self._title} failed: {error}") from error
        if not readable or image is None or not image.size:
            return None
        if image.dtype != np.uint8 or image.shape[2:] != (3,):
            raise SourceError(self._unfit(f"{image.dtype} {image.shape}"))
        pixels: np.ndarray = image
        return pixels

    def skip(self, seconds: float) -> None:
        """Throw away the pictures that come within this many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._capture.grab():
            pass

    def release(self) -> None:
        """Release the camera."""
        self._capture.release()

    def _unfit(self, given: str) -> str:
        return (
            f"{self._title} gives pictures of {given}, not of 8-bit colour: choose another source "
            "or another --pixel-format"
        )


class _Camera(OpenCvCapture):
    """A camera opened by its number; its pictures may be raw."""

    def __init__(self, capture: Any, title: str, index: int) -> None:
        super().__init__(capture, title)
        self._index = index

    def _unfit(self, given: str) -> str:
        return camera_advice.raw_pixels(self._index, f"pictures of {given}")


def open_camera(
    index: int, title: str, backend: int, request: CaptureRequest, say: Say
) -> OpenCvCapture:
    """Open a camera by its number with the requested values; say which ones it does not grant.

    Raises ``SourceError`` if it cannot be opened, or gives pixels that OpenCV does not convert.
    """
    capture = cv2.VideoCapture(index, backend)
    if not capture.isOpened():
        capture.release()
        raise SourceError(camera_advice.cannot_open(index))
    try:
        _ask(capture, title, request, say)
        pixel_format = _pixel_format(capture)
        if camera_advice.is_raw(pixel_format):
            raise SourceError(camera_advice.raw_pixels(index, pixel_format))
    except Exception:
        capture.release()
        raise
    return _Camera(capture, title, index)


def open_csi(address: CsiAddress, title: str) -> OpenCvCapture:
    """Open a camera on a Jetson's ribbon cable; raise ``SourceError`` if that fails."""
    return _opened([address.pipeline(), cv2.CAP_GSTREAMER], title, camera_advice.CSI_ADVICE)


def open_stream(url: str, title: str, backend: int) -> OpenCvCapture:
    """Open a network stream through FFmpeg; raise ``SourceError`` if that fails."""
    arguments: list[Any] = [url, backend]
    # OpenCV 4.1 has neither; cli.py sets the corresponding option of its FFmpeg.
    names = ("CAP_PROP_OPEN_TIMEOUT_MSEC", "CAP_PROP_READ_TIMEOUT_MSEC")
    if backend == cv2.CAP_FFMPEG and all(hasattr(cv2, name) for name in names):
        limits = [value for name in names for value in (getattr(cv2, name), _STREAM_TIMEOUT_MS)]
        arguments.append(limits)
    advice = camera_advice.STREAM_ADVICE
    if backend == cv2.CAP_FFMPEG and not _has("FFMPEG"):
        advice = f"this OpenCV ({cv2.__version__}) was built without FFmpeg"
    started_at = time.monotonic()
    opened = _opened(arguments, title, advice)
    opened.skip(min(time.monotonic() - started_at, _LONGEST_SKIP_S))
    return opened


def _opened(arguments: list[Any], title: str, advice: str) -> OpenCvCapture:
    try:
        capture = cv2.VideoCapture(*arguments)
    except cv2.error:  # its text may hold the address, and with it a password
        raise SourceError(f"{title} cannot be opened: {advice}") from None
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{title} cannot be opened: {advice}")
    return OpenCvCapture(capture, title)


def _ask(capture: Any, title: str, request: CaptureRequest, say: Say) -> None:
    # V4L2 offers sizes for a pixel format and rates for a size, so this order matters.
    if request.pixel_format is not None:
        code = int.from_bytes(request.pixel_format.encode("ascii"), "little")
        capture.set(cv2.CAP_PROP_FOURCC, code)
        granted = _pixel_format(capture)
        if granted != request.pixel_format:
            _tell(say, title, granted or "an unknown pixel format", request.pixel_format)
    if request.size is not None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, request.size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, request.size[1])
    if request.fps is not None:
        capture.set(cv2.CAP_PROP_FPS, request.fps)
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        if not abs(rate - request.fps) < 0.5:
            granted = f"{rate:.3g}" if rate > 0 else "an unknown number of"
            _tell(say, title, f"{granted} frames per second", f"{request.fps:.3g}")


def _tell(say: Say, title: str, granted: str, requested: str) -> None:
    say(f"{title} gives {granted} instead of the requested {requested}")


def _pixel_format(capture: Any) -> str:
    """Return the four characters of the pixel format; an empty text if the backend has none."""
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = "".join(chr(code >> shift & 0xFF) for shift in (0, 8, 16, 24)) if code > 0 else ""
    return letters if letters.isprintable() else ""


def _number(name: str | None, usual: int) -> int:
    if name is None:
        return usual
    backends = _backends()
    if name.lower() not in backends:
        raise UsageError(
            f"this OpenCV ({cv2.__version__}) has no backend {name!r}: it has "
            f"{', '.join(sorted(backends))}"
        )
    return backends[name.lower()]


def _has(part: str) -> bool:
    pattern = rf"{part}:\s+YES"
    return re.search(pattern, cv2.getBuildInformation()) is not None


def _backends() -> dict[str, int]:
    registry = cv2.videoio_registry
    numbers = {registry.getBackendName(number).lower(): number for number in registry.getBackends()}
    # OpenCV lists GStreamer even where only a plugin could provide it.
    if not _has("GStreamer"):
        numbers.pop("gstreamer", None)
    has_backend = getattr(registry, "hasBackend", lambda number: True)  # since OpenCV 4.5
    usable = {name: int(number) for name, number in numbers.items() if has_backend(number)}
    return {**usable, "any": int(cv2.CAP_ANY)}
