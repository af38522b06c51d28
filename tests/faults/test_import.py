"""``hyperhive study import`` interrupted and repeated, and a fleet that goes on with its study."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from support import proxy
from support.fleet import Fleet, abandon, running
from support.home import Home, until
from support.proxy import Command, Proxy
from support.results import adam, done, study

from hyperhive.coordinator.ranking import best_of
from hyperhive.coordinator.results.export import as_json
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, Status

TRIALS = 12


def exported(store: Store, folder: Path) -> str:
    """Write a study of ``TRIALS`` trials to a file; return its path."""
    study(store)
    for tid in range(TRIALS):
        done(store, tid, adam(0.001 * (tid + 1)), result={"loss": 1.0 / (tid + 1)})
    file = folder / "s.json"
    file.write_bytes(as_json(store, "s"))
    return str(file)


def imported_once(store: Store) -> None:
    """Fail unless the study ``t`` has each trial of ``s``, once and with its result."""
    originals, copies = store.trials.find("s"), store.trials.find("t")
    assert len(copies) == TRIALS
    for original, copy in zip(originals, copies):
        assert (copy.tid, copy.config, copy.loss) == (original.tid, original.config, original.loss)
        assert (copy.status, copy.imported) == (Status.DONE, True)


def test_05_an_import_whose_replies_are_lost_is_repeated(
    home: Home, store: Store, mongo_uri: str
) -> None:
    """Each run ends with one sentence, or tells how many trials were there already."""
    file = exported(store, home.work)

    def writes(command: Command) -> bool:
        return proxy.kind(command) in ("post", "findAndModify")

    with Proxy.of(mongo_uri, proxy.every_second(writes)) as between:
        uri = between.uri(mongo_uri)
        arguments = ("study", "import", file, "--name", "t")
        runs = [home.call(*arguments, HYPERHIVE_MONGO=uri)]
        while runs[-1].returncode:
            runs.append(home.call(*arguments, HYPERHIVE_MONGO=uri))
    assert between.dropped == {"findAndModify": 1, "post": TRIALS}
    for failed in runs[:-1]:
        assert failed.stderr.startswith("error: MongoDB at ")
        assert failed.stderr.count("\n") == 1
    assert runs[-1].stdout == f"study t: trials: 0 imported, {TRIALS} there already\n"
    imported_once(store)


def test_an_import_that_is_killed_is_repeated(home: Home, store: Store, mongo_uri: str) -> None:
    """What it has added stays; the next run adds the rest."""
    file = exported(store, home.work)
    with Proxy.of(mongo_uri) as between:

        def fifth(command: Command) -> bool:
            if proxy.post(command) and between.carried["post"] == 4:
                between.go_silent()
            return False

        between.drop = fifth
        uri = between.uri(mongo_uri)
        killed = home.start("study", "import", file, "--name", "t", HYPERHIVE_MONGO=uri)
        until(lambda: len(store.trials.find("t")) == 5, "the fifth trial")
        killed.signal(signal.SIGKILL)
        assert killed.end() == -signal.SIGKILL
    again = home.call("study", "import", file, "--name", "t", HYPERHIVE_MONGO=mongo_uri)
    assert again.stdout == "study t: trials: 7 imported, 5 there already\n"
    imported_once(store)


@pytest.mark.long
def test_a_fleet_goes_on_with_an_imported_study(home: Home, fleet: Fleet) -> None:
    """Worker and coordinator killed, the study imported again meanwhile: nothing counts twice."""

    def command(*arguments: str) -> str:
        ran = home.call("study", *arguments, HYPERHIVE_MONGO=fleet.uri)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def begun() -> list[Any]:
        lines = "".join(file.read_text() for file in fleet.audit.glob("*.jsonl")).splitlines()
        return [each["learning_rate"] for each in map(json.loads, lines) if "learning_rate" in each]

    worker = fleet.worker()
    assert fleet.search("s", 4, "--no-refit", algorithm="tpe").returncode == 0
    command("export", "s", "--json", "s.json")
    with fleet.store() as store:
        before = store.trials.find("s", SEARCH)
        command("delete", "s", "--yes")
        assert command("import", "s.json").startswith("study s: trials: 4 imported, 0 there")
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        worker = fleet.worker(seconds="60")
        coordinator = fleet.coordinator("s", 8, algorithm="tpe")
        held = running(store, "s", tid=4)
        fleet.kill(worker)
        coordinator.signal(signal.SIGKILL)
        coordinator.end()
        assert command("import", "s.json").startswith("study s: trials: 0 imported, 4 there")
        fleet.worker()
        abandon(store, held, lambda: store.trials.find("s", SEARCH, [4])[0].owner != held.owner)
        last = fleet.search("s", 8, algorithm="tpe")
        assert last.returncode == 0, last.stderr
        after = store.trials.find("s", SEARCH)
        assert [trial.tid for trial in after] == list(range(8))
        assert [(t.config, t.result) for t in after[:4]] == [(t.config, t.result) for t in before]
        assert [(trial.status, trial.attempts) for trial in after[:4]] == [(Status.DONE, 0)] * 4
        assert [trial.attempts for trial in after[4:]] == [2, 1, 1, 1]
        best = best_of(after)
        assert best is not None
        assert home.card("s")["trial"] == best.tid
        rates = [trial.config["learning_rate"] for trial in after]
        assert len(set(rates)) == 8
        runs = {rate: begun().count(rate) for rate in rates}
        runs[best.config["learning_rate"]] -= 1  # the refit
        assert list(runs.values()) == [1, 1, 1, 1, 2, 1, 1, 1]
