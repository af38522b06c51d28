"""Configurations that a person enqueues, and what runs when a study has ended."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from support.home import Home
from support.thread_workers import working

import hyperhive
from hyperhive.common.errors import UsageError
from hyperhive.coordinator.api.plans import plan_of
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.study_run import open_study
from hyperhive.store.errors import StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ASK, SEARCH
from hyperhive.store.trials.trial import Trial

SPACE = {
    "lr": {"distribution": "loguniform", "low": 1e-4, "high": 1},
    "optimizer": {
        "choices": [
            {"kind": "sgd", "momentum": {"distribution": "uniform", "low": 0, "high": 1}},
            {"kind": "adam"},
        ]
    },
}
ADAM = {"lr": 0.25, "optimizer": {"kind": "adam"}}


@pytest.fixture
def study(store: Store, mongo_uri: str) -> Any:
    with hyperhive.open_study("s", SPACE, trials=3, store=mongo_uri) as opened:
        yield opened


def finish(store: Store, trial: Trial) -> None:
    store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": trial.config["lr"]})


def test_a_configuration_is_posted_once_and_says_its_number(study: Any, store: Store) -> None:
    """A repetition finds it; the algorithm learns from it like from any other trial."""
    assert study.enqueue(ADAM) == 0
    assert study.enqueue({**ADAM, "lr": 0.5}) == 1
    assert study.enqueue(ADAM) == 0
    [first, _] = store.trials.find("s", SEARCH)
    assert first.config == ADAM
    assert first.vals == {"lr": 0.25, "optimizer": 1}
    assert study.ask().config == ADAM


def test_what_cannot_be_run_is_refused(study: Any, store: Store) -> None:
    """A value out of bounds, no room, a study that has ended or was cancelled."""
    with pytest.raises(UsageError, match=r"lr must be from 0\.0001 to 1, not 2"):
        study.enqueue({**ADAM, "lr": 2})
    for number in range(3):
        study.enqueue({**ADAM, "lr": 0.1 + number / 10})
    with pytest.raises(UsageError, match="no room for another trial: its 3 trials"):
        study.enqueue(ADAM)
    study.stop()
    with pytest.raises(UsageError, match="study s has ended"):
        study.enqueue(ADAM)
    store.cancel_study("s")
    with pytest.raises(StudyWithdrawn, match="was cancelled"):
        study.enqueue(ADAM)


def test_a_running_coordinator_counts_what_others_have_posted(
    study: Any, store: Store, mongo_uri: str
) -> None:
    """It sees a number beyond those that it knows, and ends with the budget."""
    planned = open_study(store, plan_of("s", ASK, SPACE, 3), None)
    stop, enqueued = threading.Event(), []

    def watch(snapshot: Any) -> None:
        if not enqueued and len(snapshot.study.searched) == 1:  # none waits for another worker
            enqueued.extend([study.enqueue(ADAM), study.enqueue({**ADAM, "lr": 0.5})])
            worker.__enter__()

    worker = working(mongo_uri, finish, objective=ASK)
    trials = Search(store, planned, watch, stop).run()
    worker.__exit__(None, None, None)
    assert enqueued == [1, 2]
    assert sorted(trial.tid for trial in trials) == [0, 1, 2]


def test_known_points_that_a_study_is_extended_by_are_run(
    study: Any, store: Store, mongo_uri: str
) -> None:
    """They get the next free numbers: those at the beginning are taken."""
    study.tell(study.ask(), 1)
    with hyperhive.open_study("s", SPACE, trials=4, try_first=[ADAM], store=mongo_uri) as extended:
        asked = extended.ask()
    assert (asked.number, asked.config) == (1, ADAM)


@pytest.mark.parametrize(
    ("arguments", "config"),
    [
        (["lr=0.25", "optimizer.kind=adam"], ADAM),
        (["--json", json.dumps(ADAM)], ADAM),
        (
            ["lr=1e-2", "optimizer.kind=sgd", "optimizer.momentum=0.5"],
            {"lr": 0.01, "optimizer": {"kind": "sgd", "momentum": 0.5}},
        ),
    ],
)
def test_the_command_enqueues(
    study: Any, store: Store, mongo_uri: str, home: Home, arguments: list[str], config: Any
) -> None:
    """Values are JSON or text, and dotted names nest; once more is told, and changes nothing."""
    command = ("study", "enqueue", "s", *arguments, "--mongo", mongo_uri)
    first, again = home.call(*command), home.call(*command)
    assert first.stdout.startswith("study s, trial 0 is lr 0."), first.stderr
    assert again.stdout.startswith("study s, trial 0 has this configuration already: ")
    assert [trial.config for trial in store.trials.find("s")] == [config]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either as NAME=VALUE ... or with --json"),
        (["lr"], "'lr' must be NAME=VALUE"),
        (["lr=1", "lr=2"], "lr is given twice"),
        (["lr=1", "lr.x=2"], "lr has a value already"),
        (["--json", "[1]"], "--json must be an object"),
        (["--json", "{"], "--json is not valid JSON"),
        (["lr=0.1"], "optimizer is missing"),
    ],
)
def test_the_command_says_what_is_wrong(
    study: Any, mongo_uri: str, home: Home, arguments: list[str], words: str
) -> None:
    """Nothing is posted."""
    ended = home.call("study", "enqueue", "s", *arguments, "--mongo", mongo_uri)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert study.trials == []


def test_a_command_runs_when_a_study_is_done(
    study: Any, store: Store, mongo_uri: str, home: Home
) -> None:
    """It gets the result in its environment; its exit code is told, and it runs once."""
    study.tell(study.ask(), 0.5)
    command = 'echo "$HYPERHIVE_STUDY|$HYPERHIVE_BEST_LOSS|$HYPERHIVE_BEST_CONFIG" >>out; exit 3'
    arguments = ("study", "finish", "s", "--when-done", command, "--mongo", mongo_uri)
    first, again = home.call(*arguments), home.call(*arguments)
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert "--when-done: exit code 3" in first.stdout
    assert "exit code" not in again.stdout
    [line] = (home.work / "out").read_text().splitlines()
    name, loss, config = line.split("|")
    assert (name, loss, json.loads(config)) == ("s", "0.5", study.best.config)
