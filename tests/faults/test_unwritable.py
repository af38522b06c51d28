"""Folders that cannot be written: every command says which, what it is for, and how to choose."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.fleet import Fleet
from support.home import REPOSITORY, Home
from support.quick import all_done_once, post

from hyperhive import cli
from hyperhive.store.store import Store

USERS_OF_THE_PRIVATE_SERVER = [
    "demo --dataset digits",
    "coordinator --dataset digits",
    "mongo start",
]
READERS = [
    "status",
    "best",
    "dashboard --port 0",
    "study cancel s",
    "study delete s --yes",
    "benchmark --compare",
    "mongo stop",
]
"""What they say depends on whether they need a server; it is never more than a line."""


def block(home: Home, kind: str) -> Path:
    """Put a file where one of the user's folders should be: root can write everywhere else."""
    folder = Path(home.environment[f"XDG_{kind}_HOME"])
    folder.write_text("in the way")
    return folder / "hyperhive"


def is_one_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1


@pytest.mark.parametrize("command", USERS_OF_THE_PRIVATE_SERVER)
def test_a_private_server_without_a_folder(home: Home, command: str) -> None:
    """One sentence names its folder, what it is for, and the variable that chooses another."""
    folder = block(home, "DATA")
    done = home.call(*command.split())
    assert done.returncode == 1
    assert is_one_line(done.stderr), done.stderr
    assert f"{folder}/mongo, the folder of the private MongoDB server, cannot be" in done.stderr
    assert "set XDG_DATA_HOME to another folder" in done.stderr
    home.is_empty()


@pytest.mark.parametrize("command", READERS)
def test_a_reader_without_a_folder(home: Home, command: str) -> None:
    """Commands that only read end in a sentence too, and write nothing."""
    block(home, "DATA")
    done = home.call(*command.split())
    assert done.stderr == "" or is_one_line(done.stderr), done.stderr
    assert done.returncode in (0, 1, 2)
    home.is_empty()


def test_predict_cam_without_a_folder(home: Home) -> None:
    """A study's model on the private server: the same sentence as any other command's."""
    block(home, "DATA")
    done = home.call("--study", "s", "--source", "x.png", program=cli.predict_cam)
    assert done.returncode == 1
    assert is_one_line(done.stderr), done.stderr
    home.is_empty()


@pytest.mark.parametrize("has_uri", [True, False])
def test_a_worker_without_an_outbox(home: Home, mongo_uri: str, has_uri: bool) -> None:
    """It ends before it starts a slot: a result could not be kept."""
    folder = block(home, "DATA")
    variables = {"HYPERHIVE_MONGO": mongo_uri} if has_uri else {}
    done = home.run("worker", "--slots", "2", **variables)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {folder}/outbox, the folder of results")
    assert "set XDG_DATA_HOME to another folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert "slot 1" not in done.stderr
    home.is_empty()


@pytest.mark.long
def test_a_worker_that_may_not_read_the_private_server(home: Home) -> None:
    """The login of another user's server ends the worker in a sentence; no slot is restarted."""
    home.mongo.mkdir(parents=True)
    (home.mongo / "login.json").mkdir()  # reading it fails, for root too
    done = home.run("worker", "--slots", "2")
    assert done.returncode == 1
    assert "login.json, the private MongoDB server's login, cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert "a new one starts" not in done.stderr
    home.is_empty()


def test_a_login_that_cannot_be_saved(home: Home, mongo_uri: str) -> None:
    """``--save-login`` names the folder and the variable before anything runs."""
    folder = block(home, "CONFIG")
    done = home.run("worker", "--save-login", HYPERHIVE_MONGO=mongo_uri)
    assert done.returncode == 1
    assert is_one_line(done.stderr), done.stderr
    assert f"{folder}, the folder of the saved login, cannot be written" in done.stderr
    assert "set XDG_CONFIG_HOME to another folder" in done.stderr


def test_a_download_that_cannot_be_kept(home: Home) -> None:
    """The cache is blamed, not the network."""
    folder = block(home, "CACHE")
    done = home.call("coordinator", "--dataset", "simpsons")
    assert done.returncode == 1
    assert is_one_line(done.stderr), done.stderr
    assert f"{folder}/datasets, the folder of downloaded data sets, cannot be" in done.stderr
    assert "set XDG_CACHE_HOME to another folder" in done.stderr


@pytest.mark.parametrize("command", ["demo", "coordinator"])
def test_models_that_cannot_be_kept(home: Home, mongo_uri: str, command: str) -> None:
    """``--models`` is named before hours of work."""
    (home.work / "file").write_text("in the way")
    arguments = ["--dataset", "digits", "--models", "file/models"]
    done = home.call(command, *arguments, HYPERHIVE_MONGO=mongo_uri)
    assert done.returncode == 1
    assert is_one_line(done.stderr), done.stderr
    assert "file/models" in done.stderr
    assert "the folder of the " in done.stderr
    assert "choose another with --models" in done.stderr
    home.is_empty()


def test_a_worker_without_a_cache_works(fleet: Fleet, home: Home, store: Store) -> None:
    """Only its copies of data sets are lost: see the cache's own tests for what it says."""
    block(home, "CACHE")
    worker = fleet.worker()
    post(store, 1)
    all_done_once(store)
    assert "Traceback" not in worker.said()


READ_ONLY = "mount -t tmpfs -o ro tmpfs {} && "


def test_no_folder_for_temporary_files(home: Home) -> None:
    """Where even /tmp is read-only, the sentence names TMPDIR."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rm", "true"]).returncode:
        pytest.skip("this machine does not allow mounting a file system (unshare -rm)")
    program = "import sys, tempfile; from hyperhive import cli; sys.argv = ['x', 'status']\n"
    program += "cli.load = lambda name: tempfile.mkdtemp()\ncli.main()"
    folders = [folder for folder in ("/var/tmp", "/usr/tmp", "/tmp") if Path(folder).is_dir()]
    mounts = "".join(READ_ONLY.format(folder) for folder in folders)
    done = subprocess.run(
        [
            unshare,
            "-rm",
            "sh",
            "-c",
            mounts + 'cd /tmp && exec "$0" -c "$1"',
            sys.executable,
            program,
        ],
        env={**home.environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert is_one_line(done.stderr), done.stderr
    assert "set TMPDIR" in done.stderr
