"""How a worker is asked to stop."""

from __future__ import annotations

import threading
import time

import pytest

from hyperhive.common.signals import StopRequest

FOREVER = float("inf")


def asked(times: int) -> StopRequest:
    stop = StopRequest()
    for _ in range(times):
        stop.ask()
    return stop


@pytest.mark.parametrize(
    ("times", "ends_in", "grace", "must_end"),
    [
        (0, FOREVER, 0.0, False),
        (1, 5.0, 10.0, False),
        (1, 20.0, 10.0, True),
        (1, 5.0, 0.0, True),
        (1, FOREVER, 10.0, True),
        (2, 0.0, 10.0, True),
        (3, 5.0, 10.0, True),
    ],
)
def test_work_that_ends_within_the_grace_is_finished(
    times: int, ends_in: float, grace: float, must_end: bool
) -> None:
    """After one request, work that takes longer than the grace must end; after two, all work."""
    assert asked(times).ends(time.monotonic() + ends_in, grace) is must_end


def test_the_grace_begins_with_the_first_request() -> None:
    """Work that was expected to end within the grace, but has not, must end."""
    stop = asked(1)
    assert not stop.ends(time.monotonic() + 0.05, 0.1)
    time.sleep(0.12)
    assert stop.ends(time.monotonic() + 0.05, 0.1)


def test_a_request_wakes_a_waiting_thread() -> None:
    """The first request sets the event."""
    assert not asked(0).asked.is_set()
    assert asked(1).asked.wait(0)


def test_a_signal_during_a_wait_does_not_deadlock() -> None:
    """A handler may interrupt the thread that holds the event's lock: it must not wait for it."""
    stop = StopRequest()
    handler = threading.Thread(target=stop.on_signal, daemon=True)
    with stop.asked._cond:  # type: ignore[attr-defined]
        handler.start()
        handler.join(60)
        assert not handler.is_alive()
    assert stop.asked.wait(60)
