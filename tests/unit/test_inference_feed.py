"""A lost connection: who holds the camera in the meantime, and how long the feed waits."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

import numpy as np
import pytest
from support.home import until

from hyperhive.common.errors import SourceError
from hyperhive.inference.sources.feed import Feed
from hyperhive.inference.sources.grabber import Grabber, Origin, Patience

PIXELS = np.zeros((4, 4, 3), np.uint8)


class Scripted:
    """A capture that gives these pictures, one per read, and then hangs until ``freed`` is set."""

    def __init__(self, *pictures: Any) -> None:
        self.freed, self.released = threading.Event(), threading.Event()
        self._pictures = list(pictures)

    def read(self) -> Any:
        """Give the next picture, or raise it."""
        if not self._pictures:
            self.freed.wait(60)
            return None
        picture = self._pictures.pop(0)
        if isinstance(picture, Exception):
            raise picture
        return picture

    def release(self) -> None:
        """Record the release."""
        self.released.set()


def origin(open_capture: Callable[[], Any], patience: Patience, exclusive: bool = True) -> Origin:
    return Origin("camera 0", open_capture, "look", patience, exclusive=exclusive)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cv2", reason="no OpenCV: no pixels of a camera")
    monkeypatch.setattr("hyperhive.inference.sources.feed._HANDOVER_S", 0.05)
    monkeypatch.setattr("hyperhive.inference.sources.feed._FIRST_PAUSE_S", 0.05)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_camera_whose_read_hangs_is_not_forgotten(exclusive: bool) -> None:
    """A camera is not reopened before it is free, a stream is; the end waits for the release."""
    captures: list[Scripted] = []

    def open_next() -> Scripted:
        captures.append(Scripted(PIXELS))
        return captures[-1]

    stop, sentences = threading.Event(), []
    feed = Feed(origin(open_next, Patience(0.1, 0.4, 5.0), exclusive), sentences.append)
    feed.newest(0.0, stop)
    if exclusive:
        with pytest.raises(SourceError, match="is held by a read that hangs"):
            feed.newest(time.monotonic(), stop)
    else:
        feed.newest(time.monotonic(), stop)
    assert len(captures) == (1 if exclusive else 2)
    for capture in captures:
        threading.Timer(0.3, capture.freed.set).start()
    feed.close()
    assert all(capture.released.is_set() for capture in captures)


def test_the_end_comes_in_time_though_opening_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost camera ends after ``absence``, not after ``absence`` and another ``silence``."""
    hang = threading.Event()
    opened: list[Scripted] = []

    def open_once() -> Scripted:
        if opened:
            hang.wait(60)
        opened.append(Scripted(PIXELS, SourceError("broke off")))
        return opened[-1]

    feed = Feed(origin(open_once, Patience(30.0, 0.2, 0.0)), lambda _: None)
    stop = threading.Event()
    feed.newest(0.0, stop)
    started_at = time.monotonic()
    with pytest.raises(SourceError, match=r"did not come back within 0\.2 s"):
        feed.newest(started_at, stop)
    assert time.monotonic() - started_at < 30.0
    hang.set()


def test_the_last_picture_comes_before_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that came just before the connection broke is given."""
    capture = Scripted(PIXELS, SourceError("broke off"))
    grabber = Grabber(origin(lambda: capture, Patience()), lambda: capture)
    until(capture.released.is_set, "the end")
    newest, failure = grabber._newest, grabber._failure

    class Late(Grabber):
        """Both arrive after ``newest`` looked for the first time."""

        looked = False

        def __getattribute__(self, name: str) -> Any:
            if name not in ("_newest", "_failure"):
                return super().__getattribute__(name)
            if not Late.looked:
                Late.looked = True
                return None
            return newest if name == "_newest" else failure

    grabber.__class__ = Late
    assert grabber.newest(0.0, float("inf"), threading.Event()) is newest


def test_a_damaged_picture_is_looked_at_once() -> None:
    """After it the feed waits for a newer one, and reports a broken connection at once."""
    capture = Scripted(b"damaged", SourceError("broke off"))
    feed = Feed(origin(lambda: capture, Patience(20.0)), lambda _: None)
    with pytest.raises(SourceError, match="broke off"):
        feed.newest(0.0, threading.Event())
