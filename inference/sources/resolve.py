"""From the text after ``--source`` to a source of frames. A new kind of source begins here."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO, Iterator, Sequence

from hyperhive.common.errors import SourceError, UsageError
from hyperhive.common.text import decoded, with_home
from hyperhive.inference.frames import Say, Source
from hyperhive.inference.settings import Sampling
from hyperhive.inference.sources import camera_advice as advice
from hyperhive.inference.sources.address import CaptureRequest, CsiAddress, without_secrets
from hyperhive.inference.sources.grabber import Origin, Patience
from hyperhive.inference.sources.image_files import Finder, ImageFiles
from hyperhive.model.data.images import is_image

LIST = "-"
_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,4})")
_PATIENCE = Patience()
_STREAM_PATIENCE = Patience(release=1.0)
"""A stream is abandoned while its read hangs: unlike a camera, it blocks nobody."""

_WHICH_CAMERA = " (an iPhone near a Mac may take the number 0: --list-cameras shows all cameras)"


def resolve(
    texts: Sequence[str],
    sampling: Sampling,
    output: Path,
    say: Say,
    request: CaptureRequest = CaptureRequest(),  # noqa: B008  it is immutable
) -> Source:
    """Return the source of these texts; a camera or video is not opened before its first frame.

    A number, ``/dev/videoN`` and ``csi://`` are cameras; ``rtsp://`` and ``http://`` are streams; a
    file without an image's suffix is a video. Everything else is images: a file, a folder, a glob,
    or several of these.

    Args:
        texts: at least one.
        sampling: which frames to take from a camera or a video.
        output: the folder of the outputs, which is not searched for images.
        say: is called with a sentence about a camera's progress, or about what is left out.
        request: how to open a camera.

    Raises ``SourceError`` for a source that does not exist, ``UsageError`` for one that makes no
    sense.
    """
    if len(texts) > 1:
        _require_unasked(request)
        return _many(texts, output, say)
    text = texts[0]
    camera = _CAMERA.fullmatch(text)
    if camera:
        return _camera(int(camera.group(1)), sampling, say, request)
    if "://" in text:
        return _stream(text, sampling, say, request)
    _require_unasked(request)
    path = Path(text)
    if path.is_file() and not is_image(path):
        with needing_opencv():
            from hyperhive.inference.sources.video import Video
        return Video(path, sampling)
    return _images(text, texts, output, say)


def place(texts: Sequence[str], source: Source) -> str | None:
    """Return the name of a camera or an address, the same in each run; None for files."""
    is_place = len(texts) == 1 and ("://" in texts[0] or _CAMERA.fullmatch(texts[0]))
    return source.title if is_place else None


def read_list(texts: Sequence[str], stream: IO[bytes] | None) -> list[str]:
    """Return the texts with ``-`` replaced by the lines of a stream, without empty ones.

    The lines may hold any bytes, as file names do, and begin with a byte order mark. Raises
    ``SourceError`` if the stream has no lines, or there is no stream.
    """
    if LIST not in texts:
        return list(texts)
    try:
        text = decoded(stream.read() if stream else b"", errors="surrogateescape")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"standard input is no list of paths in UTF-8 or UTF-16: {error}"
        ) from error
    lines = [line.rstrip("\r") for line in text.split("\n")]
    paths = [with_home(line) for line in lines if line.strip()]
    if not paths:
        raise SourceError("standard input is empty: --source - reads a path from each line")
    at = texts.index(LIST)
    return [*texts[:at], *paths, *(text for text in texts[at:] if text != LIST)]


@contextlib.contextmanager
def needing_opencv() -> Iterator[None]:
    """Raise ``SourceError`` with what to install if OpenCV is missing; images do not need it."""
    try:
        yield
    except ImportError as error:
        raise SourceError(
            f"videos and cameras need OpenCV ({error}): pip install 'hyperhive[camera]', or on a "
            "Jetson use the system's own build"
        ) from error


def _require_unasked(request: CaptureRequest) -> None:
    if request != CaptureRequest():
        raise UsageError("--backend, --size, --fps and --pixel-format are for cameras only")


def _many(texts: Sequence[str], output: Path, say: Say) -> Source:
    for text in texts:
        if "://" in text:
            raise UsageError(
                f"{without_secrets(text)} cannot be combined with other sources: give it alone"
            )
    return _images(f"{texts[0]} and {len(texts) - 1} more", texts, output, say)


def _images(title: str, texts: Sequence[str], output: Path, say: Say) -> Source:
    finder = Finder(output)
    images = finder.find(texts)
    for remark in finder.remarks():
        say(remark)
    return ImageFiles(title, images)


def _camera(index: int, sampling: Sampling, say: Say, request: CaptureRequest) -> Source:
    with needing_opencv():
        from hyperhive.inference.sources import opencv_capture
    from hyperhive.inference.sources.camera import Camera

    backend = opencv_capture.camera_backend(request.backend)
    name = advice.camera_name(index)
    title = f"camera {index}" + (f" ({name})" if name else "")
    opener = functools.partial(opencv_capture.open_camera, index, title, backend, request, say)
    is_mac = sys.platform == "darwin"
    hint = advice.camera_advice(index)
    origin = Origin(title, opener, hint, _PATIENCE, on_main=is_mac, exclusive=True)
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
        raise UsageError("csi:// has its own --backend and --pixel-format: omit them")
    address = CsiAddress.parse(text, request)
    with needing_opencv():
        from hyperhive.inference.sources import opencv_capture
    from hyperhive.inference.sources.camera import Camera

    opencv_capture.require_gstreamer()
    title = f"csi://{address.sensor}"
    opener = functools.partial(opencv_capture.open_csi, address, title)
    origin = Origin(title, opener, advice.CSI_ADVICE, _PATIENCE, exclusive=True)
    return Camera(origin, sampling, say)


def _http(text: str, sampling: Sampling, say: Say) -> Source:
    try:
        from hyperhive.inference.sources import http_stream
    except ModuleNotFoundError as error:
        # Not the extra "camera": it brings an OpenCV too, which must not replace a Jetson's own.
        raise SourceError(f"http:// needs httpx ({error}): pip install httpx") from error

    title = without_secrets(text)
    opener = functools.partial(http_stream.open_http, text, title, _STREAM_PATIENCE.silence)
    origin = Origin(title, opener, advice.STREAM_ADVICE, _STREAM_PATIENCE)
    return http_stream.HttpSource(origin, sampling, say)


def _rtsp(text: str, sampling: Sampling, say: Say, request: CaptureRequest) -> Source:
    with needing_opencv():
        from hyperhive.inference.sources import opencv_capture
    from hyperhive.inference.sources.camera import Camera

    backend = opencv_capture.stream_backend(request.backend)
    title = without_secrets(text)
    opener = functools.partial(opencv_capture.open_stream, text, title, backend)
    return Camera(Origin(title, opener, advice.STREAM_ADVICE, _STREAM_PATIENCE), sampling, say)
