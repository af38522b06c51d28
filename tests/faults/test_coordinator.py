"""A coordinator that is killed while it posts, and a server that is killed under it."""

from __future__ import annotations

import os
import signal

import pytest
from support.books import check, check_result
from support.fleet import Fleet, answers
from support.home import until

from hyperhive.store.trials.terms import SEARCH


@pytest.mark.long
def test_03_a_coordinator_killed_while_posting(own_fleet: Fleet) -> None:
    """No tid is missing or doubled, and the configurations are those of an undisturbed study.

    With one worker TPE suggests the same sequence, kill -9 of the coordinator and of mongod or not.
    """
    fleet, trials = own_fleet, 12
    worker = fleet.worker(seconds="0.1")
    assert fleet.search("calm", trials, algorithm="tpe").returncode == 0
    with fleet.store() as store:
        for posted in (2, 5, 8):
            coordinator = fleet.coordinator("s", trials, algorithm="tpe")
            until(lambda n=posted: len(store.trials.find("s", SEARCH)) >= n, "the next post")
            if posted == 5:
                os.kill(fleet.mongod(), signal.SIGKILL)
                until(lambda: answers(store), "the server")
            coordinator.signal(signal.SIGKILL)
            coordinator.end()
        last = fleet.search("s", trials, algorithm="tpe")
        assert last.returncode == 0
        assert "resumed; " in last.stdout
        for study in ("calm", "s"):
            check(store, study, trials, fleet.audit, fleet.outbox)
            check_result(store, study)
        suggested = {
            study: [trial.vals for trial in store.trials.find(study, SEARCH)]
            for study in ("calm", "s")
        }
        assert suggested["s"] == suggested["calm"]
        assert len({str(vals) for vals in suggested["s"]}) == trials
    assert "Traceback" not in worker.said() + last.stderr


@pytest.mark.long
def test_03_a_coordinator_killed_while_it_posts_in_bulk(own_fleet: Fleet) -> None:
    """Trials that end at once are posted ahead, many at a time; kill -9 leaves no gap and no twin.

    Two coordinators run the study at once, so that numbers are taken by the other one.
    """
    fleet, trials = own_fleet, 150
    workers = [fleet.worker(seconds="0") for _ in range(2)]
    with fleet.store() as store:
        steady = fleet.coordinator("s", trials)
        for posted in (10, 40, 70, 100):
            coordinator = fleet.coordinator("s", trials)
            until(lambda n=posted: len(store.trials.find("s", SEARCH)) >= n, "the next posts")
            coordinator.signal(signal.SIGKILL)
            coordinator.end()
            if posted == 70:
                steady.signal(signal.SIGKILL)
                steady.end()
        last = fleet.search("s", trials)
        assert last.returncode == 0
        check(store, "s", trials, fleet.audit, fleet.outbox)
        check_result(store, "s")
    assert "Traceback" not in "".join(worker.said() for worker in workers) + last.stderr
