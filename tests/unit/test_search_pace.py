"""How long a search waits between two looks at its trials."""

from __future__ import annotations

import time

import pytest

from hyperhive.coordinator.searching.pace import Pace


def test_pauses_grow_while_no_trial_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 4 ms to 0.1 s, then to a tenth of the quiet time, and never above half a second."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace()
    assert pace.pause(1, 2) == 0.004
    assert [pace.pause(1, 2) for _ in range(6)] == [0.008, 0.016, 0.032, 0.064, 0.1, 0.1]
    now += 2
    assert pace.pause(1, 2) == pytest.approx(0.2)
    now += 60
    assert [pace.pause(1, 2) for _ in range(3)] == [0.4, 0.5, 0.5]
    assert pace.pause(2, 2) == 0.004
