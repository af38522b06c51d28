"""A worker's loop: one trial at a time, from its claim to its delivery, with test objectives."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
from support.bench import FOUND, LEASE, Bench, living, post, succeeds, the_trial
from support.clients import Gate
from support.home import until

from hyperhive.common.errors import ConfigError, DeviceError
from hyperhive.store.blobs import BlobRef, Blobs
from hyperhive.store.errors import LoginRefused, StoreUnavailable
from hyperhive.store.server.address import place
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.worker import loop
from hyperhive.worker.objectives.api import Context, Objective, Outcome, Stopped
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.running.entry import Entry

Start = Callable[..., Bench]


@pytest.fixture
def start(mongo_uri: str, tmp_path: Path, store: Store) -> Iterator[Start]:
    """Give a function that starts a worker with an objective."""
    with contextlib.ExitStack() as stack:

        def start(objective: Objective, **options: Any) -> Bench:
            return stack.enter_context(Bench(mongo_uri, tmp_path / "outbox", objective, **options))

        yield start


def waits_until_stopped(context: Context, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not context.should_stop():
        assert time.monotonic() < deadline, "should_stop stayed false"
        time.sleep(0.01)
    raise Stopped


def raising(error: Exception) -> Objective:
    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        raise error

    return objective


def now_due(store: Store) -> None:
    """End the back-off of every trial."""
    store.client.hyperhive.jobs.update_many({}, [{"$set": {"not_before": "$$NOW"}}])


# -- results -----------------------------------------------------------------------------------


def test_a_trial_is_done_and_delivered(store: Store, start: Start) -> None:
    """The objective gets the trial's configuration; its result and weights reach the store."""
    post(store, 4)
    configs: list[Mapping[str, Any]] = []

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        configs.append(config)
        assert context.device == "cpu"
        return FOUND

    bench = start(objective)
    assert bench.run_one()
    trial = the_trial(store, 4)
    assert (trial.status, trial.result, trial.attempts) == (Status.DONE, FOUND.result, 1)
    assert trial.artifact is not None
    assert trial.artifact["length"] == len(b"weights")
    assert configs == [{"epochs": 5}]
    assert not bench.run_one()


def test_the_log_leaves_out_reports_that_say_nothing(
    store: Store,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """That a trial begins is for the store only, also if PyTorch has taken long to load."""
    post(store, 4)
    monkeypatch.setattr("hyperhive.worker.trial_run._LOG_EVERY_S", 0.0)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        context.report({"done": 0}, 0.0)
        context.report({"epoch": 1}, 0.0)
        return FOUND

    caplog.set_level("INFO")
    assert start(objective).run_one()
    assert [line for line in caplog.messages if line.endswith(": ")] == []
    assert any(line.endswith(": epoch 1") for line in caplog.messages)


def test_a_trial_is_held_while_it_runs(store: Store, start: Start) -> None:
    """An objective that takes longer than the lease keeps its trial; its progress is stored."""
    post(store)
    seen: list[Trial] = []

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        context.report({"epoch": 1}, 2.0)
        time.sleep(1.2 * LEASE)
        assert store.queue.claim("other", new_token(), ["lenet5"]) is None
        seen.append(the_trial(store))
        return FOUND

    start(objective).run_one()
    assert seen[0].progress == {"epoch": 1}
    assert (the_trial(store).status, the_trial(store).late) == (Status.DONE, 0)


def test_only_trials_it_can_do_are_taken(store: Store, start: Start) -> None:
    """A worker leaves the trials of another study and of an objective that it does not have."""
    store.queue.post(Draft("t", 0, {}, {}, objective="lenet5"))
    post(store, objective="resnet")
    assert not start(succeeds).run_one()


def test_a_result_that_cannot_be_delivered_waits(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """If the server goes away during the training, the result waits, and nothing is lost."""
    post(store)
    gate = Gate(mongo_uri)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        gate.shut()
        return FOUND

    with Bench(gate.uri, tmp_path, objective) as bench:
        with pytest.raises(StoreUnavailable):
            bench.run_one()
        assert the_trial(store).status is Status.RUNNING
        assert len(list((tmp_path / "me").glob("*.bson"))) == 1
        gate.open()
        bench.outbox.deliver(bench.store)
    assert (the_trial(store).status, the_trial(store).attempts) == (Status.DONE, 1)


# -- failures ----------------------------------------------------------------------------------


def test_an_objective_that_fails_is_tried_again_and_then_blamed(store: Store, start: Start) -> None:
    """Each error of the objective costs an attempt; the last attempt ends the trial."""
    post(store, max_attempts=2)
    bench = start(raising(ValueError("no such layer")))
    assert bench.run_one()
    first = the_trial(store)
    assert (first.status, first.attempts) == (Status.NEW, 1)
    assert not bench.run_one()  # it waits before it is tried again
    now_due(store)
    assert bench.run_one()
    trial = the_trial(store)
    assert (trial.status, trial.attempts) == (Status.ERROR, 2)
    line = raising.__code__.co_firstlineno + 2
    said = f"ValueError: no such layer (test_worker_loop.py, line {line}, in objective)"
    assert trial.error == {"kind": "objective", "message": said}


def test_the_log_has_an_objectives_traceback_once(
    store: Store, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """It begins in the objective; the next attempt with the same error is one line."""
    post(store)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        raise ValueError("no such layer")

    bench = start(objective)
    bench.run_one()
    now_due(store)
    bench.run_one()
    first, second = caplog.messages
    assert first.startswith("s, trial 0: failed: ValueError: no such layer (test_worker_loop.py, l")
    lines = first.splitlines()
    assert (lines[1], lines[-1]) == (
        "Traceback (most recent call last):",
        "ValueError: no such layer",
    )
    assert f'File "{__file__}"' in lines[2]
    assert second == lines[0]


def test_a_configuration_that_no_worker_can_run_ends_at_once(store: Store, start: Start) -> None:
    """A trial with a ConfigError is not tried again: it would fail on every worker."""
    post(store, max_attempts=3)
    start(raising(ConfigError("momentum must be in [0, 1): 2"))).run_one()
    trial = the_trial(store)
    assert (trial.status, trial.attempts) == (Status.ERROR, 1)
    assert trial.error == {"kind": "bad_payload", "message": "momentum must be in [0, 1): 2"}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        DeviceError("the device is gone"),
    ],
)
def test_a_failed_device_hands_its_trial_to_another(
    store: Store, start: Start, error: Exception
) -> None:
    """Out of memory costs no attempt; the trial goes to another worker, and never to this one.

    It keeps the error: if every worker fails, it ends with the last one.
    """
    post(store, max_attempts=1)
    bench = start(raising(error))
    assert bench.run_one()
    trial = the_trial(store)
    assert (trial.status, trial.attempts) == (Status.NEW, 0)
    assert trial.error is not None
    assert trial.error["kind"] == "device"
    assert str(error) in trial.error["message"]
    assert trial.excluded == ("me",)
    assert not bench.run_one()
    assert store.queue.claim("other", new_token(), ["lenet5"]) is not None


@pytest.mark.parametrize("result", [{"status": "ok", "loss": object()}, {"status": "ok"}, {}])
def test_an_objective_that_returns_no_result_is_not_tried_again(
    store: Store, start: Start, result: dict[str, Any]
) -> None:
    """Another attempt would return the same."""
    post(store, max_attempts=3)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        return Outcome(result)

    start(objective).run_one()
    trial = the_trial(store)
    assert (trial.status, trial.attempts) == (Status.ERROR, 1)
    assert trial.error is not None
    assert trial.error["kind"] == "bad_payload"


# -- stopping, cancelling, losing --------------------------------------------------------------


def test_a_stopped_worker_gives_its_trial_back(store: Store, start: Start) -> None:
    """A trial that cannot end within the grace waits again, with its attempt refunded."""
    post(store, max_attempts=1)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        context.report({"epoch": 1}, 100.0)
        assert not context.should_stop()
        bench.stop.ask()
        waits_until_stopped(context)
        raise AssertionError

    bench = start(objective, grace=5.0)
    assert bench.run_one()
    trial = the_trial(store)
    assert (trial.status, trial.attempts, trial.owner) == (Status.NEW, 0, None)
    assert trial.excluded == ()
    assert store.queue.claim("other", new_token(), ["lenet5"]) is not None


def test_a_stopped_worker_finishes_what_ends_soon(store: Store, start: Start) -> None:
    """A trial that ends within the grace is finished."""
    post(store)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        bench.stop.ask()
        context.report({"epoch": 1}, 0.1)
        assert not context.should_stop()
        return FOUND

    bench = start(objective, grace=5.0)
    bench.run_one()
    assert the_trial(store).status is Status.DONE


def test_a_cancelled_trial_ends(store: Store, start: Start) -> None:
    """A cancel stops the objective, and the worker confirms it."""
    post(store)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        store.queue.cancel_all("s")
        waits_until_stopped(context)
        raise AssertionError

    assert start(objective).run_one()
    trial = the_trial(store)
    assert trial.status is Status.ERROR
    assert trial.error is not None
    assert trial.error["kind"] == "cancelled"


@pytest.mark.parametrize(
    ("end", "notices"),
    [
        ("delete_study", "by its heartbeat"),
        ("delete_study", "by its end"),
        ("cancel_study", "by its heartbeat"),
    ],
)
def test_a_trial_whose_study_has_ended_is_told_so(
    store: Store, start: Start, caplog: pytest.LogCaptureFixture, end: str, notices: str
) -> None:
    """No other worker is blamed for a study that was deleted or cancelled."""
    caplog.set_level("INFO")
    post(store)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if end == "cancel_study":
            store.studies.open("s", {})
        getattr(store, end)("s")
        if notices == "by its heartbeat":
            waits_until_stopped(context)
        raise ValueError("the objective fails")

    start(objective).run_one()
    said = "its study was deleted, or ended early" if end == "delete_study" else "cancelled"
    assert said in caplog.text
    assert "another worker" not in caplog.text


@pytest.mark.parametrize(
    ("seconds_left", "said"),
    [(900.0, "s, trial 0: giving it back, 9"), (0.0, "s, trial 0: finishing it")],
)
def test_a_worker_says_what_it_does_when_it_is_stopped(
    store: Store, start: Start, caplog: pytest.LogCaptureFixture, seconds_left: float, said: str
) -> None:
    """Once, when it gives its trial back, or when it finishes it first."""
    caplog.set_level("INFO")
    post(store)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        context.report({}, seconds_left)
        bench.stop.ask()
        for _ in range(3):
            stops = context.should_stop()
        if stops:
            raise Stopped
        return FOUND

    bench = start(objective, grace=60.0)
    bench.run_one()
    assert caplog.text.count(said) == 1


def test_a_lost_trial_is_let_go(store: Store, start: Start, tmp_path: Path) -> None:
    """A trial that another worker took stops here; nothing of it is delivered or changed."""
    post(store)
    others: list[Trial] = []

    def take_over() -> bool:
        store.client.hyperhive.jobs.update_many({}, [{"$set": {"lease_until": "$$NOW"}}])
        trial = store.queue.claim("other", new_token(), ["lenet5"])
        others.extend([trial] if trial else [])
        return bool(others)

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        while not take_over():
            pass
        waits_until_stopped(context)
        raise AssertionError

    assert start(objective).run_one()
    assert the_trial(store) == others[0]
    assert list((tmp_path / "outbox").rglob("*.bson")) == []


# -- second copies -----------------------------------------------------------------------------


def straggler(store: Store, bench: Bench) -> Trial:
    """Let the worker learn its pace, and a slow one hold the study's last trial; return that."""
    store.studies.open("s", {"trials": 2})
    post(store)
    assert bench.run_one()
    post(store, 1)
    trial = store.queue.claim("slow", new_token(), ["lenet5"])
    assert trial is not None
    slow_so_far = {
        "book_time": {"$subtract": ["$refresh_time", 3_600_000]},
        "cost": 30,
        "progress": {"done": {"$literal": 0}},
    }
    store.client.hyperhive.jobs.update_one({"_id": trial.id}, [{"$set": slow_so_far}])
    return trial


def an_epoch(config: Mapping[str, Any], context: Context) -> Outcome:
    context.report({"done": 1}, 0.0)
    return FOUND


def test_an_idle_worker_runs_a_second_copy(store: Store, start: Start) -> None:
    """It runs what a much slower worker holds; its result counts, and the other is late."""
    bench = start(an_epoch)
    slow = straggler(store, bench)
    assert bench.run_one()
    trial = the_trial(store, 1)
    assert (trial.status, trial.owner, trial.claims) == (Status.DONE, "me", 1)
    assert not store.queue.finish(slow.id, str(slow.token), FOUND.result)
    assert not bench.run_one()


def test_a_worker_with_first_come_runs_no_copy(store: Store, start: Start) -> None:
    """It leaves the trial to the worker that holds it."""
    bench = start(an_epoch, first_come=True)
    straggler(store, bench)
    assert not bench.run_one()


def test_a_copy_stops_when_the_holder_is_first(store: Store, start: Start, tmp_path: Path) -> None:
    """The next beat finds the trial lost; the copy stops, and nothing of it is delivered."""
    held: list[Trial] = []

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if held:
            assert context.trial.is_copy
            assert store.queue.finish(held[0].id, str(held[0].token), FOUND.result)
            waits_until_stopped(context)
        return an_epoch(config, context)

    bench = start(objective)
    held.append(straggler(store, bench))
    assert bench.run_one()
    trial = the_trial(store, 1)
    assert (trial.status, trial.owner, trial.late) == (Status.DONE, "slow", 0)
    assert list((tmp_path / "outbox").rglob("*.bson")) == []


def test_a_stopped_worker_gives_its_copy_back(store: Store, start: Start) -> None:
    """The holder goes on, and the attempt of the copy is refunded."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.is_copy:
            bench.stop.ask()
            context.report({"epoch": 1, "epochs": 30}, 100.0)
            waits_until_stopped(context)
        return an_epoch(config, context)

    bench = start(objective)
    slow = straggler(store, bench)
    assert bench.run_one()
    trial = store.queue.heartbeat(slow)
    assert (trial.status, trial.copy, trial.attempts) == (Status.RUNNING, None, 1)


# -- replies that got lost ---------------------------------------------------------------------


def test_a_claim_whose_reply_was_lost_is_found_again(store: Store, start: Start) -> None:
    """Its trial is run under the same claim: no second claim, and no attempt is wasted."""
    post(store)
    post(store, 1)
    bench = start(succeeds)
    token = new_token()
    assert store.queue.claim("me", token, ["lenet5"]) is not None
    bench.worker._claimer.keep(token)  # as it is when the claim raised StoreUnavailable
    assert bench.run_one()
    first = the_trial(store)
    assert (first.status, first.attempts, first.winner) == (Status.DONE, 1, token)
    assert bench.run_one()
    assert the_trial(store, 1).winner != token


def test_a_trial_whose_data_could_not_be_fetched_goes_on_later(store: Store, start: Start) -> None:
    """If the server goes away while the data set is fetched, the claim is kept, at no attempt."""
    post(store)
    away = [StoreUnavailable("MongoDB does not answer")]

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if away:
            raise away.pop()
        return FOUND

    bench = start(objective)
    with pytest.raises(StoreUnavailable):
        bench.run_one()
    assert bench.run_one()
    trial = the_trial(store)
    assert (trial.status, trial.attempts, trial.claims) == (Status.DONE, 1, 1)


def test_a_claim_that_took_nothing_is_forgotten(store: Store, start: Start) -> None:
    """If a claim with a lost reply took no trial, the worker claims again."""
    post(store)
    bench = start(succeeds)
    bench.worker._claimer.keep(new_token())
    assert not bench.run_one()
    assert bench.run_one()
    assert the_trial(store).status is Status.DONE


# -- the whole life ----------------------------------------------------------------------------


def test_a_worker_waits_for_its_server(
    store: Store, mongo_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that starts before its server warns once, and works when the server is there."""
    post(store)
    with living(None, tmp_path, succeeds) as (bench, errors):
        until(lambda: "waiting for it" in caplog.text, "the warning")
        time.sleep(1.0)
        bench.uri = mongo_uri
        until(lambda: the_trial(store).status is Status.DONE, "the trial's end")
    assert errors == []
    assert caplog.text.count("no server runs on this machine") == 1


def test_a_private_server_that_has_ended_is_named(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker says that it is gone, and does not ask to check a --mongo that nobody gave."""
    bench = start(succeeds)
    bench.uri, bench.worker._place = None, place("mongodb://127.0.0.1:1/")

    def deliver(*_: Any) -> None:
        raise StoreUnavailable("check --mongo")

    monkeypatch.setattr(Outbox, "deliver", deliver)
    bench.worker._session("mongodb://127.0.0.1:1/")
    assert caplog.messages[-1].startswith("the private server at 127.0.0.1:1/hyperhive has stopped")


def test_a_worker_first_delivers_what_the_dead_left(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes, it is seen, and no other runs the trial meanwhile."""
    post(store)
    trial = store.queue.claim("dead", new_token(), ["lenet5"], lease=0)
    assert trial is not None
    put = Blobs.put

    def upload(self: Blobs, data: bytes, name: str) -> BlobRef:
        until(lambda: the_trial(store).lease_until != trial.lease_until, "a longer lease")
        assert store.workers.present()
        return put(self, data, name)

    monkeypatch.setattr(Blobs, "put", upload)
    with Outbox("dead", tmp_path) as outbox:
        outbox.add(
            Entry(trial.id, str(trial.token), FOUND.result, FOUND.weights, store.identity()), ""
        )
    with living(mongo_uri, tmp_path, raising(AssertionError("never run again"))):
        until(lambda: the_trial(store).status is Status.DONE, "the delivery")
    assert the_trial(store).attempts == 1


def test_a_refused_login_ends_a_worker(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """An error that waiting cannot fix is raised."""
    login, _, host = mongo_uri.rpartition("@")
    wrong = "{}:wrong@{}".format(login.rpartition(":")[0], host)
    with living(wrong, tmp_path, succeeds) as (_, errors):
        until(lambda: errors, "the worker's end")
    assert isinstance(errors[0], LoginRefused)
    assert "wrong" not in str(errors[0])


def test_an_idle_worker_stops_at_once(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker without a trial does not wait for its next poll, and leaves no record."""
    monkeypatch.setattr(loop, "_FIRST_POLL_S", 3600.0)
    monkeypatch.setattr(loop, "_POLL_LIMIT_S", 3600.0)
    with living(mongo_uri, tmp_path, succeeds) as (bench, errors):
        until(lambda: store.workers.present(), "the worker's record")
        bench.stop.ask()
        until(lambda: not store.workers.present(), "the record's end")
    assert errors == []
    assert list(tmp_path.iterdir()) == []
