"""What an objective attached reaches the store, however long that is away."""

from typing import Any, Dict

import pytest

from store.errors import StoreUnavailable
from worker import pickled
from worker.objectives import Context, Stopped


class Away(Dict[str, bytes]):
    """Attachments that cannot be stored, for the first ``times``."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self._times = times

    def __setitem__(self, name: str, value: bytes) -> None:
        self._times -= 1
        if self._times >= 0:
            raise StoreUnavailable("away")
        super().__setitem__(name, value)


class Ctrl:
    """As much of hyperopt's ``Ctrl`` as attaching needs."""

    def __init__(self, attachments: Away) -> None:
        self.attachments = attachments


def context(stops: bool) -> Context:
    nothing: Any = None
    return Context("cpu", nothing, nothing, lambda: stops, nothing, nothing)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickled, "_RETRY_S", 0.0)


def test_what_was_attached_waits_for_the_store() -> None:
    """The objective is not run again for it."""
    attachments = Away(3)
    pickled._attach({"a": b"1", "b": b"2"}, Ctrl(attachments), context(stops=False))
    assert attachments == {"a": b"1", "b": b"2"}


def test_a_worker_that_stops_waits_no_longer() -> None:
    """It gives the trial back."""
    with pytest.raises(Stopped):
        pickled._attach({"a": b"1"}, Ctrl(Away(float("inf"))), context(stops=True))
