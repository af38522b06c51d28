"""Delivers changes of the label in a thread of its own, so that labelling never waits."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from hyperhive.common.wording import counted
from hyperhive.inference.frames import Say

_BETWEEN_COMPLAINTS_S = 60.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_AT_THE_END_S = 2.0
"""How long the run waits at its end for what is not delivered yet."""
_FOR_ITS_END_S = 3.0
"""How long a way that was told to end may take."""


class NotDelivered(Exception):
    """A change was not delivered; the text says why, and follows the way's title."""


class Way(Protocol):
    """One way to deliver a change; a courier calls it from its own thread only.

    ``title`` names it to a person, without a password.
    """

    title: str

    def deliver(self, event: bytes, stop: threading.Event) -> None:
        """Deliver a change, JSON in ASCII; raise ``NotDelivered`` if that fails.

        Args:
            event: the change.
            stop: ends it early once set.
        """
        ...

    def holds(self) -> bool:
        """Return whether what was to be delivered last needs no second try."""
        ...

    def close(self) -> None:
        """Release what is open."""
        ...


class Courier:
    """Delivers the newest change, one at a time: a change that still waits gives way to the next.

    Use it as a context manager. At its end the last change has two seconds more.

    Args:
        way: delivers.
        warn: is called with a sentence about a failure, at most once per minute, and with one when
            it works again.
    """

    def __init__(self, way: Way, warn: Say) -> None:
        self._way = way
        self._troubles = _Troubles(way.title, warn)
        self._news = threading.Condition()
        self._waiting: bytes | None = None
        self._is_closed = False
        self._stop = threading.Event()
        self._taken = self._delivered = self._dropped = 0
        # A daemon, because a server may hang for longer than the end of a run should take.
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def send(self, event: bytes) -> None:
        """Have a change delivered, in place of one that still waits."""
        with self._news:
            self._dropped += self._waiting is not None
            self._waiting = event
            self._news.notify()

    def summary(self) -> str:
        """Return the counts as a sentence, once closed."""
        said = f"{self._way.title}: {counted(self._delivered, 'change')} delivered"
        if self._dropped:
            said += f", {self._dropped:,} dropped because a newer one came"
        failed = self._taken - self._delivered + (self._waiting is not None)
        if failed:
            said += f", {failed:,} not delivered"
        return said

    def __enter__(self) -> Courier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._is_closed = True
            self._news.notify()
        self._thread.join(_AT_THE_END_S)
        self._stop.set()
        self._thread.join(_FOR_ITS_END_S)

    def _run(self) -> None:
        event, is_delivered, pause = b"", True, _FIRST_PAUSE_S
        try:
            while not self._stop.is_set():
                news = self._next(pause)
                if news is not None:
                    event, is_delivered = news, False
                elif self._is_closed:
                    return
                elif not event or self._way.holds():
                    continue
                if self._is_accepted(event):
                    self._delivered += not is_delivered
                    is_delivered, pause = True, _FIRST_PAUSE_S
                else:
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
        finally:
            self._way.close()

    def _next(self, pause: float) -> bytes | None:
        """Return the next change, None if none comes in this time or the run has ended."""
        with self._news:
            self._news.wait_for(lambda: self._waiting is not None or self._is_closed, pause)
            event, self._waiting = self._waiting, None
            self._taken += event is not None
            return event

    def _is_accepted(self, event: bytes) -> bool:
        try:
            self._way.deliver(event, self._stop)
        except NotDelivered as error:
            self._troubles.failed(str(error), time.monotonic())
            return False
        self._troubles.worked()
        return True


class _Troubles:
    """Says what fails, at most once per minute, and that it works again."""

    def __init__(self, title: str, warn: Say) -> None:
        self._title = title
        self._warn = warn
        self._said_at = -_BETWEEN_COMPLAINTS_S
        self._is_said = False

    def failed(self, reason: str, now: float) -> None:
        """Say why, unless the last sentence is too new."""
        if now - self._said_at >= _BETWEEN_COMPLAINTS_S:
            self._warn(f"{self._title} {reason}; labelling goes on")
            self._said_at, self._is_said = now, True

    def worked(self) -> None:
        """Say that it works again, if a failure was the last that was said."""
        if self._is_said:
            self._warn(f"{self._title} works again")
        self._is_said = False
