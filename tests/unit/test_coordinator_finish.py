"""A study that ends early, with the trials that it has: the same end, and the same afterwards."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest
from support.live import fleet_of
from support.printed import plain
from support.thread_workers import claim, claimed, deliver, report, working
from test_coordinator_run import plan, run, tiny, train

from hyperhive.common.console import Screen
from hyperhive.coordinator.changes.ending import NothingToFinish
from hyperhive.coordinator.ranking import best_of
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.session import FinishOptions, finish
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.status import report as status_report
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.store.errors import LeaseLost, NotFound, StudyChanged, StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import REFIT, SEARCH, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.worker.claiming import _is_near_end


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperhive.coordinator.searching.sweep.SWEEP_EVERY_S", 0.1)
    monkeypatch.setattr(
        "hyperhive.coordinator.views.picture.draw", lambda file, *_: file.touch() or file
    )


def begun(store: Store, uri: str, ended: int = 3, trials: int = 20) -> Study:
    """Open a study and run its search until so many trials have ended; two more wait."""
    study = open_study(store, plan(trials=trials), tiny())
    stop = threading.Event()
    waits = threading.Event()

    def act(store: Store, trial: Trial) -> None:
        if trial.purpose == SEARCH and trial.tid >= ended:
            waits.set()
            store.queue.give_back(trial)
            stop.wait(60)
        else:
            train(store, trial)

    def look(snapshot: Snapshot) -> None:
        if waits.is_set() and snapshot.study.ended == ended:
            stop.set()

    with working(uri, act), pytest.raises(Interrupted):
        Search(store, study, look, stop).run()
    assert len(done(store)) == ended
    return study


def train_no_more(store: Store, trial: Trial) -> None:
    """Train what belongs to a study's end, and no trial of its search."""
    if trial.purpose == SEARCH:
        with contextlib.suppress(LeaseLost):  # it was withdrawn
            store.queue.give_back(trial)
    else:
        train(store, trial)


def done(store: Store) -> list[Trial]:
    return [trial for trial in store.trials.find("s", SEARCH) if trial.status is Status.DONE]


def finished(uri: str, models: Path, **options: Any) -> tuple[bool, str]:
    """Run ``hyperhive study finish s``; return whether it came to its end, and what it said."""
    console = Screen(width=200)
    chosen = {"name": "s", "refit": None, "timeout": None, "models": models, **options}

    class Connected:
        def __enter__(self) -> str:
            return uri

        def __exit__(self, *_: object) -> None:
            pass

    with console.capture() as capture:
        ended = finish(FinishOptions(**chosen), Connected, console)
    return ended, capture.get()


# -- without a coordinator -----------------------------------------------------------------------


def test_a_study_is_finished_without_a_coordinator(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """The best of what is there is refitted, tested and written, as at the normal end."""
    begun(store, mongo_uri)
    before = done(store)
    assert any(trial.status is Status.NEW for trial in store.trials.find("s", SEARCH))
    report(store, "w0")
    with working(mongo_uri, train_no_more):
        ended, said = finished(mongo_uri, tmp_path)
    assert ended
    assert store.trials.find("s", SEARCH) == before
    best = best_of(before)
    assert best is not None
    model = store.model("s")
    assert model.is_final
    assert (model.card["trial"], model.card["config"]["train_on_all"]) == (best.tid, True)
    assert model.card["test_accuracy"] is not None
    for name in ("model.safetensors", "model.json", "report.png"):
        assert (tmp_path / "s" / name).exists()
    assert "s: ending early, with the 3 trials that have ended" in said
    assert f"trial {best.tid}" in said


def test_a_finished_study_is_shown_as_ended_with_its_trials(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """In status and on the page: three of three, and its test accuracy."""
    begun(store, mongo_uri)
    shown = plain(status_report(store, None), 200)
    assert "3 of 20" in shown
    store.studies.finish("s")
    state = FleetReader(store).read().studies[0]
    assert (state.budget, state.finishing, state.is_open) == (3, True, True)
    assert "s (ending early)" in plain(status_report(store, None), 200)
    with working(mongo_uri, train_no_more):
        finished(mongo_uri, tmp_path)
    shown = plain(status_report(store, None), 200)
    assert "s (ended)" in shown
    assert "3 of 3" in shown
    (line,) = fleet_of(store)["studies"]
    assert line["state"] == "ended"
    assert line["counts"] == "3 of 3 done, 0 running, 0 waiting, 0 failed"


def test_a_study_whose_winner_is_not_refitted(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """Without a refit nobody need work; its coordinator's choice holds unless another is made."""
    begun(store, mongo_uri)
    store.studies.plan_refit("s", False)
    assert finished(mongo_uri, tmp_path)[0]
    assert store.trials.find("s", REFIT) == []
    assert not store.model("s").card["config"]["train_on_all"]


def test_a_study_without_a_result_is_not_finished(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """One sentence says so, and nothing has changed: it goes on, and can be finished later."""
    study = open_study(store, plan(), tiny())
    store.queue.post(study.draft(SEARCH, 0, study.baselines()[0].config))
    deliver(store, claimed(store), diverged=True)
    before = store.studies.get("s"), store.trials.find("s")
    with pytest.raises(NothingToFinish, match="study s has no trial with a result yet: wait for"):
        finished(mongo_uri, tmp_path)
    assert (store.studies.get("s"), store.trials.find("s")) == before
    assert not (tmp_path / "s").exists()


def test_what_cannot_be_finished_is_refused(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """A study that is not there, and one that was cancelled."""
    with pytest.raises(NotFound, match="there is no study 's'"):
        finished(mongo_uri, tmp_path)
    begun(store, mongo_uri)
    store.cancel_study("s")
    with pytest.raises(StudyWithdrawn, match="was cancelled, and cannot be finished any more"):
        finished(mongo_uri, tmp_path)


def test_a_study_that_has_ended_is_written_again(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Nothing runs again; this is how an end that was interrupted is repeated too."""
    run(store, mongo_uri, tmp_path / "a")
    before = store.studies.get("s"), store.trials.find("s")
    ended, said = finished(mongo_uri, tmp_path / "b")
    assert ended
    assert "had ended before; nothing was run again" in said
    assert (store.studies.get("s"), store.trials.find("s")) == before
    for name in ("model.safetensors", "model.json"):
        written = (tmp_path / "b" / "s" / name).read_bytes()
        assert written == (tmp_path / "a" / "s" / name).read_bytes()


# -- with a coordinator --------------------------------------------------------------------------


def test_a_running_coordinator_notices_and_ends_in_the_same_way(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """It posts no more trials, withdraws those that wait or run, and writes the same model."""
    study = open_study(store, plan(trials=30), tiny())
    snapshots: list[Snapshot] = []

    def act(store: Store, trial: Trial) -> None:
        if trial.purpose == SEARCH and trial.tid == 2:
            held.append(trial)
            store.studies.finish("s")
        elif held:
            train_no_more(store, trial)
        else:
            train(store, trial)

    held: list[Trial] = []
    with working(mongo_uri, act):
        result = StudyRun(
            *(store, study, tiny(), tmp_path / "s", True, snapshots.append, threading.Event())
        ).run()
    assert [trial.tid for trial in done(store)] == [0, 1]
    assert [trial.tid for trial in store.trials.find("s", SEARCH)] == [0, 1]
    assert result.winner == best_of(done(store))
    with pytest.raises(LeaseLost):
        store.queue.heartbeat(held[0])
    assert snapshots[-1].study.budget == snapshots[-1].study.ended == 2
    stored = store.studies.get("s")
    assert stored is not None
    assert stored.spec["trials"] == 2


def test_a_trial_that_another_coordinator_posts_at_the_end_is_withdrawn(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """It had not seen the mark yet; no worker trains what nobody needs."""
    study = begun(store, mongo_uri)

    def act(store: Store, trial: Trial) -> None:
        if trial.purpose == REFIT:
            store.queue.post(study.draft(SEARCH, 17, study.baselines()[0].config))
        train_no_more(store, trial)

    with working(mongo_uri, act):
        assert finished(mongo_uri, tmp_path)[0]
    assert [trial.tid for trial in store.trials.find("s", SEARCH)] == [0, 1, 2]


def test_the_end_is_shared_out_as_at_the_end_of_a_search(store: Store, mongo_uri: str) -> None:
    """No more trials come, so that a fast device may take the refit of a slow one."""
    begun(store, mongo_uri)
    assert not _is_near_end(store, "s")
    store.studies.finish("s")
    assert _is_near_end(store, "s")


# -- afterwards ----------------------------------------------------------------------------------


@pytest.mark.long
def test_a_finished_study_goes_on_with_more_trials(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """As after a normal end: it keeps its trials, and fills its budget."""
    begun(store, mongo_uri, trials=6)
    with working(mongo_uri, train_no_more):
        finished(mongo_uri, tmp_path)
    before = done(store)
    with pytest.raises(StudyChanged, match="`hyperhive study finish s` ends it with fewer"):
        open_study(store, plan(trials=2), tiny())
    again = run(store, mongo_uri, tmp_path, trials=3)
    assert again.again
    result = run(store, mongo_uri, tmp_path, trials=6)
    assert not result.again
    trials = store.trials.find("s", SEARCH)
    assert [trial.tid for trial in trials] == list(range(6))
    assert trials[:3] == before
    stored = store.studies.get("s")
    assert stored is not None
    assert (stored.finishing, stored.spec["trials"]) == (False, 6)
    assert "6 of 6" in plain(status_report(store, None), 200)


def test_a_study_that_ends_in_its_own_time_keeps_its_budget(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Only one that was to finish early gets the budget that it has reached."""
    run(store, mongo_uri, tmp_path)
    stored = store.studies.get("s")
    assert stored is not None
    assert (stored.finishing, stored.spec["trials"]) == (False, 3)


# -- the transition ------------------------------------------------------------------------------


def test_withdrawn_trials_are_those_of_the_search_that_have_not_ended(store: Store) -> None:
    """Their workers find them gone; results, other purposes and other studies stay."""
    study = open_study(store, plan(), tiny())
    for tid in range(4):
        store.queue.post(study.draft(SEARCH, tid, study.baselines()[0].config))
    store.queue.post(study.draft(REFIT, 1, study.baselines()[0].config))
    deliver(store, claimed(store))
    held = claim(store)
    assert held is not None
    report(store, "w")
    assert store.queue.remove("t") == 0
    assert store.queue.remove("s") == 3
    assert store.queue.remove("s") == 0
    kept = [(trial.purpose, trial.tid) for trial in store.trials.find("s")]
    assert kept == [(SEARCH, 0), (REFIT, 1)]
    with pytest.raises(LeaseLost):
        deliver(store, held)
