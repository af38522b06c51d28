"""A worker with short trials: which it claims at once, and what becomes of each of them."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
from support.bench import Bench, post, the_trial
from support.clients import Gate
from support.home import until

from hyperhive.common import files
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.objectives.api import Context, Objective, Outcome
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.running import batch as batches
from hyperhive.worker.running import times
from hyperhive.worker.running.times import BATCH_S, MOST_TRIALS, RunTimes

ALONE = 5
"""So many trials are run alone before a batch is claimed."""
Start = Callable[[Objective], Bench]


@pytest.fixture
def start(
    mongo_uri: str, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    """Give a function that starts a worker that has learned that its trials are short.

    A minute is short for it: a busy machine may stop for longer than for ``BATCH_S``.
    """
    monkeypatch.setattr(times, "BATCH_S", 60.0)
    monkeypatch.setattr(batches, "BATCH_S", 60.0)
    with contextlib.ExitStack() as stack:

        def start(objective: Objective, uri: str = mongo_uri) -> Bench:
            def first(config: Mapping[str, Any], context: Context) -> Outcome:
                return found() if context.trial.tid < ALONE else objective(config, context)

            bench = stack.enter_context(Bench(uri, tmp_path / "outbox", first))
            for tid in range(ALONE):
                post(store, tid, cost=None)
                assert bench.run_one()
            for tid in range(ALONE, ALONE + 4):
                post(store, tid, cost=None)
            return bench

        yield start


def found() -> Outcome:
    return Outcome({"status": "ok", "loss": 0.5})


def succeeds(config: Mapping[str, Any], context: Context) -> Outcome:
    return found()


def batch(store: Store) -> list[Trial]:
    """Return the four trials that were claimed at once, as they are now."""
    return [the_trial(store, tid) for tid in range(ALONE, ALONE + 4)]


def states(store: Store) -> list[tuple[Status, int]]:
    return [(trial.status, trial.attempts) for trial in batch(store)]


def kept(tmp_path: Path) -> list[str]:
    return [path.suffix for path in (tmp_path / "outbox").rglob("*") if path.suffix]


DONE, BACK = (Status.DONE, 1), (Status.NEW, 0)


def test_only_trials_known_to_be_short_are_claimed_at_once(store: Store) -> None:
    """The last five must have been of the kind, with a result, and short."""
    post(store)
    post(store, 1, objective="another")
    trial, other = the_trial(store), the_trial(store, 1)
    known = RunTimes()

    def most(seconds: float, of: Trial = trial, number: int = 1) -> int:
        for _ in range(number):
            known.learn(of, seconds)
        expected = known.expected()
        return 1 if expected is None else expected.most

    assert most(0.0, number=4) == 1
    assert most(0.0) == MOST_TRIALS
    assert most(0.3 * BATCH_S) == 3
    assert most(0.0, number=4) == 3, "the longest of the last five counts"
    assert most(0.0) == MOST_TRIALS
    assert most(0.6 * BATCH_S) == 1
    assert most(0.0, number=5) == MOST_TRIALS
    assert most(0.0, of=other) == 1
    assert most(0.0, number=5) == MOST_TRIALS
    known.forget()
    assert most(0.0, number=4) == 1


def test_a_batch_is_done_with_one_write_of_each_kind(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its results are synced once, before any is delivered."""
    bench = start(succeeds)
    written: list[str] = []
    write = files.write

    def noting(path: Path, data: bytes, durable: bool = False) -> None:
        assert durable
        assert {trial.status for trial in batch(store)} == {Status.RUNNING}
        written.append(path.suffix)
        write(path, data, durable)

    monkeypatch.setattr(files, "write", noting)
    assert bench.run_one()
    assert states(store) == [DONE] * 4
    assert written == [".batch"]
    assert bench.outbox.waiting() == 0
    assert not bench.run_one()


def test_a_trial_of_a_batch_that_fails_fails_alone(store: Store, start: Start) -> None:
    """It waits for its next attempt; the others are done; the next are claimed one by one."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.tid == ALONE + 1:
            raise ValueError("no")
        return found()

    bench = start(objective)
    assert bench.run_one()
    assert states(store) == [DONE, (Status.NEW, 1), DONE, DONE]
    assert bench.worker._runner.times.expected() is None


def test_13_a_stopped_worker_gives_back_what_it_has_not_begun(store: Store, start: Start) -> None:
    """What it has begun is delivered, and the attempts of the others are refunded."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.tid == ALONE + 1:
            bench.stop.ask()
        return found()

    bench = start(objective)
    assert bench.run_one()
    assert states(store) == [DONE, DONE, BACK, BACK]


def test_a_trial_that_takes_longer_holds_nothing_up(
    store: Store, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs, the results before it are delivered, and the trials behind it wait again."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.tid == ALONE + 1:
            running = (Status.RUNNING, 1)
            until(lambda: states(store) == [DONE, running, BACK, BACK], "what was expected")
            assert kept(tmp_path) == []
        return found()

    bench = start(objective)
    monkeypatch.setattr(batches, "BATCH_S", BATCH_S)
    assert bench.run_one()
    assert states(store) == [DONE, DONE, BACK, BACK]
    while bench.run_one():
        pass
    assert states(store) == [DONE] * 4


def test_a_batch_that_was_cancelled_is_not_begun(store: Store, start: Start) -> None:
    """What is learned from a beat while a trial runs is true for those behind it."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.tid == ALONE + 1:
            store.queue.cancel_all("s")
            bench._heartbeat.beat(bench.store)
        assert context.trial.tid <= ALONE + 1
        return found()

    bench = start(objective)
    assert bench.run_one()
    assert [trial.status for trial in batch(store)] == [Status.DONE] * 2 + [Status.ERROR] * 2


def test_a_batch_whose_study_was_deleted_is_not_begun(store: Store, start: Start) -> None:
    """Its results are dropped, and nothing waits in the outbox."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        assert context.trial.tid == ALONE
        store.queue.delete_all("s")
        bench._heartbeat.beat(bench.store)
        return found()

    bench = start(objective)
    assert bench.run_one()
    assert bench.outbox.waiting() == 0
    assert not bench.run_one()


def test_15_a_batch_lives_through_an_outage(
    store: Store,
    start: Start,
    mongo_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its results are soon on disk, what was not begun is begun later, and each trial runs once."""
    gate = Gate(mongo_uri)
    runs: list[int] = []

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        runs.append(context.trial.tid)
        if len(runs) == 1:
            gate.shut()
        if len(runs) == 2:
            until(lambda: kept(tmp_path) == [".batch"], "the results on disk")
            raise StoreUnavailable("away")
        return found()

    bench = start(objective, gate.uri)
    monkeypatch.setattr(batches, "BATCH_S", BATCH_S)
    with pytest.raises(StoreUnavailable):
        bench.run_one()
    assert kept(tmp_path) == [".batch"]
    assert bench.outbox.waiting() == 1
    monkeypatch.setattr(batches, "BATCH_S", 60.0)  # a busy machine would hand the last one back
    gate.open()
    bench.outbox.deliver(bench.store)
    assert states(store) == [DONE] + [(Status.RUNNING, 1)] * 3
    assert bench.run_one()
    assert states(store) == [DONE] * 4
    assert sorted(runs) == [ALONE, ALONE + 1, ALONE + 1, ALONE + 2, ALONE + 3]


def test_18_a_batch_on_a_full_disk_is_delivered_from_memory(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a trial takes longer; nothing is lost."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.tid == ALONE + 1:
            until(lambda: states(store) == [DONE, (Status.RUNNING, 1), BACK, BACK], "the delivery")
        return found()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    bench = start(objective)
    monkeypatch.setattr(batches, "BATCH_S", BATCH_S)
    monkeypatch.setattr(files, "write", full)
    assert bench.run_one()
    assert states(store) == [DONE, DONE, BACK, BACK]
    assert bench.outbox.waiting() == 0


def test_a_result_counts_as_it_was_returned(store: Store, start: Start) -> None:
    """An objective may return the same dictionary again and again, with other values in it."""
    same: dict[str, Any] = {"status": "ok"}

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        same["loss"] = float(context.trial.tid)
        return Outcome(same)

    bench = start(objective)
    assert bench.run_one()
    assert [trial.loss for trial in batch(store)] == [5.0, 6.0, 7.0, 8.0]


def test_a_result_that_the_server_refuses_holds_no_other_up(store: Store, start: Start) -> None:
    """It stays in the outbox: here its trial's document has no room for it."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.tid == ALONE:
            almost_full = "x" * ((16 << 20) - 1500)
            store.database.jobs.update_one({"tid": ALONE + 1}, {"$set": {"junk": almost_full}})
        return Outcome({"status": "ok", "loss": 0.5, "text": "y" * 5000})

    bench = start(objective)
    assert bench.run_one()
    assert states(store) == [DONE, (Status.RUNNING, 1), DONE, DONE]
    assert bench.outbox.waiting() > 0


def test_a_result_with_weights_goes_its_own_way(store: Store, start: Start) -> None:
    """It is delivered alone at once, and the trials after it are not taken for short."""

    def objective(config: Mapping[str, Any], context: Context) -> Outcome:
        if context.trial.tid == ALONE + 2:
            return Outcome({"status": "ok", "loss": 0.5}, b"weights")
        if context.trial.tid == ALONE + 3:
            assert the_trial(store, ALONE + 2).artifact is not None
        return found()

    bench = start(objective)
    assert bench.run_one()
    assert states(store) == [DONE] * 4
    assert bench.worker._runner.times.expected() is None


def test_a_dead_workers_batch_is_delivered_by_the_next(
    store: Store, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in part: a result that came first counts, and that of a deleted trial is dropped."""
    bench = start(succeeds)
    monkeypatch.setattr(Outbox, "deliver", lambda *_, **__: None)
    assert bench.run_one()
    monkeypatch.undo()
    assert bench.outbox.waiting() == 4
    first, second, third, _ = batch(store)
    store.queue.finish(first.id, str(first.token), {"status": "ok", "loss": 0.5})
    store.database.jobs.update_one({"_id": second.id}, {"$set": {"lease_until": first.book_time}})
    again = store.queue.claim("other", "t", ["lenet5"])
    assert again is not None
    store.queue.finish(again.id, "t", {"status": "ok", "loss": 0.25})
    store.database.jobs.delete_one({"_id": third.id})
    bench._opened.close()
    with Outbox("next", tmp_path / "outbox") as outbox:
        outbox.deliver_for_the_dead(store)
        assert outbox.waiting() == 0
    done = {trial.tid: trial for trial in store.trials.find("s") if trial.tid >= ALONE}
    assert [(trial.status, trial.late) for trial in done.values()] == [
        (Status.DONE, 0),
        (Status.DONE, 1),
        (Status.DONE, 0),
    ]
