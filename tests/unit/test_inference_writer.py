"""The thread that writes pictures: what fails is a sentence, and a slow disk delays nobody."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hyperhive.common.errors import OutputError
from hyperhive.inference.collecting.writer import Job, Writer


def hanging(gate: threading.Event) -> Job:
    """Return a job that ends when the gate is opened."""

    def hang() -> None:
        gate.wait()

    return hang


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """It is raised by a later call; the jobs after it are done all the same."""
    (tmp_path / "bowl").write_text("a file where a folder should be")
    writer, gate, done = Writer(tmp_path), threading.Event(), threading.Event()
    for job in (hanging(gate), (tmp_path / "bowl" / "cup").mkdir, done.set):
        writer.submit(job)
    gate.set()
    with pytest.raises(OutputError, match=r"cannot write to .*; the pictures that were counted"):
        writer.close()
    assert done.is_set()


def test_a_slow_disk_delays_nobody(tmp_path: Path) -> None:
    """While a job hangs others are taken, and so much that waits is reported."""
    writer, gate, done = Writer(tmp_path), threading.Event(), threading.Event()
    writer.submit(hanging(gate), 40_000_000)
    assert not writer.is_busy
    writer.submit(done.set, 8_000_000)
    assert writer.is_busy
    assert not done.is_set()
    gate.set()
    writer.close()
    assert done.is_set()
    assert not writer.is_busy
