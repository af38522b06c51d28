"""Repeats of the best: whoever dies, is cut off or comes second, each is run once, and one wins."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import proxy
from support.fleet import Fleet, abandon, running
from support.home import Program, until
from support.proxy import Command, Proxy
from support.thread_workers import working

from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import best_of
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.study_state import Snapshot, Watch
from hyperhive.coordinator.views.summary import Result
from hyperhive.store.errors import LeaseLost, StudyExtended, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import REPEAT, SEARCH, ErrorKind, Status, repeat_tid
from hyperhive.store.trials.trial import Trial

STUDY = """
name = "s"
trials = 4
objective = "quick"
algorithm = "random"

[space]
epochs = 1

[space.learning_rate]
distribution = "uniform"
low = 0
high = 1
"""
PLAN = Plan(
    name="s",
    trials=4,
    objective="noisy",
    space=parse({"x": {"distribution": "uniform", "low": 0, "high": 1}}),
    repeats=2,
)


def repeats(store: Store) -> list[Trial]:
    return store.trials.find("s", REPEAT)


def each_ran_once(store: Store, but: dict[int, int] | None = None) -> None:
    """Fail unless the 3 best have their 2 repeats, each with one result and after one attempt.

    ``but`` has the attempts of those that took more, by tid.
    """
    searched = sorted(store.trials.find("s", SEARCH), key=lambda trial: trial.loss or 0)
    tids = sorted(repeat_tid(trial.tid, k) for trial in searched[:3] for k in (1, 2))
    found = [(trial.tid, trial.status, trial.attempts, trial.late) for trial in repeats(store)]
    assert found == [(tid, Status.DONE, (but or {}).get(tid, 1), 0) for tid in tids]


# -- processes ---------------------------------------------------------------------------------


def coordinator(fleet: Fleet, *arguments: str, uri: str | None = None) -> Program:
    file = fleet.home.work / "s.toml"
    file.write_text(STUDY)
    return fleet.home.start("coordinator", str(file), *arguments, HYPERHIVE_MONGO=uri or fleet.uri)


def searched(fleet: Fleet, store: Store) -> Trial:
    """Run the search to its end, without repeats; return its best trial."""
    first = coordinator(fleet)
    assert first.end() == 0, first.said()
    best = best_of(store.trials.find("s", SEARCH))
    assert best is not None
    return best


@pytest.mark.long
def test_28_a_killed_coordinator_and_a_killed_worker_lose_no_repeat(
    fleet: Fleet, store: Store
) -> None:
    """Others go on: only the repeat that the worker held is begun again, and one result is made."""
    worker = fleet.worker()
    best = searched(fleet, store)
    with fleet.held_back(best.config):
        first = coordinator(fleet, "--repeats", "2")
        held = running(store, "s", REPEAT, repeat_tid(best.tid, 1))
        first.signal(signal.SIGKILL)
        first.end()
        fleet.kill(worker)
        assert store.study("s").result is None
        second = coordinator(fleet, "--repeats", "2")
        second.says("repeating the best 3")
        fleet.worker()
        abandon(store, held, lambda: store.trials.get(held.id).claims == 2)  # type: ignore[union-attr]
    assert second.end() == 0, second.said()
    each_ran_once(store, but={held.tid: 2})
    result = store.study("s").result or {}
    assert result["winner"] == best.tid
    assert len(result["repeats"]) == 3
    third = coordinator(fleet, "--repeats", "2")
    assert third.end() == 0
    assert "nothing was run again" in third.said()
    assert "over 2 repeats" in third.said()
    assert store.study("s").result == result


@pytest.mark.long
def test_28_a_coordinator_killed_between_two_repeats_posts_each_once(
    fleet: Fleet, store: Store, mongo_uri: str, between: Proxy
) -> None:
    """Its replies are lost from the second post on, so it is killed there."""
    worker = fleet.worker()
    searched(fleet, store)
    fleet.kill(worker)
    between.drop = lambda command: proxy.post(command) and between.carried["post"] >= 1
    first = coordinator(fleet, "--repeats", "2", uri=between.uri(mongo_uri))
    until(lambda: len(repeats(store)) >= 2, "two repeats")
    first.signal(signal.SIGKILL)
    first.end()
    assert len(repeats(store)) < 6
    fleet.worker()
    second = coordinator(fleet, "--repeats", "2")
    assert second.end() == 0, second.said()
    each_ran_once(store)


# -- threads -----------------------------------------------------------------------------------


def deliver(store: Store, trial: Trial) -> None:
    loss = trial.config["x"] + trial.tid % 7 / 10 * (trial.purpose == REPEAT)
    store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": loss})


def run(store: Store, folder: Path, watch: Watch = lambda snapshot: None) -> Result:
    study = open_study(store, PLAN, None)
    return StudyRun(store, study, None, folder, True, watch, threading.Event()).run()


def test_28_lost_replies_lose_no_repeat(
    store: Store, mongo_uri: str, between: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That to the post of one, and the first to each decision of the study."""
    monkeypatch.setattr("hyperhive.coordinator.search._RECONNECT_S", 0.01)
    decisions = proxy.every_second(lambda command: "decided." in str(command.get("update")))
    searched: list[int] = []  # the posts before the first decision are of the search

    def drop(command: Command) -> bool:
        if not searched and "decided." in str(command.get("update")):
            searched.append(between.carried["post"])
        posts = between.carried["post"] if proxy.post(command) else None
        return decisions(command) or posts in [before + 1 for before in searched]

    between.drop = drop
    with working(mongo_uri, deliver, objective="noisy"), Store(between.uri(mongo_uri)) as through:
        result = run(through, tmp_path)
    assert between.dropped == {"post": 1, "findAndModify": 2}
    assert between.carried["post"] == searched[0] + 6
    each_ran_once(store)
    assert len(result.repeated) == 3
    assert result.winner.tid == result.repeated[0].trial


@pytest.mark.parametrize("more", [{"repeats": 3}, {"trials": 6}], ids=["repeats", "trials"])
def test_28_the_coordinator_of_a_study_that_is_extended_leaves_it_to_the_next(
    stores: list[Store], mongo_uri: str, tmp_path: Path, more: dict[str, int]
) -> None:
    """It neither decides nor concludes by its old plan; what it found is not run again."""
    first, second, third, *_ = stores
    has_begun, is_extended = threading.Event(), threading.Event()
    longer = dataclasses.replace(PLAN, **more)

    def held(store: Store, trial: Trial) -> None:
        if trial.purpose == REPEAT:
            has_begun.set()
            is_extended.wait(60)
        with contextlib.suppress(LeaseLost):  # an obsolete repeat
            deliver(store, trial)

    def extend() -> Result:
        has_begun.wait(60)
        study = open_study(second, longer, None)
        is_extended.set()
        nobody = threading.Event()
        return StudyRun(second, study, None, tmp_path, True, lambda _: None, nobody).run()

    with working(mongo_uri, held, objective="noisy"), ThreadPoolExecutor(1) as pool:
        extended = pool.submit(extend)
        with pytest.raises(StudyExtended, match="study s was started again with more"):
            run(first, tmp_path)
        result = extended.result()
    assert len(third.trials.find("s", SEARCH)) == longer.trials
    assert [len(each.values) for each in result.repeated] == [longer.repeats] * 3
    assert {trial.status for trial in repeats(third)} == {Status.DONE}
    if "repeats" in more:
        assert {trial.attempts for trial in repeats(third)} == {1}
        assert len(repeats(third)) == 9
    assert (third.study("s").result or {})["winner"] == result.winner.tid


def until_cancelled(store: Store, trial: Trial) -> None:
    """Run a repeat until somebody asks for its end, as a worker does."""
    if trial.purpose == SEARCH:
        deliver(store, trial)
        return
    with contextlib.suppress(LeaseLost):
        while not store.queue.heartbeat(trial).cancel_requested:
            pass
        store.queue.confirm_cancel(trial)


@pytest.mark.parametrize("how", ["cancel", "delete"])
def test_28_a_study_that_is_withdrawn_during_its_repeats_has_no_winner(
    stores: list[Store], mongo_uri: str, tmp_path: Path, how: str
) -> None:
    """Its repeats end without a result, or are gone, and its coordinator says so."""
    ours, theirs, *_ = stores
    withdraw: dict[str, Any] = {"cancel": theirs.cancel_study, "delete": theirs.delete_study}

    def watch(snapshot: Snapshot) -> None:
        if any(trial.status is Status.RUNNING for trial in snapshot.study.repeated):
            withdraw[how]("s")

    said = {"cancel": "study s was cancelled", "delete": "study s was deleted"}
    withdrawn = pytest.raises(StudyWithdrawn, match=said[how])
    with working(mongo_uri, until_cancelled, objective="noisy"), withdrawn:
        run(ours, tmp_path, watch)
    if how == "delete":
        assert theirs.trials.find("s") == []
        assert theirs.studies.get("s") is None
        return
    assert theirs.study("s").result is None
    kinds = {(trial.error or {}).get("kind") for trial in repeats(theirs)}
    assert kinds == {ErrorKind.CANCELLED.value}
