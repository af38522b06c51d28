"""A fleet is never updated at once: the version before and this one do each other's trials.

The version before is taken from the repository's history. A clone without history has none: these
tests say so when they skip.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.home import REPOSITORY, Home

from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import BASELINE, REFIT, SEARCH, Status

pytestmark = pytest.mark.long

BEFORE = "b3d364f7c1a77d7d5cbd04882c4790268e9bfd5d"
"""The last commit before the folders were imported as ``hyperhive.*``."""

STUDY = """
name = "mixed"
trials = 6
startup = 3

[dataset]
name = "digits"

[space]
learning_rate = { distribution = "loguniform", low = 0.02, high = 0.1 }
epochs = { distribution = "quniform", low = 1, high = 2, step = 1 }
momentum = { distribution = "uniform", low = 0.5, high = 0.9 }
"""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the version before, or skip."""
    archived = subprocess.run(
        ["git", "archive", BEFORE], cwd=str(REPOSITORY), capture_output=True, check=False
    )
    if archived.returncode != 0:
        pytest.skip(f"this clone's history does not reach back to {BEFORE}")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as tree:
        tree.extractall(str(folder))
    where = subprocess.run(
        [sys.executable, "-c", "import hyperhive; print(hyperhive.__file__)"],
        cwd=str(folder.parent),
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(folder / "hyperhive.py"), "the version before is what runs"
    return folder


@pytest.mark.parametrize("old", ["worker", "coordinator"])
def test_the_version_before_does_its_share(home: Home, before: Path, old: str) -> None:
    """A study ends with a tested model, whichever of the two is of the version before."""
    versions = {"worker": str(REPOSITORY), "coordinator": str(REPOSITORY), old: str(before)}
    pruner = 'pruner = "median"' if old == "worker" else ""  # which runs every trial to its end
    (home.work / "mixed.toml").write_text(pruner + STUDY)
    worker = home.start("worker", "--slots", "1", PYTHONPATH=versions["worker"])
    coordinator = home.start("coordinator", "mixed.toml", PYTHONPATH=versions["coordinator"])
    assert coordinator.end(300) == 0, coordinator.said()
    assert "Traceback" not in coordinator.said() + worker.said()
    assert home.card("mixed")["test_accuracy"] > 0.2
    with embedded_server(home.mongo) as uri, Store(uri) as store:
        trials = store.trials.find("mixed")
    assert all(trial.status is Status.DONE and trial.attempts == 1 for trial in trials)
    assert [trial.tid for trial in trials if trial.purpose == SEARCH] == list(range(6))
    baselines = [BASELINE] if old == "coordinator" else [BASELINE, BASELINE]
    others = [trial.purpose for trial in trials if trial.purpose != SEARCH]
    assert sorted(others) == [*baselines, REFIT]
