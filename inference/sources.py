"""From what a person writes after ``--source`` to a source of frames."""

import contextlib
import re
from pathlib import Path
from typing import Iterator, Sequence

from inference.errors import SourceError
from inference.frames import Sampling, Say, Source
from inference.image_files import Finder, ImageFiles
from model.errors import UsageError
from model.images import SUFFIXES

_CAMERA = re.compile(r"(?:/dev/video)?(\d+)")


def choose(texts: Sequence[str], sampling: Sampling, output: Path, say: Say) -> Source:
    """Return the source of these texts; a camera or video is not opened before its first frame.

    A number or ``/dev/videoN`` is a camera, a file without an image's suffix a video, all else
    images: a file, a folder, a glob, or any number of these together.

    Args:
        texts: at least one.
        sampling: which frames to take of a camera or a video.
        output: the folder of our outputs, never searched for images.
        say: is told what a camera waits for.

    Raises ``SourceError`` for what is not there, ``UsageError`` for what makes no sense.
    """
    if len(texts) > 1:
        title = "{} and {} more".format(texts[0], len(texts) - 1)
        return ImageFiles(title, Finder(output).find(texts))
    text = texts[0]
    path = Path(text)
    camera = _CAMERA.fullmatch(text)
    if camera:
        with _needing_opencv():
            from inference.camera import Camera
        return Camera(int(camera.group(1)), sampling, say)
    if "://" in text:
        raise UsageError(
            "streams cannot be labelled yet: give an image, a folder, a glob, a video file or "
            "the number of a camera"
        )
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        with _needing_opencv():
            from inference.video import Video
        return Video(path, sampling)
    return ImageFiles(text, Finder(output).find(texts))


@contextlib.contextmanager
def _needing_opencv() -> Iterator[None]:
    """Images are labelled without OpenCV; say what is missing where it is not so."""
    try:
        yield
    except ImportError as error:
        raise SourceError(
            "videos and cameras need OpenCV ({}): pip install 'hyperhive[camera]', or on a Jetson "
            "use the system's own build".format(error)
        ) from error
