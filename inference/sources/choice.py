"""From what a person writes after ``--source`` to a source of frames."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Iterator, Sequence

from hyperhive.common.errors import SourceError, UsageError
from hyperhive.inference.frames import Sampling, Say, Source
from hyperhive.inference.sources import camera_advice as complaints
from hyperhive.inference.sources.address import CaptureRequest, CsiAddress, without_secrets
from hyperhive.inference.sources.feed import Origin, Patience
from hyperhive.inference.sources.image_files import Finder, ImageFiles
from hyperhive.model.data.images import SUFFIXES

LIST = "-"
_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,4})")
_PATIENCE = Patience()
_STREAM_PATIENCE = Patience(release=1.0)
"""A stream whose read hangs is left to it: unlike a camera it blocks nobody."""

_WHICH_CAMERA = (
    " (an iPhone near a Mac may take the number 0: --list-cameras shows which there are)"
)


def choose(
    texts: Sequence[str],
    sampling: Sampling,
    output: Path,
    say: Say,
    request: CaptureRequest = CaptureRequest(),  # noqa: B008  it is immutable
) -> Source:
    """Return the source of these texts; a camera or video is not opened before its first frame.

    A number or ``/dev/videoN`` is a camera, as is ``csi://``; ``rtsp://`` and ``http://`` are
    streams; a file without an image's suffix is a video, all else images: a file, a folder, a glob,
    or any number of these together.

    Args:
        texts: at least one.
        sampling: which frames to take of a camera or a video.
        output: the folder of our outputs, never searched for images.
        say: is told what a camera waits for.
        request: how a camera is to be opened.

    Raises ``SourceError`` for what is not there, ``UsageError`` for what makes no sense.
    """
    if len(texts) > 1:
        _require_unasked(request)
        return _many(texts, output)
    text = texts[0]
    camera = _CAMERA.fullmatch(text)
    if camera:
        return _camera(int(camera.group(1)), sampling, say, request)
    if "://" in text:
        return _stream(text, sampling, say, request)
    _require_unasked(request)
    path = Path(text)
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        with needing_opencv():
            from hyperhive.inference.sources.video import Video
        return Video(path, sampling)
    return ImageFiles(text, Finder(output).find(texts))


def listed(texts: Sequence[str], stream: IO[bytes] | None) -> list[str]:
    """Return the texts with ``-`` replaced by the lines of a stream; empty lines are none.

    Raises ``SourceError`` if the stream has none, or there is no stream.
    """
    if LIST not in texts:
        return list(texts)
    lines = [os.fsdecode(line.strip(b"\r\n")) for line in stream or ()]
    found = [line for line in lines if line.strip()]
    if not found:
        raise SourceError("standard input has no line: --source - reads a path from each")
    at = texts.index(LIST)
    return [*texts[:at], *found, *(text for text in texts[at:] if text != LIST)]


@contextlib.contextmanager
def needing_opencv() -> Iterator[None]:
    """Images are labelled without OpenCV; say what is missing where it is not so."""
    try:
        yield
    except ImportError as error:
        raise SourceError(
            f"videos and cameras need OpenCV ({error}): pip install 'hyperhive[camera]', or "
            "on a Jetson "
            "use the system's own build"
        ) from error


def _require_unasked(request: CaptureRequest) -> None:
    if request != CaptureRequest():
        raise UsageError("--backend, --size, --fps and --pixel-format are asked of a camera only")


def _many(texts: Sequence[str], output: Path) -> Source:
    for text in texts:
        if "://" in text:
            raise UsageError(
                f"{without_secrets(text)} cannot be labelled together with other sources: "
                "give it alone"
            )
    title = f"{texts[0]} and {len(texts) - 1} more"
    return ImageFiles(title, Finder(output).find(texts))


def _camera(index: int, sampling: Sampling, say: Say, request: CaptureRequest) -> Source:
    with needing_opencv():
        from hyperhive.inference.sources import opencv_capture as captures
    from hyperhive.inference.sources.camera import Camera

    backend = captures.camera_backend(request.backend)
    name = complaints.camera_name(index)
    title = f"camera {index}" + (f" ({name})" if name else "")
    opener = functools.partial(captures.open_camera, index, title, backend, request, say)
    advice = complaints.camera_advice(index)
    is_mac = sys.platform == "darwin"
    origin = Origin(title, opener, advice, _PATIENCE, on_main=is_mac, exclusive=True)
    return Camera(origin, sampling, say, request.size, _WHICH_CAMERA if is_mac else "")


def _stream(text: str, sampling: Sampling, say: Say, request: CaptureRequest) -> Source:
    scheme = text.partition("://")[0].lower()
    if scheme == "csi":
        return _csi(text, sampling, say, request)
    if scheme in ("http", "https"):
        _require_unasked(request)
        return _http(text, sampling, say)
    if scheme in ("rtsp", "rtsps"):
        _require_unasked(replace(request, backend=None))
        return _rtsp(text, sampling, say, request)
    raise UsageError(
        "streams are rtsp://, http://, https:// (MJPEG or a single image) and csi:// (a Jetson's "
        f"camera), not {without_secrets(text)}"
    )


def _csi(text: str, sampling: Sampling, say: Say, request: CaptureRequest) -> Source:
    if request.backend is not None or request.pixel_format is not None:
        raise UsageError("csi:// has its own --backend and --pixel-format: leave them out")
    address = CsiAddress.parse(text, request)
    with needing_opencv():
        from hyperhive.inference.sources import opencv_capture as captures
    from hyperhive.inference.sources.camera import Camera

    captures.require_gstreamer()
    title = f"csi://{address.sensor}"
    opener = functools.partial(captures.open_csi, address, title)
    origin = Origin(title, opener, complaints.CSI_ADVICE, _PATIENCE, exclusive=True)
    return Camera(origin, sampling, say)


def _http(text: str, sampling: Sampling, say: Say) -> Source:
    from hyperhive.inference.sources import http_stream

    title = without_secrets(text)
    opener = functools.partial(http_stream.open_http, text, title, _STREAM_PATIENCE.silence)
    origin = Origin(title, opener, complaints.STREAM_ADVICE, _STREAM_PATIENCE)
    return http_stream.HttpSource(origin, sampling, say)


def _rtsp(text: str, sampling: Sampling, say: Say, request: CaptureRequest) -> Source:
    with needing_opencv():
        from hyperhive.inference.sources import opencv_capture as captures
    from hyperhive.inference.sources.camera import Camera

    backend = captures.stream_backend(request.backend)
    title = without_secrets(text)
    opener = functools.partial(captures.open_stream, text, title, backend)
    return Camera(Origin(title, opener, complaints.STREAM_ADVICE, _STREAM_PATIENCE), sampling, say)
