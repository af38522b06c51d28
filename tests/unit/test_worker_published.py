"""Published code in a worker: versions side by side, requirements, and what comes and goes."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Callable
from unittest import mock

import numpy
import pytest
from support.bench import Bench, living, succeeds
from support.home import until

from hyperhive.common.console import Screen
from hyperhive.coordinator.publishing.publisher import Publication, Publisher
from hyperhive.coordinator.views.status import report
from hyperhive.coordinator.views.waiting import why_waiting
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.signed.catalog import Entry
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.worker.signed import published
from hyperhive.worker.signed.requirements import unmet

MAIN = """
import helper

def train(config):
    import late
    return helper.LOSS + late.LOSS
"""
NEEDY = """
# /// script
# requires-python = ">=2"
# dependencies = ["hyperhive-needs-this>=1.0", "pymongo<1", "numpy", "no; python_version < '3'"]
# ///

def train(config):
    return 0
"""


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setattr(published, "_LOOK_EVERY_S", 0.05)


def post(store: Store, *objectives: str) -> None:
    for tid, objective in enumerate(objectives):
        store.queue.post(Draft("s", tid, {}, {}, objective=objective))


def publish(store: Store, folder: Path, loss: int) -> Publication:
    folder.mkdir(exist_ok=True)
    (folder / "digits.py").write_text(MAIN.replace("config)", "config, trial)"))
    for name in ("helper", "late"):
        (folder / f"{name}.py").write_text(f"LOSS = {loss}\n")
    return Publisher(store, pytest.fail).publish(folder)


def test_a_worker_runs_each_version_with_its_own_modules(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In turn, in one process; what is published while it runs is offered without a restart.

    A module of that name that the worker has from elsewhere is not taken for the package's.
    """
    elsewhere = ModuleType("helper")
    monkeypatch.setattr(elsewhere, "LOSS", 100, raising=False)
    monkeypatch.setitem(sys.modules, "helper", elsewhere)
    before = set(sys.modules), list(sys.path)
    first = publish(store, tmp_path / "mnist", 1)
    (one,) = first.entry.objectives
    with living(mongo_uri, tmp_path / "outbox", succeeds, keys=(first.key,)):
        until(lambda: one in reported(store), "the first version")
        (two,) = publish(store, tmp_path / "mnist", 2).entry.objectives
        until(lambda: {one, two} <= reported(store), "both versions")
        post(store, one, two, one, two)
        until(lambda: all(each.is_final for each in store.trials.find("s")), "all trials")
    assert [trial.loss for trial in store.trials.find("s")] == [2, 4, 2, 4]
    left = {name for name in set(sys.modules) - before[0] if name in ("late", "digits")}
    assert (left, sys.path) == (set(), before[1])
    assert sys.modules["helper"] is elsewhere


def reported(store: Store) -> frozenset[str]:
    """Return the objectives in the record of the only worker."""
    return next((w.objectives or frozenset() for w in store.workers.present()), frozenset())


def test_what_a_device_lacks_is_told_before_a_trial_is_taken(
    store: Store, mongo_uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In its log, in status, and as the reason why the trial waits; the trial is untouched."""
    file = tmp_path / "needy.py"
    file.write_text(NEEDY)
    done = Publisher(store, pytest.fail).publish(file)
    (name,) = done.entry.objectives
    post(store, name)
    store.studies.open("s", {"trials": 1})
    with living(mongo_uri, tmp_path / "outbox", succeeds, keys=(done.key,)):
        until(lambda: any(worker.refused for worker in store.workers.present()), "the refusal")
        trials, here = store.trials.find("s"), store.workers.present()
        screen = Screen(width=400, record=True)
        screen.print(report(store, None))
    lacks = "it lacks hyperhive-needs-this>=1.0, pymongo<1 (it has "
    reason = why_waiting("s", trials, here, True) or ""
    assert reason.startswith(f"1 trial waits for objective {name}: me refuses {name}: {lacks}")
    assert "numpy" not in reason
    assert f"idle; refuses {name}: {lacks}" in screen.export_text()
    assert f"{name} is refused: {lacks}" in caplog.text
    assert [(trial.attempts, trial.excluded) for trial in trials] == [(0, ())]


def test_code_that_cannot_be_imported_is_given_back(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """It costs the trial no attempt; the worker offers that objective no more, and works on."""
    file = tmp_path / "digits.py"
    file.write_text("import no_such_module\n\ndef train(config):\n    return 0\n")
    done = Publisher(store, pytest.fail).publish(file)
    (name,) = done.entry.objectives
    post(store, name, "lenet5")
    with living(mongo_uri, tmp_path / "outbox", succeeds, keys=(done.key,)):
        until(lambda: store.trials.find("s")[1].is_final, "the trial of something else")
        until(lambda: any(worker.refused for worker in store.workers.present()), "the refusal")
        ((what, why),) = store.workers.present()[0].refused
    assert what == name
    assert "it cannot be imported here: line 1: ModuleNotFoundError" in why
    trial = store.trials.find("s")[0]
    assert (trial.attempts, list(trial.excluded)) == (0, ["me"])


TWO = """
import logging, numpy, pickle

class Net:
    pass

def first(config, trial):
    return len(pickle.dumps(Net())) and logging.LOSS

def second(config, trial):
    assert pickle.loads(pickle.dumps(Net())).__class__ is Net
    assert numpy.LOSS == 1
    return logging.LOSS
"""


def test_a_file_is_imported_once_and_data_beside_it_hides_no_module(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its functions share a module, whose classes can be pickled; numpy.md and torch/ are data."""
    monkeypatch.setattr(logging, "LOSS", 1, raising=False)
    monkeypatch.setattr(numpy, "LOSS", 1, raising=False)
    folder = tmp_path / "two"
    (folder / "numpy").mkdir(parents=True)
    for name in ("logging.json", "numpy.md", "numpy/w.bin", "hyperhive.toml"):
        (folder / name).write_text("{}")
    (folder / "two.py").write_text(TWO)
    done = Publisher(store, pytest.fail).publish(folder)
    first, second = done.entry.objectives
    post(store, first, second, first)
    with living(mongo_uri, tmp_path / "outbox", succeeds, keys=(done.key,)):
        until(lambda: all(each.is_final for each in store.trials.find("s")), "all trials")
    assert [(each.error, each.loss) for each in store.trials.find("s")] == [(None, 1)] * 3


def test_a_version_that_cannot_be_compared_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed one, and a marker: the worker says so, and goes on."""
    (tmp_path / "odd-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info" / "METADATA").write_text("Name: odd\nVersion: 4.1-dirty+x y\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = Entry("d.py", "0" * 64, 1, ("d.py:train",), ("odd>=1",))
    assert "4.1-dirty+x y" in str(unmet(entry))  # packaging says it in one way or another
    needy = replace(entry, requires=("odd; sys_platform ~= 'linux'",))
    assert str(unmet(needy)).startswith("its requirements cannot be compared with what is here")


def test_a_trial_of_code_that_was_withdrawn_meanwhile_is_given_back(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """A claim whose reply was lost may have taken it, before the objective was withdrawn."""
    with Bench(mongo_uri, tmp_path / "outbox", succeeds) as bench:
        bench.objectives["digits.py:train@1f2e3d4c5b6a"] = succeeds
        post(store, "digits.py:train@1f2e3d4c5b6a")
        away = mock.patch.object(bench.store.queue, "claim", lost(bench.store.queue.claim))
        with away, pytest.raises(StoreUnavailable):
            bench.run_one()
        del bench.objectives["digits.py:train@1f2e3d4c5b6a"]
        assert bench.run_one()
    (trial,) = store.trials.find("s")
    assert (trial.status, trial.attempts, list(trial.excluded)) == (Status.NEW, 0, ["me"])


def lost(claim: Callable[..., Any]) -> Callable[..., Any]:
    def claims(*arguments: Any) -> None:
        claim(*arguments)
        raise StoreUnavailable("the reply was lost")

    return claims
