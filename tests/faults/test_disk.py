"""Uploads that are interrupted, and disks that are full: cases 17 and 18."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from shlex import quote

import numpy as np
import pytest
from support import proxy, quick
from support.fleet import Fleet, answers, die_after, running
from support.home import Home, Program, until
from support.proxy import Proxy

from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status

MOUNT = "mount -t tmpfs -o mode=0700,{} tmpfs '{}'"


# -- 17: killed in the middle of an upload -----------------------------------------------------


@pytest.mark.long
def test_17_a_worker_killed_in_an_upload_leaves_a_result_that_is_delivered(fleet: Fleet) -> None:
    """Killed after the chunks, then after finish: the next worker only has to deliver.

    The trial is DONE only with complete weights; the interrupted upload is collected, nothing else.
    """
    with fleet.store() as store, Proxy.of(fleet.uri) as between:
        files, chunks = store.client.hyperhive.fs.files, store.client.hyperhive.fs.chunks
        quick.post(store, 1, attempts=1)
        die_after(fleet, between, proxy.upload)
        assert (files.count_documents({}), chunks.count_documents({})) == (0, 1)
        (trial,) = store.trials.find("s")
        assert (trial.status, trial.artifact) == (Status.RUNNING, None)
        die_after(fleet, between, proxy.finish)
        quick.all_done_once(store)
        assert len(fleet.undelivered()) == 1  # it was killed before it knew that the result counts
        fleet.worker()
        until(lambda: not fleet.undelivered(), "the delivery of what the dead left")
        assert store.collect_orphans(older_than=0) == 1
        assert store.collect_orphans(older_than=0) == 0
        assert (files.count_documents({}), chunks.count_documents({})) == (1, 1)
        quick.all_done_once(store)


# -- 18: a full disk ---------------------------------------------------------------------------


def on_small_disks(
    home: Home, folders: list[Path], size: str, *command: str, **variables: str
) -> Program:
    """Start a command for which each folder, only for it, is a small disk; or skip.

    ``size`` is the option of ``mount`` that limits it.
    """
    unshare = shutil.which("unshare")
    tried = unshare and subprocess.run([unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    if not tried or tried.returncode != 0:
        pytest.skip("this machine does not allow mounting a small file system (unshare -rm)")
    for folder in folders:
        folder.mkdir(parents=True)
    mounts = " && ".join(MOUNT.format(size, folder) for folder in folders)
    python = home.work.parent / "python"
    inside = f'{mounts} && exec "{sys.executable}" "$@"'
    python.write_text(f'#!/bin/sh\nexec unshare -rm sh -c {quote(inside)} sh "$@"\n')
    python.chmod(0o755)
    return home.start(*command, python=str(python), **variables)


def worker_on_small_disks(fleet: Fleet, home: Home, *folders: Path, size: str) -> Program:
    """Start a worker on small disks."""
    command = ("worker", "--slots", "1", "--lease", "2")
    variables = {"HYPERHIVE_MONGO": fleet.uri, "HYPERHIVE_FAULTS_SECONDS": "0.5"}
    return on_small_disks(home, list(folders), size, *command, **variables)


@pytest.mark.long
def test_18_what_does_not_fit_on_the_disk_is_delivered_and_used(
    own_fleet: Fleet, home: Home
) -> None:
    """A full outbox loses no result, even while the server is away; a full cache only its copy.

    The worker logs both.
    """
    fleet = own_fleet
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), np.uint8)
    dataset = Dataset("noise", ("a", "b"), *[images, np.arange(200) % 2] * 2)
    config = TrainConfig(dataset.content_hash, learning_rate=0.1, epochs=1, momentum=0.9)
    cache = Path(home.environment["XDG_CACHE_HOME"]) / "hyperhive" / "datasets"
    with fleet.store() as store:
        store.datasets.publish(dataset.content_hash, dataset.pack(), dataset.card())
        store.queue.post(Draft("data", 0, config.to_json(), {}, objective="lenet5"))
        worker = worker_on_small_disks(fleet, home, fleet.outbox, cache, size="size=64k")
        worker.says(f"data set is not kept in {cache}: [Errno 28] No space left")
        quick.all_done_once(store, "data")
        quick.post(store, 2)
        running(store, "s", tid=1)
        os.kill(fleet.mongod(), signal.SIGKILL)
        until(lambda: answers(store), "the server")
        quick.all_done_once(store)
        assert worker.said().count("kept in memory only") == 3
        assert worker.said().count("loading PyTorch for the first trial") == 1
        assert "Traceback" not in worker.said()
        assert worker.is_running()


@pytest.mark.long
def test_18_a_worker_starts_on_a_disk_that_is_full(fleet: Fleet, home: Home) -> None:
    """If not even the outbox's folder can be made, trials are run and delivered."""
    with fleet.store() as store:
        worker = worker_on_small_disks(fleet, home, fleet.outbox, size="nr_inodes=1")
        quick.post(store, 3)
        quick.all_done_once(store)
        worker.says("cannot be made ([Errno 28] No space left on device")
        assert "Traceback" not in worker.said()
        assert worker.is_running()


@pytest.mark.long
@pytest.mark.parametrize("signals", [1, 2])
def test_18_a_result_that_is_lost_at_the_end_is_told(
    own_fleet: Fleet, home: Home, signals: int
) -> None:
    """The server is away, the disk is full, and the worker is stopped: it says so, and fails."""
    fleet = own_fleet
    with fleet.store() as store:
        worker = worker_on_small_disks(fleet, home, fleet.outbox, size="size=4k")
        quick.post(store, 1)
        worker.says("s, trial 0: learning rate")
        fleet.freeze_server()
        worker.says("kept in memory only")
        for _ in range(signals):
            worker.signal(signal.SIGTERM)
        assert worker.end() == 1
        last = worker.said().splitlines()[-1]
        assert "the result of s, trial 0 is lost and will be computed again" in last
        assert f"{fleet.outbox}/" in last
        assert "Traceback" not in worker.said()
        fleet.thaw_server()


@pytest.mark.parametrize("size", ["64k", pytest.param("128k", marks=pytest.mark.long)])
def test_18_a_server_that_has_no_room_says_so(home: Home, size: str) -> None:
    """If the disk is too full for mongod to start, or for its users, the command says so."""
    server = on_small_disks(home, [home.mongo], "size=" + size, "mongo", "start")
    assert server.end() == 1
    assert "error: mongod did not start: No space left on device (log: " in server.said()
    assert "Traceback" not in server.said()
