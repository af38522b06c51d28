"""``hyperhive worker pause``, ``drain`` and ``resume``, with the logins of a fleet."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Iterator

import pytest
from support.fleet import Fleet, draft, running
from support.home import Home, until

from hyperhive.store.server.privileges import COORDINATOR, ROLES, VIEWER, WORKER
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status


@pytest.fixture
def fleet(home: Home, mongo_uri: str, store: Store) -> Fleet:
    """Return a fleet on the session's server, its database emptied."""
    return Fleet(home, uri=mongo_uri)


@pytest.fixture
def logins(admin_uri: str) -> Iterator[dict[str, str]]:
    """Give the URI of a device ``nano``, by its role ``worker``, and one for each other role."""
    names = {**{role: role for role in ROLES}, WORKER: "nano"}
    with Store(admin_uri) as admin:
        yield {
            role: f"mongodb://{name}:{admin.roles.invite(name, role)}@{admin.address}"
            for role, name in names.items()
        }
        for name in names.values():
            admin.roles.revoke(name)


@pytest.mark.long
def test_a_coordinator_pauses_a_device_and_nobody_else_may(
    home: Home, fleet: Fleet, logins: dict[str, str]
) -> None:
    """A worker started by the line of its invitation obeys what a coordinator's user says."""

    def say(*arguments: str, role: str = COORDINATOR) -> list[str]:
        done = home.call("worker", *arguments, HYPERHIVE_MONGO=logins[role])
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    worker = fleet.worker(uri=logins[WORKER], seconds="100")
    with fleet.store() as store:
        store.queue.post(draft("s", 0, max_attempts=1))
        store.queue.post(draft("s", 1))
        name = str(running(store, "s").owner)
        until(lambda: store.workers.present()[0].trial, "its report")
        for role in (WORKER, VIEWER):
            for command in ("pause", "drain", "resume"):
                refused = home.call("worker", command, "nano", HYPERHIVE_MONGO=logins[role])
                assert refused.returncode == 1
                assert refused.stderr.startswith(f"error: this login is a {role}'s: MongoDB at ")
                assert "use the login of a coordinator in place of" in refused.stderr
                assert refused.stderr.count("\n") == 1
        unknown = home.call("worker", "pause", "mac", HYPERHIVE_MONGO=logins[COORDINATOR])
        assert (unknown.returncode, unknown.stderr) == (
            1,
            "error: no worker of 'mac' has reported in the last day: those that have are nano\n",
        )
        last = "`hyperhive worker resume nano` lets it take trials again"
        assert say("drain", "nano")[-2:] == [
            f"{name}: draining, runs trial 0 of s to its end",
            last,
        ]
        assert say("pause", "nano")[-2:] == [f"{name}: paused, trial 0 of s handed back", last]
        trials = store.trials.find("s")
        assert [(trial.status, trial.attempts) for trial in trials] == [(Status.NEW, 0)] * 2
        status = home.call("status", HYPERHIVE_MONGO=logins[VIEWER]).stdout
        assert "paused, by " in status
        assert say("resume", name) == [
            f"{name} stays paused, as its device is: `hyperhive worker resume nano`"
        ]
        assert say("resume", "nano") == ["nano takes trials again"]
        running(store, "s")
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
        assert say("pause", "nano")[0].startswith("nano: no worker is here now")
    assert "takes trials again" in worker.said()
    assert "Traceback" not in worker.said()


@pytest.mark.long
def test_ctrl_c_ends_the_wait_and_leaves_the_order(home: Home, fleet: Fleet) -> None:
    """The worker, whose objective never asks, pauses when its trial has ended."""
    fleet.worker(deaf="")
    first = draft("s", 0)
    with fleet.store() as store, contextlib.ExitStack() as ending:
        ending.enter_context(fleet.held_back(first.config))
        store.queue.post(first)
        store.queue.post(draft("s", 1))
        name = str(running(store, "s").owner)
        pausing = home.start("worker", "pause", name, HYPERHIVE_MONGO=fleet.uri)
        pausing.says(f"waiting for {name}; Ctrl-C leaves the order in place")
        pausing.signal(signal.SIGINT)
        assert pausing.end() == 1
        assert "Traceback" not in pausing.said()
        ending.close()
        until(lambda: store.workers.present()[0].trial is None, "the end of its trial")
        until(lambda: store.workers.present()[0].order, "its pause")
        time.sleep(0.2)
        statuses = [trial.status for trial in store.trials.find("s")]
        assert statuses == [Status.DONE, Status.NEW]


@pytest.mark.parametrize("option", ["--slots=2", "--verbose", "--allow-pickled-objectives"])
def test_an_option_of_a_worker_in_front_of_an_order_is_wrong_usage(home: Home, option: str) -> None:
    """It would have no effect, so it is named."""
    done = home.call("worker", option, "pause", "nano")
    name = option.partition("=")[0]
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {name} before pause is for a worker: write options behind pause\n",
    )
