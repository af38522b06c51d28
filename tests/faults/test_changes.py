"""What a person changes in a study that runs: it holds, whoever dies or comes second."""

from __future__ import annotations

import contextlib
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Callable

import pytest
from support.clients import at_once, claim, only, post
from support.fleet import Fleet, abandon
from support.home import until
from support.proxy import Command, Proxy
from support.thread_workers import working

from hyperhive.coordinator.api.connection import patiently
from hyperhive.coordinator.changes import ending, extending, noting
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.summary import Result
from hyperhive.store.errors import LeaseLost, StoreUnavailable, StudyExtended
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import REPEAT, SEARCH, Status
from hyperhive.store.trials.trial import Trial

PLAN = Plan(
    name="s",
    trials=4,
    objective="noisy",
    space=parse({"x": {"distribution": "uniform", "low": 0, "high": 1}}),
    repeats=1,
)


def once(wanted: Callable[[Command], bool]) -> Callable[[Command], bool]:
    """Lose the first reply to such a command, and no other."""
    left = iter([True])
    return lambda command: wanted(command) and next(left, False)


def changes(collection: str, word: str) -> Callable[[Command], bool]:
    def wanted(command: Command) -> bool:
        return command.get("update") == collection and word in str(command["updates"])

    return wanted


def run(store: Store, folder: Path) -> Result:
    study = open_study(store, PLAN, None)
    return StudyRun(store, study, None, folder, True, lambda _: None, threading.Event()).run()


def test_30_a_study_gets_more_trials_while_its_best_are_repeated(
    stores: list[Store], mongo_uri: str, between: Proxy, tmp_path: Path
) -> None:
    """Though the reply was lost, its coordinator goes on, and decides only by all of them."""
    has_begun, is_longer = threading.Event(), threading.Event()

    def held(store: Store, trial: Trial) -> None:
        if trial.purpose == REPEAT:
            has_begun.set()
            is_longer.wait(60)
        with contextlib.suppress(LeaseLost):  # an obsolete repeat
            store.queue.finish(trial.id, str(trial.token), {"status": "ok", "loss": -trial.tid})

    def extend() -> None:
        has_begun.wait(60)
        between.drop = once(changes("studies", "raised"))
        with Store(between.uri(mongo_uri)) as through:
            assert patiently(lambda: extending.extend(through, "s", 7)) == "study s runs 7 trials"
        assert between.dropped == {"update": 1}
        is_longer.set()

    with working(mongo_uri, held, objective="noisy"):
        extender = threading.Thread(target=extend)
        extender.start()
        result = run(stores[0], tmp_path)
        extender.join()
    assert len(stores[0].trials.find("s", SEARCH)) == 7
    assert [each.trial for each in result.repeated] == [6, 5, 4]
    stored = stores[0].study("s")
    assert (stored.spec["trials"], stored.extended, stored.raised) == (7, 1, 1)
    assert (stored.result or {})["winner"] == 6
    # The command that began it finds it as it is, and one that asks for more extends it.
    assert run(stores[1], tmp_path).winner.tid == 6


@pytest.mark.long
def test_30_a_coordinator_that_is_killed_after_it_goes_on_with_all(fleet: Fleet) -> None:
    """It is started again with the command that it had, which asks for fewer."""
    coordinator = fleet.coordinator("s", 2)
    with fleet.store() as store:
        until(lambda: store.trials.find("s"), "a trial")
        said = fleet.home.call("study", "extend", "s", "--trials", "5", HYPERHIVE_MONGO=fleet.uri)
        assert (said.returncode, said.stdout) == (0, "study s runs 5 trials\n"), said.stderr
        coordinator.signal(signal.SIGKILL)
        coordinator.end()
        again = fleet.coordinator("s", 2)
        fleet.worker()
        assert again.end() == 0, again.said()
        assert [trial.status for trial in store.trials.find("s", SEARCH)] == [Status.DONE] * 5
        refused = fleet.home.call(
            "study", "extend", "s", "--trials", "9", HYPERHIVE_MONGO=fleet.uri
        )
        assert "error: study s has ended: start it again with more trials" in refused.stderr


def test_30_of_two_budgets_at_once_the_larger_holds(stores: list[Store]) -> None:
    """And one that was raised is not lowered by a coordinator that read it before."""
    open_study(stores[0], PLAN, None)
    asked = [(store, trials) for store, trials in zip(stores, (9, 6, 8, 7))]

    def raise_to(store: Store, trials: int) -> None:
        store.studies.raise_budget("s", trials)

    at_once(*(lambda each=each: raise_to(*each) for each in asked))
    assert stores[0].study("s").spec["trials"] == 9
    for _ in range(2):  # the command that began it, with another change; and that one again
        assert open_study(stores[1], replace(PLAN, repeats=2), None).plan.trials == 9
    with pytest.raises(StudyExtended):
        stores[0].studies.extend("s", {"trials": 5}, extended=0)


def test_30_a_trial_is_cancelled_though_the_reply_is_lost_and_its_worker_dead(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """It waits or runs; another is not touched. A cancel against a finish: one of the two."""
    store.studies.open("s", {"trials": 4})
    for tid in range(3):
        post(store, tid)
    held = claim(store)
    between.drop = once(changes("jobs", "cancel_requested"))
    with Store(between.uri(mongo_uri)) as through:
        said = patiently(lambda: ending.cancel_trial(through, "s", held.tid))
    assert between.dropped["finish batch"] + between.dropped["update"] == 1
    assert said == "s, trial 0 ends when its worker, w1, next reports"
    assert ending.cancel_trial(store, "s", 1) == "s, trial 1 cancelled"
    abandon(store, held, lambda: store.sweep() or only(store).is_final)
    assert ending.cancel_trial(store, "s", 0) == "s, trial 0 cancelled"
    assert only(store, 2).status is Status.NEW

    last = claim(store)
    at_once(
        lambda: store.queue.cancel("s", 2),
        lambda: store.queue.finish(last.id, str(last.token), {"loss": 1.0}),
    )
    assert only(store, 2).status is Status.DONE  # nobody has confirmed the end
    assert ending.cancel_trial(store, "s", 2) == "s, trial 2 has ended already"


def test_30_a_note_whose_reply_is_lost_is_kept_once(
    store: Store, mongo_uri: str, between: Proxy
) -> None:
    """Also if its page sends it again; it goes with its study."""
    store.studies.open("s", {"trials": 4})
    between.drop = once(changes("notes", "text"))
    with Store(between.uri(mongo_uri)) as through:
        with pytest.raises(StoreUnavailable):
            through.notes.add("s", "abcd1234", "slow", "anna")
        noting.write(through, "s", "slow", note_id="abcd1234")
    assert [(note.text, note.by) for note in store.notes_of("s")] == [("slow", "anna")]
    store.delete_study("s")
    assert store.notes_of("s") == []
