"""A simulated study makes the suggestions of a real one: real server, coordinator and worker."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import datetime, timedelta
from typing import Any, Iterator

import pytest
from support.clients import here
from support.home import until

import hyperhive
from hyperhive.coordinator.experiments.fleet import Fleet
from hyperhive.coordinator.experiments.functions import FUNCTIONS, branin
from hyperhive.coordinator.experiments.simulation import Simulation
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.searching import demand
from hyperhive.coordinator.spaces.search_space import to_json
from hyperhive.coordinator.study import Study
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

pytestmark = pytest.mark.long
HOW: Any = {"algorithm": "tpe", "seed": 3, "startup": 4}
NOTHING_FAILS: Any = {"lost": 0.0, "pauses": 0.0}


def plan_of(table: str, trials: int) -> Plan:
    return Plan("s", objective="table", space=FUNCTIONS[table].space, trials=trials, **HOW)


def simulated(table: str, workers: int, trials: int) -> Simulation:
    simulation = Simulation(
        FUNCTIONS[table], plan_of(table, trials), Fleet(workers, **NOTHING_FAILS)
    )
    simulation.run()
    return simulation


def slow_branin(config: dict[str, Any]) -> float:
    time.sleep(0.11)  # shorter trials are suggested ahead
    return branin(config)


def test_a_real_worker_gets_the_simulated_configurations(store: Store, mongo_uri: str) -> None:
    """One worker: hyperhive.search, which starts it, beside the simulation."""
    space = to_json(FUNCTIONS["branin"].space)
    how = {"name": "s", "store": mongo_uri, "workers": 1, "progress": False, **HOW}
    hyperhive.search(slow_branin, space, 16, **how).close()
    found = {trial.tid: trial.vals for trial in store.trials.find("s", SEARCH)}
    assert found == {tid: each.vals for tid, each in simulated("branin", 1, 16).trials.items()}


def steps(simulation: Simulation) -> Iterator[tuple[datetime, int, bool]]:
    """Yield when which trial is claimed, or ends, in that order."""
    for trial in simulation.trials.values():
        assert trial.first_claim is not None
        assert trial.refresh_time is not None
        yield trial.first_claim, trial.tid, True
        yield trial.refresh_time, trial.tid, False


def wait_for(store: Store, posted: int) -> None:
    until(lambda: len(store.trials.find("s", SEARCH)) == posted, f"{posted} trials")


@contextlib.contextmanager
def searching(store: Store, study: Study) -> Iterator[None]:
    """Run a coordinator's search beside the context; it must come to its end."""
    stop = threading.Event()
    running = threading.Thread(target=Search(store, study, lambda snapshot: None, stop).run)
    running.start()
    try:
        yield
    except BaseException:
        stop.set()
        raise
    finally:
        running.join()


@pytest.mark.parametrize("table", ["branin", "tree"])
def test_unlike_devices_get_the_simulated_configurations(
    store: Store, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five workers of three speeds: claims and results reach the real coordinator in that order.

    They reach it faster than they are simulated: both post as if trials took long.
    """
    monkeypatch.setattr(demand, "AHEAD_S", 0.0)
    monkeypatch.setattr(demand, "WINDOW", timedelta(0))
    workers, trials = 5, 30
    simulation = simulated(table, workers, trials)
    study = Study(plan_of(table, trials))
    store.studies.open("s", study.spec())
    here(store, *(f"w{number}" for number in range(workers)), objectives=["table"])
    with searching(store, study):
        claimed: dict[int, Trial] = {}
        posted, running = workers, 0
        for _, tid, is_claim in sorted(steps(simulation)):
            if is_claim:
                wait_for(store, posted)
                trial = store.queue.claim("w0", new_token(), ["table"])
                assert trial is not None
                assert (trial.tid, trial.vals) == (tid, simulation.trials[tid].vals)
                claimed[tid] = trial
            else:
                loss = simulation.trials[tid].loss
                store.queue.finish(claimed[tid].id, str(claimed[tid].token), {"loss": loss})
            running += 1 if is_claim else -1
            posted = max(posted, min(trials, len(claimed) + max(1, workers - running)))
