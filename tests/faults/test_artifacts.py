"""What trials saved, under every fault: whole with its result, or gone without a trace."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.fleet import Fleet, abandon, die_after, ended, running
from support.home import Program, until
from support.proxy import Command, Drop, Proxy, finish, upload

from hyperhive.coordinator.ranking import FILES_KEPT, ranking
from hyperhive.store.artifacts import artifacts_of
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

OBJECTIVES = ("--objectives", "saving.py")
SAVING = """
from pathlib import Path

def train(config, trial):
    trial.save("model.bin", bytes([trial.number]) * 3_000_000)
    trial.save("notes.txt", b"%d" % trial.number)
    Path("saved").touch()
    while Path("hold").exists():
        trial.report(trial.history[-1]["step"] + 1 if trial.history else 0)
    return config["x"]
"""
STUDY = """
name = "s"
trials = 14
objective = "saving.py:train"
algorithm = "random"

[space.x]
distribution = "uniform"
low = 0
high = 1
"""


@pytest.fixture
def saving(fleet: Fleet) -> Fleet:
    """Return a fleet whose workers have an objective that saves."""
    (fleet.home.work / "saving.py").write_text(SAVING)
    return fleet


def post(store: Store, trials: int) -> None:
    for tid in range(trials):
        store.queue.post(Draft("s", tid, {"x": tid}, {}, objective="saving.py:train"))


def is_file(command: Command) -> bool:
    """Whether a command ends an upload."""
    return command.get("insert") == "fs.files"


def is_drop(command: Command) -> bool:
    """Whether a command forgets what a trial saved."""
    if command.get("findAndModify") != "jobs":
        return False
    changes = command["update"][0]["$set"]
    return "artifacts" in changes and "winner" not in changes


def are_whole(store: Store, trials: list[Trial]) -> None:
    """Fail unless each trial has all that it saved, and the store nothing else."""
    for trial in trials:
        found = artifacts_of(trial)
        data = {name: store.blobs.get(each.blob) for name, each in found.items()}
        expected = {"model.bin": bytes([trial.tid]) * 3_000_000, "notes.txt": b"%d" % trial.tid}
        assert data == expected
    store.collect_orphans(0)
    assert store.database.fs.files.count_documents({}) == 2 * len(trials)
    assert store.database.fs.chunks.count_documents({}) == 13 * len(trials)
    assert store.database.uploads.count_documents({}) == 2 * len(trials)


def left(fleet: Fleet) -> list[Path]:
    """Return what lies in the outbox, but the locks of workers."""
    return [path for path in fleet.outbox.glob("*/*") if path.name != "lock"]


@pytest.mark.long
def test_17_what_a_killed_worker_saved_is_delivered_whole(saving: Fleet, between: Proxy) -> None:
    """Killed in an upload, after one, and after finish: the next worker only has to deliver."""
    with saving.store() as store:
        post(store, 1)
        die_after(saving, between, upload, *OBJECTIVES)
        die_after(saving, between, is_file, *OBJECTIVES)
        (trial,) = store.trials.find("s")
        assert (trial.status, trial.artifacts) == (Status.RUNNING, ())
        die_after(saving, between, finish, *OBJECTIVES)
        saving.worker(*OBJECTIVES)
        until(lambda: not left(saving), "the delivery of what the dead left")
        (trial,) = ended(store, "s")
        assert (trial.status, trial.claims, trial.late) == (Status.DONE, 1, 0)
        are_whole(store, [trial])


@pytest.mark.long
def test_01_a_worker_killed_before_its_result_leaves_no_file(saving: Fleet) -> None:
    """The next one deletes what was saved, and the trial runs and saves anew."""
    hold, saved = saving.home.work / "hold", saving.home.work / "saved"
    hold.touch()
    with saving.store() as store:
        post(store, 1)
        worker = saving.worker(*OBJECTIVES)
        until(saved.exists, "the files")
        held = running(store, "s")
        assert left(saving)
        saving.kill(worker)
        saving.worker(*OBJECTIVES)
        until(lambda: not left(saving), "the end of what the dead saved")
        hold.unlink()
        abandon(store, held, lambda: store.trials.find("s")[0].is_final)
        are_whole(store, ended(store, "s"))
        until(lambda: not left(saving), "an empty outbox")


def test_05_replies_that_are_lost_cost_nothing(saving: Fleet, between: Proxy) -> None:
    """Each kind is lost once, and then repeated; what was uploaded twice is collected."""
    kinds: dict[str, Drop] = {
        "a marker": lambda command: command.get("update") == "uploads",
        "a part": upload,
        "a file": is_file,
        "a result": finish,
    }

    def is_lost(command: Command) -> bool:
        found = [name for name, drop in kinds.items() if drop(command)]
        for name in found:
            del kinds[name]
        return bool(found)

    between.drop = is_lost
    with saving.store() as store:
        post(store, 2)
        saving.worker(*OBJECTIVES, uri=between.uri(saving.uri))
        trials = ended(store, "s")
        until(lambda: not left(saving), "an empty outbox")
        assert [(each.status, each.claims, each.late) for each in trials] == [
            (Status.DONE, 1, 0)
        ] * 2
        assert not kinds
        are_whole(store, trials)


@pytest.mark.long
def test_03_a_coordinator_killed_while_it_drops_loses_nothing(
    saving: Fleet, between: Proxy
) -> None:
    """Beside another: the best keep what they saved, and of the others nothing is left."""
    (saving.home.work / "s.toml").write_text(STUDY)
    coordinators: list[Program] = []

    def kill(answered: Command) -> bool:
        if is_drop(answered) and coordinators:
            coordinators.pop().signal(signal.SIGKILL)
            return True
        return False

    way = {"HYPERHIVE_MONGO": between.uri(saving.uri)}
    first = saving.home.start("coordinator", "s.toml", HYPERHIVE_MONGO=saving.uri)
    coordinators.append(saving.home.start("coordinator", "s.toml", **way))
    (second,) = coordinators
    between.drop = kill
    saving.worker(*OBJECTIVES)
    assert second.end() == -signal.SIGKILL
    assert first.end() == 0
    with saving.store() as store:
        trials = ended(store, "s")
        best = ranking(trials)[:FILES_KEPT]
        assert [trial.artifacts for trial in trials if trial not in best] == [()] * 4
        are_whole(store, best)


@pytest.mark.long
def test_13_a_worker_that_is_stopped_leaves_no_file(saving: Fleet) -> None:
    """It gives its trial back: what that had saved is deleted, as that of a cancelled trial was."""
    hold, saved = saving.home.work / "hold", saving.home.work / "saved"
    hold.touch()
    with saving.store() as store:
        post(store, 2)
        worker = saving.worker(*OBJECTIVES)
        until(saved.exists, "the files")
        saved.unlink()
        store.database.jobs.update_one({"tid": 0}, {"$set": {"cancel_requested": True}})
        until(saved.exists, "the files of the next trial")
        assert len(left(saving)) == 1
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        assert list(saving.outbox.glob("*")) == []
        assert [each.status for each in store.trials.find("s")] == [Status.ERROR, Status.NEW]
        assert store.database.fs.chunks.count_documents({}) == 0
