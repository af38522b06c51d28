"""Uploads that break off, and disks that are full: cases 17 and 18."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, List

import numpy as np
import proxy
import pytest
import quick
from fleet import Fleet, running
from home import Home, Program, until
from proxy import Command, Proxy

from model.config import TrainConfig
from model.dataset import Dataset
from store.connection import Store
from store.errors import StoreUnavailable
from store.trial import Draft, Status

ON_SMALL_DISK = """#!/bin/sh
mount -t tmpfs -o size=64k,mode=0700{options} tmpfs '{folder}' && exec '{python}' "$@"
"""
"""Python with a disk of 64 kB in a folder, which only it and its children see."""


# -- 17: killed in the middle of an upload -----------------------------------------------------


def file_document(command: Command) -> bool:
    """Whether a command is the last of an upload."""
    return command.get("insert") == "fs.files"


def test_17_a_worker_killed_at_any_point_of_an_upload_leaves_a_whole_result(fleet: Fleet) -> None:
    """Killed behind chunks, file and finish in turn: the last to start has but to deliver.

    The trial is DONE only with whole weights; what broke off is collected, and nothing else.
    """
    with fleet.store() as store, Proxy.of(fleet.uri) as between:
        files, chunks = store.client.hyperhive.fs.files, store.client.hyperhive.fs.chunks
        quick.post(store, 1, attempts=1)
        for killed_behind, left in ((proxy.upload, (0, 1, 1)), (file_document, (1, 2, 2))):
            die_behind(fleet, between, killed_behind)
            markers = store.client.hyperhive.uploads.count_documents({})
            assert (files.count_documents({}), chunks.count_documents({}), markers) == left
            (trial,) = store.trials.find("s")
            assert (trial.status, trial.artifact) == (Status.RUNNING, None)
            assert len(quick.undelivered(fleet)) == 1
        die_behind(fleet, between, proxy.finish)
        quick.all_done_once(store)
        assert len(quick.undelivered(fleet)) == 1  # it was killed before it heard that it counts
        fleet.worker()
        until(lambda: not quick.undelivered(fleet), "the delivery of what the dead left")
        quick.all_done_once(store)
        assert store.collect_orphans(older_than=0) == 3
        assert store.collect_orphans(older_than=0) == 0
        assert (files.count_documents({}), chunks.count_documents({})) == (1, 1)
        quick.all_done_once(store)


def die_behind(fleet: Fleet, between: Proxy, command: Callable[[Command], bool]) -> None:
    """Start a worker that is killed once the server has done a command, before it hears of it."""
    slots: List[int] = []

    def kill(answered: Command) -> bool:
        if command(answered):
            slots.extend(fleet.slots(worker))
            worker.signal(signal.SIGSTOP)  # it must not start another slot
            for pid in slots:
                os.kill(pid, signal.SIGKILL)
        return bool(slots)

    between.drop = kill
    worker = fleet.worker(uri=between.uri(fleet.uri))
    until(lambda: slots, "the end of a worker")
    fleet.kill(worker)


# -- 18: a full disk ---------------------------------------------------------------------------


def on_small_disk(
    fleet: Fleet, home: Home, folder: Path, seconds: float = 0.02, options: str = ""
) -> Program:
    """Start a worker that sees a disk of 64 kB in a folder, or skip."""
    unshare = shutil.which("unshare")
    tried = unshare and subprocess.run([unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
    if not tried or tried.returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system (unshare -rm)")
    folder.mkdir(parents=True)
    python = home.work.parent / "python"
    script = ON_SMALL_DISK.format(options=options, folder=folder, python=sys.executable)
    python.write_text("#!/bin/sh\nexec {} -rm '{}.in' \"$@\"\n".format(unshare, python))
    inside = python.with_suffix(".in")
    inside.write_text(script)
    for file in (python, inside):
        file.chmod(0o755)
    return home.start(
        "worker",
        "--slots=1",
        "--lease=2",
        python=str(python),
        HYPERHIVE_MONGO=fleet.uri,
        HYPERHIVE_FAULTS_SECONDS=str(seconds),
    )


def answers(store: Store) -> bool:
    try:
        store.ping()
    except StoreUnavailable:
        return False
    return True


def test_18_results_that_do_not_fit_on_the_disk_are_delivered(fleet: Fleet, home: Home) -> None:
    """A full outbox is told of, and loses nothing: not even while the server is away."""
    with fleet.store() as store:
        worker = on_small_disk(fleet, home, fleet.outbox, seconds=1.0)
        quick.post(store, 3)
        running(store, "s", 1)
        os.kill(fleet.mongod(), signal.SIGKILL)
        worker.says("No space left on device): this result is kept in memory only")
        until(lambda: answers(store), "the server")
        quick.all_done_once(store)
        assert worker.said().count("kept in memory only") == 3
        assert "Traceback" not in worker.said()
        assert worker.is_running()


def test_18_a_worker_starts_on_a_disk_that_is_full(fleet: Fleet, home: Home) -> None:
    """Where not even the outbox's folder can be made, trials are done and delivered."""
    with fleet.store() as store:
        worker = on_small_disk(fleet, home, fleet.outbox, options=",nr_inodes=1")
        quick.post(store, 3)
        quick.all_done_once(store)
        assert "No space left on device" in worker.said()
        assert "Traceback" not in worker.said()
        assert worker.is_running()


def test_18_a_data_set_that_does_not_fit_on_the_disk_is_used(fleet: Fleet, home: Home) -> None:
    """A full cache is told of, and costs the copy, not the trial."""
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), np.uint8)
    dataset = Dataset("noise", ("a", "b"), *[images, np.arange(200) % 2] * 2)
    config = TrainConfig(dataset.content_hash, learning_rate=0.1, epochs=1, momentum=0.9)
    cache = Path(home.environment["XDG_CACHE_HOME"]) / "hyperhive" / "datasets"
    with fleet.store() as store:
        store.datasets.publish(dataset.content_hash, dataset.pack(), dataset.card())
        store.trials.post(Draft("s", 0, config.to_json(), {}))
        worker = on_small_disk(fleet, home, cache)
        (trial,) = quick.all_done_once(store)
        assert trial.result["status"] == "ok"
        worker.says("No space left on device")
        assert "data set is not kept" in worker.said()
        assert worker.is_running()
