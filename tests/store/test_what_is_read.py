"""What is read of a study with many finished trials, in documents and bytes."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any, Callable, Iterator, List, Mapping

import pymongo
import pytest
from support.fleet import draft

from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import BASELINE, SEARCH, Status

FINISHED = 80
FEW = 8
HISTORY = [{"step": step, "loss": 0.5, "accuracy": 0.25} for step in range(1, 21)]

Operations = List[Mapping[str, Any]]
Watch = Callable[[Callable[[], object]], Operations]


@pytest.fixture
def watch(store: Store, admin_uri: str) -> Iterator[Watch]:
    """Give a function that returns what the server did with trials during a step."""
    for tid in range(FINISHED):
        finished(store, tid)
    with pymongo.MongoClient(admin_uri) as client:
        database: Any = client.get_default_database()

        def watched(step: Callable[[], object]) -> Operations:
            database.system.profile.drop()
            database.command("profile", 2)
            step()
            database.command("profile", 0)
            return list(database.system.profile.find({"ns": f"{database.name}.jobs"}))

        yield watched
        database.command("profile", 0)
        database.system.profile.drop()


def finished(
    store: Store, tid: int, also: Mapping[str, Any] = MappingProxyType({}), claims: int = 1
) -> None:
    store.queue.post(draft("s", tid))
    for _ in range(claims - 1):
        trial = store.queue.claim("w", "token", ["quick"])
        assert trial is not None
        store.queue.give_back(trial)
    trial = store.queue.claim("w", f"token-{tid}", ["quick"])
    assert trial is not None
    result = {"status": "ok", "loss": 1 / (tid + 1), "history": HISTORY, **also}
    assert store.queue.finish(trial.id, str(trial.token), result)


def test_nothing_that_is_done_often_goes_through_finished_trials(
    store: Store, watch: Watch
) -> None:
    """Each is answered from an index: it looks at few documents, however many have ended."""
    store.queue.post(draft("s", FINISHED))

    def live() -> None:
        trial = store.queue.claim("w", "token", ["quick"], "s")
        assert trial is not None
        assert store.queue.claimed("token") == trial
        store.queue.heartbeat(trial, {"done": 1})
        store.queue.copy("other", "copy", ["quick"], "s", 0.001)
        store.queue.finish(trial.id, "token", {"loss": 0.5})
        assert store.queue.claim("w", "none", ["quick"]) is None
        store.sweep()
        store.trials.waiting_for_others(["quick"], None)
        store.trials.is_posted("s", SEARCH, FINISHED + 1)
        store.trials.again("s", SEARCH, [trial], [(FINISHED + 1, None)], only_changed=False)

    operations = watch(live)
    assert len(operations) >= 10
    examined = {str(each["command"]): each.get("docsExamined", 0) for each in operations}
    assert {what: count for what, count in examined.items() if count > FEW} == {}


def test_a_rung_is_compared_within_the_study(store: Store, watch: Watch) -> None:
    """The trials of other studies are not looked at."""
    store.queue.post(draft("other", 0))
    trial = store.queue.claim("w", "token", ["quick"], "other")
    assert trial is not None
    [compared] = watch(lambda: store.trials.at_rung(trial, "1/3", 0.5, only_full=False))
    assert compared["docsExamined"] == 1


def test_a_view_reads_a_finished_trial_once_and_without_its_history(
    store: Store, watch: Watch
) -> None:
    """The next reading gets those that have ended since, and no history but its last entry."""
    store.studies.open("s", {"trials": 2 * FINISHED})
    reader = FleetReader(store)
    first = watch(reader.read)
    finished(store, FINISHED)
    later = watch(reader.read)
    assert sum(each.get("nreturned", 0) for each in first) >= FINISHED
    assert sum(each.get("nreturned", 0) for each in later) <= FEW
    [study] = reader.read().studies
    assert len(study.trials) == FINISHED + 1
    assert {len(trial.result["history"]) for trial in study.trials} == {1}


def test_a_resumed_search_reads_no_histories(store: Store, watch: Watch) -> None:
    """It has what it needs of them: the numbers that were reported last."""
    read = {}
    for in_short in (True, False):
        [operation] = watch(lambda short=in_short: store.trials.find("s", SEARCH, in_short=short))
        read[in_short] = operation["responseLength"]
    assert read[True] < 0.6 * read[False]
    short, whole = (store.trials.find("s", SEARCH, in_short=each) for each in (True, False))
    assert [trial.metrics for trial in short] == [trial.metrics for trial in whole]
    assert short[0].metrics["accuracy"] == 0.25


def test_status_reads_the_best_trial_and_what_went_wrong(store: Store, watch: Watch) -> None:
    """The server counts the others; what is shown is what reading them all shows."""
    results = [{"pruned": True, "loss": 0.0}, {"diverged": True, "loss": 0.0}, {"loss": math.nan}]
    for tid, result in enumerate([*results, {"status": "fail", "loss": 0.0}], FINISHED):
        finished(store, tid, result)
    finished(store, FINISHED + 4, {"loss": "none"}, claims=2)
    store.queue.post(draft("s", 0, purpose=BASELINE))
    store.studies.open("s", {"trials": 2 * FINISHED})
    whole, told = FleetReader(store).read(), []
    operations = watch(lambda: told.append(FleetReader(store, briefly=True).read()))
    assert sum(each.get("nreturned", 0) for each in operations) <= FEW
    for fleet in (whole, *told):
        [study] = fleet.studies
        assert study.best is not None
        assert (study.counts[Status.DONE], study.pruned, study.best.tid) == (85, 1, 79)
        assert [trial.label for trial in study.tally.notable] == ["s/baseline/0", "s/84"]
        assert fleet.waiting == whole.waiting
