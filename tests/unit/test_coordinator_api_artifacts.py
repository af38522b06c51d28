"""What trials saved, as a program and the command line get it."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
from support.home import REPOSITORY, Home

import hyperhive
from hyperhive.common.errors import OutputError, UsageError
from hyperhive.common.wording import size
from hyperhive.coordinator.api.study import Study
from hyperhive.coordinator.results.artifacts import download_all
from hyperhive.store.errors import CorruptBlob, LeaseLost, NotFound
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import REFIT
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.objectives.api import BadResult
from hyperhive.worker.outbox import Outbox, default_directory

KILLED = """
import os, signal
from hyperhive.worker.outbox import Outbox

Outbox("dead").files("token").save("a", b"2")
os.kill(os.getpid(), signal.SIGKILL)
"""
SPACE = {"x": {"distribution": "uniform", "low": 0, "high": 1}}


@pytest.fixture
def study(store: Store, mongo_uri: str) -> Iterator[Study]:
    """Give a study of two trials; the first is the better one, and each has saved two files."""
    with hyperhive.open_study("s", SPACE, trials=2, store=mongo_uri) as opened:
        for loss in (1, 2):
            trial = opened.ask()
            assert trial is not None
            trial.save("model.bin", bytes([loss]) * 300_000)
            trial.save("notes.txt", b"loss %d" % loss)
            opened.tell(trial, loss)
        yield opened


def best(study: Study) -> Any:
    found = study.best
    assert found is not None
    return found


def test_what_a_trial_saved_comes_back(study: Study, tmp_path: Path) -> None:
    """As bytes, or as a file; the names are there with their sizes."""
    trial = best(study)
    assert trial.artifacts == {"model.bin": 300_000, "notes.txt": 6}
    assert trial.artifact("notes.txt") == b"loss 1"
    path = trial.download("model.bin", tmp_path / "best.bin")
    assert path.read_bytes() == b"\1" * 300_000
    assert study.trials[1].artifact("notes.txt") == b"loss 2"
    assert list(default_directory().glob("*/*.files")) == []


def test_what_is_not_there_is_told(study: Study, store: Store, tmp_path: Path) -> None:
    """Another name, what was dropped, a folder that is missing, a study that is closed."""
    trial = best(study)
    with pytest.raises(NotFound) as missing:
        trial.artifact("model.pt")
    assert str(missing.value) == (
        "s, trial 0 has no artifact 'model.pt': it has model.bin, notes.txt"
    )
    with pytest.raises(OutputError, match="cannot be written"):
        trial.download("notes.txt", tmp_path / "missing" / "notes.txt")
    store.drop_files(store.trials.find("s")[0])
    with pytest.raises(NotFound, match=r"artifact notes\.txt of s, trial 0 was deleted since"):
        trial.artifact("notes.txt")
    with pytest.raises(NotFound, match="it saved none, or is not among the best 10"):
        best(study).artifact("notes.txt")
    study.close()
    with pytest.raises(UsageError, match="study s was closed"):
        trial.artifact("notes.txt")


def test_a_program_that_asks_deletes_what_no_result_needs(store: Store, mongo_uri: str) -> None:
    """The files of all but the ten best trials, and old uploads: no coordinator does it."""
    store.ensure_indexes()
    store.blobs.put(b"of a program that died", "a")
    passed = {"$subtract": ["$renewed", 7_200_000]}
    store.database.uploads.update_many({}, [{"$set": {"renewed": passed}}])
    how = {"trials": 12, "algorithm": "random", "store": mongo_uri}
    with hyperhive.open_study("s", SPACE, **how) as study:
        for loss in range(11):
            trial = study.ask()
            assert trial is not None
            trial.save("a", b"1")
            study.tell(trial, loss)
        assert [len(each.artifacts) for each in study.trials] == [1] * 10 + [0]
    assert store.database.fs.files.count_documents({}) == 10


def test_what_a_refit_saved_takes_the_place_of_its_trials(
    study: Study, store: Store, home: Home, mongo_uri: str
) -> None:
    """The refit's weights are those that the study keeps."""
    store.queue.post(Draft("s", 0, {}, {}, objective="f", purpose=REFIT))
    refit = store.queue.claim("w", new_token(), ["f"])
    assert refit is not None
    saved = {"name": "model.bin", **store.blobs.put(b"refit", "a").as_document()}
    store.queue.finish(refit.id, str(refit.token), {"status": "ok"}, None, [saved])
    assert best(study).artifact("model.bin") == b"refit"
    assert [each.artifacts for each in study.trials] == [
        {"model.bin": 5},
        {"model.bin": 300_000, "notes.txt": 6},
    ]
    home.call("study", "artifacts", "s", "--to", "out", HYPERHIVE_MONGO=mongo_uri)
    assert [path.read_bytes() for path in (home.work / "out").iterdir()] == [b"refit"]


def test_a_result_of_a_program_does_not_wait_for_a_damaged_file(
    store: Store, mongo_uri: str
) -> None:
    """It is told without that file; and nothing stays on the disk of what does not count."""
    with hyperhive.open_study("s", SPACE, trials=2, store=mongo_uri) as study:
        trial, lost = study.ask(), study.ask()
        assert trial is not None
        assert lost is not None
        trial.save("a", b"1")
        lost.save("b", b"2")
        (trial.saved.where / "0").unlink()
        study.tell(trial, 1.0)
        store.database.jobs.delete_one({"tid": lost.number})
        with pytest.raises(LeaseLost):
            study.tell(lost, 1.0)
        assert list(default_directory().glob("*/*.files")) == []
    with pytest.raises(UsageError, match="study s was closed"):
        lost.save("c", b"3")


def test_what_failed_to_be_written_can_be_written_again(
    study: Study, store: Store, tmp_path: Path
) -> None:
    """Into the same folder: nothing was left there."""
    jobs, (trial, _) = store.database.jobs, store.trials.find("s")
    jobs.update_one({"tid": 0}, {"$set": {"artifacts.1.length": 2}})
    with pytest.raises(CorruptBlob):
        download_all(store, store.trials.find("s")[0], tmp_path / "out")
    assert download_all(store, trial, tmp_path / "out") == ["model.bin", "notes.txt"]


def test_a_damaged_file_never_appears(study: Study, store: Store, tmp_path: Path) -> None:
    """What lies at its path stays."""
    store.database.fs.chunks.update_many({}, {"$set": {"data": b"forged"}})
    target = tmp_path / "notes.txt"
    target.write_bytes(b"mine")
    with pytest.raises(CorruptBlob, match=r"of s, trial 0 does not match its SHA-256: it was dam"):
        best(study).download("notes.txt", target)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_a_copy_of_a_trial_is_only_what_it_shows(study: Study) -> None:
    """It has no connection, so it can be pickled, and given to another process."""
    trial = best(study)
    copy = pickle.loads(pickle.dumps(trial))
    assert copy == trial
    assert dataclasses.asdict(trial)["artifacts"] == copy.artifacts
    with pytest.raises(UsageError, match="take the trial from its study"):
        copy.artifact("notes.txt")


def test_a_trial_that_was_told_an_error_keeps_no_file(store: Store, mongo_uri: str) -> None:
    """A name that is refused can be given right."""
    how = {"trials": 2, "max_attempts": 1, "store": mongo_uri}
    with hyperhive.open_study("s", SPACE, **how) as study:
        failed, trial = study.ask(), study.ask()
        assert failed is not None
        assert trial is not None
        failed.save("a", b"1")
        study.tell(failed, error="broken")
        with pytest.raises(BadResult, match=r"cannot be called '\.\./b'"):
            trial.save("../b", b"2")
        trial.save("b", b"2")
        study.tell(trial, 0.5)
        assert [each.artifacts for each in study.trials] == [{}, {"b": 1}]
    assert list(default_directory().glob("*")) == []


def test_01_what_a_killed_program_saved_is_deleted(store: Store, mongo_uri: str) -> None:
    """By the next program that asks, or the next worker; what another saves now is left alone."""
    lives = Outbox("lives")
    lives.files("token").save("a", b"1")
    subprocess.run([sys.executable, "-c", KILLED], cwd=str(REPOSITORY))
    assert len(list(default_directory().glob("*"))) == 2
    with hyperhive.open_study("s", SPACE, trials=1, store=mongo_uri) as study:
        study.ask()
        assert [path.name for path in default_directory().glob("*")] == ["lives"]
    lives.__exit__()
    assert list(default_directory().glob("*")) == []


def test_the_command_lists_and_writes_them(
    study: Study, store: Store, home: Home, mongo_uri: str
) -> None:
    """The best trial's, if no other is named, and only into a folder of their own."""

    def said(*options: str) -> str:
        done = home.call("study", "artifacts", "s", *options, HYPERHIVE_MONGO=mongo_uri)
        return done.stdout + done.stderr

    listed = said()
    assert "│     0 │ model.bin │  300 kB │" in listed
    assert "│     1 │ notes.txt │ 6 bytes │" in listed
    assert "│     0 │" not in said("--trial", "1")
    assert said("--to", "out") == "s, trial 0: model.bin, notes.txt written to out\n"
    assert (home.work / "out" / "notes.txt").read_bytes() == b"loss 1"
    assert said("--to", "out") == "error: the folder out is not empty: name a new one with --to\n"
    said("--to", "other", "--trial", "1")
    assert (home.work / "other" / "notes.txt").read_bytes() == b"loss 2"
    assert said("--trial", "2") == "error: study s has no trial 2\n"
    store.drop_files(store.trials.find("s")[1])
    assert said("--trial", "1").startswith("s, trial 1 has no artifacts: it saved none, or")
    store.database.jobs.update_many({}, {"$set": {"result.pruned": True}})
    assert said("--trial", "1") == "s, trial 1 has no artifacts: it was pruned\n"


def test_21_a_forged_name_leads_nowhere(study: Study, store: Store, tmp_path: Path) -> None:
    """A worker's login may write any name into a trial."""
    jobs = store.database.jobs
    jobs.update_many({}, {"$set": {"artifacts.0.name": "../evil", "artifacts.1.length": 2}})
    trial = best(study)
    assert trial.artifacts == {"notes.txt": 2}
    with pytest.raises(NotFound):
        trial.download("../evil", tmp_path / "a")
    with pytest.raises(CorruptBlob):
        trial.artifact("notes.txt")


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (1, "1 byte"),
        (999, "999 bytes"),
        (12_500, "12.5 kB"),
        (200_000_000, "200 MB"),
        (999_949_999, "999.9 MB"),
        (999_999_999, "1 GB"),
        (10**9, "1 GB"),
    ],
)
def test_a_size_is_short(length: int, words: str) -> None:
    """In the unit in which it has few digits."""
    assert size(length) == words
