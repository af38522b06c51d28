"""Orders as a worker obeys them, and as a person gives them."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
from support.bench import FOUND, Bench, living, post, succeeds, the_trial
from support.clients import here
from support.home import until
from support.printed import plain

from hyperhive.coordinator.views.status import report as status_report
from hyperhive.store.errors import NotFound
from hyperhive.store.ordering import OrderCommand, withdraw
from hyperhive.store.orders import Wish
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ASK, Status
from hyperhive.worker.objectives.api import Context, Outcome, Stopped
from hyperhive.worker.orders import reading
from hyperhive.worker.pausing import PausePolicy
from hyperhive.worker.sensors import Sensors

SOON = 0.05


class Machine(Sensors):
    """A machine whose temperature a test sets."""

    degrees: float | None = 50.0

    def on_battery(self) -> bool | None:
        """Return that it has no battery."""
        return None

    def temperature(self) -> float | None:
        """Return what the test has set."""
        return self.degrees


class Epochs:
    """An objective that goes on until it is let go or must stop, and asks after each epoch."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.began = threading.Event()

    def __call__(self, config: Mapping[str, Any], context: Context) -> Outcome:
        """Run epochs that take 10 ms, of which there seem to be many left."""
        self.began.set()
        while not self.is_over.wait(0.01):
            context.report({"epoch": 1}, 100.0)
            if context.should_stop():
                raise Stopped
        return FOUND


@pytest.fixture(autouse=True)
def _as_anna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperhive.store.ordering.this_person", lambda: "anna@studio")
    monkeypatch.setattr("hyperhive.worker.heartbeat.PROGRESS_EVERY_S", 0.1)


def policy(**limits: Any) -> PausePolicy:
    return PausePolicy(Machine(), check_every=SOON, **limits)


def ordered(store: Store, wish: Wish, name: str = "me") -> list[str]:
    """Give an order, wait until it is obeyed; return what was said."""
    return list(OrderCommand(store, name).order(wish, threading.Event()))


def shown(store: Store) -> str:
    return plain(status_report(store, None), width=200)


def reasons(store: Store) -> list[str | None]:
    return [each.paused for each in store.workers.present()]


def is_idle(store: Store) -> bool:
    return [(each.paused, each.trial) for each in store.workers.present()] == [(None, None)]


@pytest.fixture
def life(mongo_uri: str, store: Store, tmp_path: Path) -> Iterator[tuple[Bench, Epochs]]:
    """Give a worker that lives, its grace none, and its objective."""
    store.studies.open("s", {"trials": 1})
    epochs = Epochs()
    with living(mongo_uri, tmp_path / "o", epochs, policy=policy()) as (bench, errors):
        until(lambda: is_idle(store), "an idle worker")
        yield bench, epochs
        epochs.is_over.set()
    assert errors == []


def test_a_paused_worker_hands_its_trial_back_and_takes_none(
    store: Store, life: tuple[Bench, Epochs]
) -> None:
    """It costs no attempt, the status says so, and resumed it takes the trial again."""
    _, epochs = life
    post(store, max_attempts=1)
    until(epochs.began.is_set, "the trial's run")
    until(lambda: [each.trial for each in store.workers.present()] == ["s/0"], "its report")
    said = ordered(store, Wish.PAUSE)
    assert "me: paused, trial 0 of s handed back" in said
    assert said[-1] == "`hyperhive worker resume me` lets it take trials again"
    trial = the_trial(store)
    assert (trial.status, trial.attempts) == (Status.NEW, 0)
    assert "paused, by anna@studio" in shown(store)
    assert "`hyperhive worker resume me` lets it go on" in shown(store)
    time.sleep(4 * SOON)
    assert the_trial(store) == trial
    assert withdraw(store, "me") == "me takes trials again"
    epochs.is_over.set()
    until(lambda: the_trial(store).status is Status.DONE, "the trial's end")
    assert the_trial(store).attempts == 1


def test_a_drained_worker_ends_its_trial_and_takes_no_other(
    store: Store, life: tuple[Bench, Epochs]
) -> None:
    """The status says that it is draining, then that it is drained."""
    _, epochs = life
    post(store)
    post(store, 1)
    until(epochs.began.is_set, "the trial's run")
    assert "me: draining, runs trial 0 of s to its end" in ordered(store, Wish.DRAIN)
    assert "draining, by anna@studio" in shown(store)
    assert the_trial(store).status is Status.RUNNING
    epochs.is_over.set()
    until(lambda: "drained, by anna@studio" in shown(store), "the drained worker")
    assert [the_trial(store, tid).status for tid in (0, 1)] == [Status.DONE, Status.NEW]


def test_a_trial_that_ends_within_the_grace_is_finished(
    mongo_uri: str, store: Store, tmp_path: Path
) -> None:
    """As after a SIGTERM; its result counts, and then the worker is paused."""
    epochs = Epochs()
    with living(mongo_uri, tmp_path / "o", epochs, policy=policy(), grace=500.0) as (_, errors):
        post(store)
        until(epochs.began.is_set, "the trial's run")
        until(lambda: [each.trial for each in store.workers.present()] == ["s/0"], "its report")
        giver = OrderCommand(store, "me").order(Wish.PAUSE, threading.Event())
        assert next(giver) == "waiting for me; Ctrl-C leaves the order in place"
        until(lambda: [each.order for each in store.workers.present()] != [""], "the order read")
        epochs.is_over.set()
        assert "me: paused, trial 0 of s ended" in list(giver)
    assert errors == []
    assert (the_trial(store).status, the_trial(store).attempts) == (Status.DONE, 1)


def test_an_order_goes_before_a_pause_of_the_machine(
    mongo_uri: str, store: Store, tmp_path: Path
) -> None:
    """A worker that is too hot obeys, with a trial in hand too; resumed it is still too hot."""
    store.studies.open("s", {"trials": 1})
    epochs = Epochs()
    hot = policy(max_temp=80.0)
    machine = hot.sensors
    assert isinstance(machine, Machine)
    with living(mongo_uri, tmp_path / "o", epochs, policy=hot) as (_, errors):
        post(store, max_attempts=1)
        until(epochs.began.is_set, "the trial's run")
        machine.degrees = 90.0
        until(lambda: reasons(store) == ["too hot, 90 °C"], "the pause of the machine")
        assert "me: paused, trial 0 of s handed back" in ordered(store, Wish.PAUSE)
        assert withdraw(store, "me") == "me takes trials again"
        until(lambda: reasons(store) == ["too hot, 90 °C"], "the pause of the machine")
        assert "me: paused" in ordered(store, Wish.PAUSE)
        both = "paused, by anna@studio; too hot, 90 °C"
        until(lambda: reasons(store) == [both], "both reasons")
        assert the_trial(store).status is Status.NEW
        withdraw(store, "me")
        epochs.is_over.set()
        machine.degrees = 50.0
        until(lambda: the_trial(store).status is Status.DONE, "the trial's end")
    assert errors == []


def test_a_paused_worker_stops_when_asked(mongo_uri: str, store: Store, tmp_path: Path) -> None:
    """The order stays, and so does the worker that starts next."""
    store.orders.give("me", Wish.PAUSE, "anna@studio")
    post(store)
    slow = PausePolicy(check_every=60.0)
    for _ in range(2):
        with living(mongo_uri, tmp_path / "o", succeeds, policy=slow) as (bench, errors):
            until(lambda: [w for w in store.workers.present() if w.paused], "a paused worker")
            bench.stop.ask()
            until(lambda: not store.workers.present(), "the worker's end")
        assert errors == []
    assert the_trial(store).status is Status.NEW


def test_that_there_was_no_order_counts_for_a_moment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is in force it is asked for each time."""
    reader = reading.OrderReader("me")
    monkeypatch.setattr(reading, "_FRESH_S", 3600.0)
    assert reader.read_if_due(store) is None
    order = store.orders.give("me", Wish.PAUSE, "anna@studio")
    assert reader.read_if_due(store) is None
    monkeypatch.setattr(reading, "_FRESH_S", 0.0)
    assert reader.read_if_due(store) == order
    monkeypatch.setattr(reading, "_FRESH_S", 3600.0)
    assert reader.read_if_due(store) == order
    store.orders.withdraw("me")
    assert reader.read_if_due(store) is None


# -- what a person is told -------------------------------------------------------------------------


def test_an_unknown_name_is_refused_with_those_that_are_known(store: Store) -> None:
    """A device that is off now may be paused: it reported in the last day."""
    with pytest.raises(NotFound, match="no worker of 'nano' has reported in the last day: none"):
        ordered(store, Wish.PAUSE, "nano")
    here(store, "nano-12-abcdef")
    store.workers.leave("nano-12-abcdef")
    here(store, "w")
    with pytest.raises(NotFound, match=r"those that have are nano, w$"):
        ordered(store, Wish.PAUSE, "nan")
    with pytest.raises(NotFound, match=r"those that have are nano, w$"):
        withdraw(store, "nan")
    assert store.orders.all() == []
    assert ordered(store, Wish.PAUSE, "nano")[0] == (
        "nano: no worker is here now; those that start or come back obey"
    )
    assert "nano is paused, by anna@studio, and not here now: `hyperhive worker resume nano`" in (
        shown(store)
    )
    assert withdraw(store, "nano") == "nano takes trials again"
    assert withdraw(store, "nano") == "nano was not paused"


def test_workers_that_read_no_orders_are_named(store: Store) -> None:
    """Those of an older version or login, and programs that ask for trials: nobody waits for them.

    One that was killed is waited for only while it may live.
    """
    here(store, "nano-12-abcdef")
    here(store, "nano-13-abcdef", objectives=[ASK])
    here(store, "nano-14-abcdef", order="")
    giving = OrderCommand(store, "nano")
    giver = giving.order(Wish.PAUSE, threading.Event())
    assert next(giver).startswith("nano-12-abcdef: reads no orders: update hyperhive there")
    assert next(giver).startswith("nano-13-abcdef: a program that asks for its trials")
    assert next(giver).startswith("waiting for nano-14-abcdef;")
    store.workers.leave("nano-14-abcdef")
    assert next(giver) == "nano-14-abcdef: gone; if it comes back it obeys"
    assert len(list(giver)) == 1
    assert not giving.is_obeyed


def test_a_wait_ends_when_it_is_interrupted_or_the_device_resumed(store: Store) -> None:
    """Interrupted, it leaves the order; and a report of an earlier order is none of this one."""
    stop = threading.Event()
    here(store, "nano-12-abcdef", order="an earlier one", paused="paused, by anna")
    giver = OrderCommand(store, "nano").order(Wish.PAUSE, stop)
    assert next(giver).startswith("waiting for nano-12-abcdef;")
    stop.set()
    assert len(list(giver)) == 1
    assert store.orders.of("nano-12-abcdef") is not None
    giver = OrderCommand(store, "nano").order(Wish.PAUSE, threading.Event())
    next(giver)
    withdraw(store, "nano")
    assert list(giver) == ["nano was resumed meanwhile"]


def test_a_worker_stays_paused_with_its_device(store: Store) -> None:
    """To resume it alone is not enough, and the sentence says what is."""
    here(store, "nano-12-abcdef")
    store.orders.give("nano", Wish.DRAIN, "anna")
    assert withdraw(store, "nano-12-abcdef") == (
        "nano-12-abcdef stays paused, as its device is: `hyperhive worker resume nano`"
    )
