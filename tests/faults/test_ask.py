"""Programs that ask and die, replies that they never get, coordinators killed under a stop rule."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest
from support import proxy
from support.fleet import Fleet
from support.home import Home, Program, until
from support.proxy import Proxy

import hyperhive
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial

SPACE = {"learning_rate": {"distribution": "uniform", "low": 0, "high": 1}}
ASKER = """
import os, sys, time
import hyperhive
from hyperhive.worker.claiming import Claimer

if {dies_after_posting}:
    claim = Claimer.next_trial
    def next_trial(self, store):
        if store.trials.find("s"):
            os._exit(9)
        return claim(self, store)
    Claimer.next_trial = next_trial
trial = hyperhive.open_study("s", lease=1, store=sys.argv[1]).ask()
print("asked", trial.number, flush=True)
time.sleep(600)
"""
STUDY = """
name = "s"
trials = 60
objective = "quick"
algorithm = "random"
{rule}

[space]
epochs = 1

[space.learning_rate]
distribution = "uniform"
low = 0
high = 1
"""


def asker(home: Home, uri: str, dies_after_posting: bool = False) -> Program:
    script = home.work / "asker.py"
    script.write_text(ASKER.format(dies_after_posting=dies_after_posting))
    log = home.work / "asker.log"
    return Program([sys.executable, str(script), uri], log, home.work, home.environment)


def searched(store: Store) -> list[Trial]:
    return store.trials.find("s", SEARCH)


def test_a_killed_programs_trial_goes_to_the_next_that_asks(
    store: Store, mongo_uri: str, home: Home
) -> None:
    """The lease runs out, and the same trial is asked again; its result counts once."""
    with hyperhive.open_study("s", SPACE, trials=1, store=mongo_uri) as study:
        program = asker(home, mongo_uri)
        program.says("asked 0")
        assert study.ask() is None  # the program keeps its lease, second after second
        program.signal(signal.SIGKILL)
        program.end()
        trial = until(study.ask, "the end of the lease")
        study.tell(trial, 0.5)
        [ended] = searched(store)
        assert (ended.status, ended.attempts, ended.late) == (Status.DONE, 2, 0)


def test_a_program_killed_between_posting_and_claiming_loses_no_trial(
    store: Store, mongo_uri: str, home: Home
) -> None:
    """The trial that it posted waits for the next that asks; none is posted in its place."""
    with hyperhive.open_study("s", SPACE, trials=3, store=mongo_uri) as study:
        assert asker(home, mongo_uri, dies_after_posting=True).end() == 9
        [waiting] = searched(store)
        assert waiting.status is Status.NEW
        trial = study.ask()
        assert trial is not None
        assert (trial.number, trial.config) == (0, waiting.config)
        assert len(searched(store)) == 1


@pytest.mark.parametrize("lost", ["post", "claim", "finish"])
def test_lost_replies_cost_no_trial_and_count_nothing_twice(
    store: Store, mongo_uri: str, between: Proxy, lost: str
) -> None:
    """Every second reply of a kind is lost, and the loop of a program does not notice."""
    between.drop = proxy.every_second(getattr(proxy, lost))
    how: Any = {"trials": 4, "store": between.uri(mongo_uri)}
    with hyperhive.open_study("s", SPACE, **how) as study:
        while True:
            trial = study.ask()
            if trial is None:
                break
            study.tell(trial, trial.number)
    assert between.dropped[lost] >= 2
    found = [(trial.tid, trial.status, trial.attempts, trial.late) for trial in searched(store)]
    assert found == [(number, Status.DONE, 1, 0) for number in range(4)]


def test_an_error_whose_reply_is_lost_is_one_attempt(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """Told again, it is known to have arrived."""
    with hyperhive.open_study("s", SPACE, trials=1, store=between.uri(mongo_uri)) as study:
        trial = study.ask()
        assert trial is not None
        # Of what changes a trial, only a failure says when the next attempt may begin.
        between.drop = proxy.every_second(
            lambda command: "not_before" in str(command.get("update"))
        )
        study.tell(trial, error="no convergence")
        assert sum(between.dropped.values()) == 1
    [waiting] = searched(store)
    assert (waiting.status, waiting.attempts) == (Status.NEW, 1)
    assert (waiting.error or {})["message"] == "no convergence"


def test_a_tell_that_gave_up_can_be_repeated(
    store: Store, mongo_uri: str, between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result had arrived; it counts once."""
    with hyperhive.open_study("s", SPACE, trials=2, store=between.uri(mongo_uri)) as study:
        trial = study.ask()
        assert trial is not None
        monkeypatch.setattr("hyperhive.coordinator.api.connection._PATIENCE_S", 0)
        between.drop = proxy.finish
        with pytest.raises(StoreUnavailable):
            study.tell(trial, 0.5)
        between.drop = proxy.nothing
        study.tell(trial, 0.5)
        [ended] = searched(store)
        assert (ended.status, ended.loss, ended.late) == (Status.DONE, 0.5, 0)


def test_a_configuration_whose_post_reply_is_lost_is_there_once(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """The caller gets its number as if nothing had happened."""
    with hyperhive.open_study("s", SPACE, trials=3, store=between.uri(mongo_uri)) as study:
        between.drop = proxy.every_second(proxy.post)
        assert [study.enqueue({"learning_rate": rate}) for rate in (0.25, 0.5, 0.25)] == [0, 1, 0]
    assert [trial.config["learning_rate"] for trial in searched(store)] == [0.25, 0.5]


# -- coordinators ------------------------------------------------------------------------------


def coordinator(fleet: Fleet, rule: str, uri: str | None = None) -> Program:
    file = fleet.home.work / "s.toml"
    file.write_text(STUDY.format(rule=rule))
    return fleet.home.start("coordinator", str(file), HYPERHIVE_MONGO=uri or fleet.uri)


@pytest.mark.long
@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("patience = 8", "(patience)"),
        ("target = 0.07", "target reached: "),
        ("max_time = 6", "(max_time)"),
    ],
)
def test_a_killed_coordinator_ends_by_its_rule_all_the_same(
    fleet: Fleet, store: Store, rule: str, reason: str
) -> None:
    """Started again, it ends once and with one result; a third start runs nothing."""
    fleet.worker(seconds="0.2")
    first = coordinator(fleet, rule)
    until(lambda: sum(trial.is_final for trial in searched(store)) >= 3, "some trials")
    first.signal(signal.SIGKILL)
    first.end()
    assert store.study("s").result is None
    second = coordinator(fleet, rule)
    assert second.end() == 0, second.said()
    stored = store.study("s")
    assert reason in str(stored.finish_reason)
    assert "ended by" in second.said()
    trials = searched(store)
    assert 3 <= len(trials) < 60
    assert {trial.status for trial in trials} == {Status.DONE}
    third = coordinator(fleet, rule)
    assert third.end() == 0
    assert "nothing was run again" in third.said()
    assert store.study("s").result == stored.result


@pytest.mark.long
def test_a_coordinator_killed_between_known_points_posts_each_once(
    fleet: Fleet, store: Store, mongo_uri: str, between: Proxy
) -> None:
    """Its replies are lost from the second post on, so it is killed there."""
    rates = [0.1, 0.2, 0.3, 0.4]
    rule = f"try = [{', '.join(f'{{learning_rate = {rate}}}' for rate in rates)}]"
    between.drop = lambda command: proxy.post(command) and between.carried["post"] >= 1
    first = coordinator(fleet, rule, between.uri(mongo_uri))
    until(lambda: len(searched(store)) >= 2, "two posts")
    first.signal(signal.SIGKILL)
    first.end()
    assert len(searched(store)) < len(rates)
    second = coordinator(fleet, rule)
    until(lambda: len(searched(store)) >= len(rates), "the others")
    second.signal(signal.SIGKILL)
    second.end()
    assert [trial.config["learning_rate"] for trial in searched(store)][:4] == rates


@pytest.mark.long
def test_nothing_of_a_killed_program_stays(home: Home, tmp_path: Any) -> None:
    """A program with a private server that is killed leaves neither server nor workers."""
    script = home.work / "killed.py"
    script.write_text(
        "import time, hyperhive\n"
        "def train(config):\n    time.sleep(600)\n"
        'space = {"x": {"distribution": "uniform", "low": 0, "high": 1}}\n'
        "hyperhive.search(train, space, 2, workers=1, name='s')\n"
    )
    program = subprocess.Popen(
        [sys.executable, str(script)], cwd=str(home.work), env=home.environment
    )
    uri = until(home.server, "the server")
    with Store(str(uri)) as store:
        until(lambda: any(t.status is Status.RUNNING for t in searched(store)), "a trial")
    program.kill()
    program.wait()
    home.is_empty()
