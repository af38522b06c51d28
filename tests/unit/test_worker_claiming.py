"""Near the end of a study a worker claims a trial that fits its speed, before that the oldest."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.clients import counts_of

from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import TEACHER, TEACHER_TID, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import Pace
from hyperhive.worker.claiming import Claimer, pace_of
from hyperhive.worker.identity import Identity

SECONDS = {"fast": 0.1, "medium": 0.25, "slow": 1.0}
"""The seconds of an epoch on each device: the speeds are 10 to 4 to 1."""


def open_study(store: Store, trials: int) -> None:
    store.studies.open("s", {"trials": trials})


def post(store: Store, tid: int, epochs: int) -> None:
    store.queue.post(Draft("s", tid, {"epochs": epochs}, {}, objective="lenet5", cost=epochs))


def pace(device: str) -> Pace:
    return Pace("s", SECONDS[device])


def report(store: Store, *devices: str) -> None:
    for device in devices:
        store.workers.report(device, None, "cpu", {}, None, pace=pace(device))


def taken(store: Store, device: str, knows: bool = True, study: str | None = None) -> Any:
    """Return the trial that a device claims, None if it claims none."""
    claimer = Claimer(Identity(device, study, "cpu", {}), ["lenet5"], 60.0)
    claimer.pace = pace(device) if knows else None
    return claimer.next_trial(store)


def at_epoch(store: Store, trial: Trial, epoch: int, seconds: float) -> None:
    """Write that a trial's holder has just reported this epoch, so many seconds after its claim."""
    claimed_at = {"$subtract": ["$$NOW", round(1000 * seconds)]}
    report = {
        "progress": {"epoch": epoch, "done": epoch},
        "refresh_time": "$$NOW",
        "book_time": claimed_at,
    }
    store.client.hyperhive.jobs.update_one({"_id": trial.id}, [{"$set": report}])


def test_what_an_earlier_claim_took_is_held_again_before_it_runs(store: Store) -> None:
    """After an outage its lease may be over; what another has taken is left to that one."""
    over: list[Any] = [{"$set": {"lease_until": "$$NOW"}}]
    for tid in range(2):
        post(store, tid, 10)
        store.queue.claim("me", f"token {tid}", ["lenet5"])
    store.database.jobs.update_one({"tid": 1}, over)
    assert store.queue.claim("other", "another", ["lenet5"]) is not None
    store.database.jobs.update_many({}, over)
    claimer = Claimer(Identity("me", None, "cpu", {}), ["lenet5"], 60.0)
    claimer.keep("token 0", "token 1")
    assert [trial.tid for trial in claimer.next_trials(store)] == [0]
    next_to_others = store.queue.claim("other", "one more", ["lenet5"])
    assert next_to_others is not None
    assert next_to_others.tid == 1
    assert store.queue.claim("other", "the last", ["lenet5"]) is None


# -- which trial ------------------------------------------------------------------------------


@pytest.mark.parametrize(("device", "tids"), [("fast", [1, 2, 0, 3]), ("slow", [3, 0, 2, 1])])
def test_long_trials_go_to_fast_devices(store: Store, device: str, tids: list[int]) -> None:
    """Once all are posted, a fast device claims the longest trial, a slow one the shortest."""
    open_study(store, 4)
    report(store, *SECONDS)
    for tid, epochs in enumerate((10, 30, 20, 5)):
        post(store, tid, epochs)
    assert [taken(store, device).tid for _ in tids] == tids


@pytest.mark.parametrize("why", ["more to come", "own speed not known", "cancelled", "ended"])
def test_the_oldest_goes_first_otherwise(store: Store, why: str) -> None:
    """While the study goes on, for a worker that is new to it, and for one that has ended."""
    open_study(store, 3 if why == "more to come" else 2)
    report(store, *SECONDS)
    post(store, 0, 10)
    post(store, 1, 30)
    if why == "cancelled":
        store.studies.cancel("s")
    elif why == "ended":
        store.studies.conclude("s", {})
    knows = why != "own speed not known"
    assert [taken(store, "fast", knows).tid for _ in range(2)] == [0, 1]
    at_epoch(store, store.trials.find("s")[1], 1, 100.0)
    assert taken(store, "medium", knows) is None


@pytest.mark.parametrize("has_ended", [True, False])
def test_an_idle_worker_reads_little(store: Store, admin_uri: str, has_ended: bool) -> None:
    """At each of its polls, however much a study's model or the last trial's history say."""
    open_study(store, 1)
    post(store, 0, 10)
    large = {"card": {"history": "x" * 100_000}}
    say = store.studies.conclude if has_ended else store.studies.offer
    say("s", large)
    trial = taken(store, "fast")
    assert store.queue.finish(trial.id, trial.token, {"history": "x" * 100_000})
    with Store(admin_uri) as admin:
        admin.database.command("profile", 2)
        try:
            assert taken(store, "fast") is None
            replies = [each["responseLength"] for each in admin.database.system.profile.find()]
        finally:
            admin.database.command("profile", 0)
            admin.database.system.profile.drop()
    assert len(replies) >= 2
    assert max(replies) < 2000


def test_a_lone_worker_claims_the_last_trial(store: Store) -> None:
    """With no other worker to compare with, it claims the one trial that waits."""
    open_study(store, 1)
    post(store, 0, 10)
    assert taken(store, "slow").tid == 0


def test_an_idle_device_copies_a_straggler(store: Store) -> None:
    """Only if no study has a waiting trial for it, and only if it will finish clearly sooner."""
    open_study(store, 1)
    post(store, 0, 30)
    straggler = taken(store, "slow")
    at_epoch(store, straggler, 2, 2.0)
    store.queue.post(Draft("another", 0, {}, {}, objective="lenet5"))
    assert taken(store, "fast").study == "another"
    copy = taken(store, "fast")
    assert (copy.id, copy.is_copy) == (straggler.id, True)
    store.queue.give_back(copy)
    at_epoch(store, straggler, 27, 27.0)
    assert taken(store, "fast") is None


def test_a_device_is_compared_with_those_at_work_on_its_study(store: Store) -> None:
    """The pace of a worker on another study does not count, nor that of a paused worker."""
    open_study(store, 2)
    post(store, 0, 10)
    post(store, 1, 30)
    store.workers.report("elsewhere", None, "cpu", {}, None, pace=Pace("another", 0.001))
    store.workers.report("new", None, "cpu", {}, None)
    store.workers.report("hot", None, "cpu", {}, None, paused="too hot", pace=Pace("s", 0.001))
    assert taken(store, "slow").tid == 1


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({"done": 4}, Pace("s", 2.5)),
        ({"done": 0.5, "epoch": 4}, Pace("s", 20.0)),
        ({"done": 0}, None),
        ({"done": "4"}, None),
        ({"done": True}, None),
        ({"done": float("nan")}, None),
        ({"epoch": 4, "epochs": 8}, None),
    ],
)
def test_a_pace_is_known_after_some_work(progress: Any, expected: Pace | None) -> None:
    """It is the mean of all work so far; an objective that does not report ``done`` has none."""
    assert pace_of("s", progress, 10.0) == expected


def test_a_pace_is_in_the_workers_record(store: Store) -> None:
    """Others read it there; anything that is not a pace is read as None."""
    report(store, "fast")
    assert store.workers.present()[0].pace == pace("fast")
    for said in ({"seconds_per_unit": "1"}, {"seconds_per_unit": [1]}, {}, "quick", None):
        change = {"$set": {"record.pace": said}}
        store.client.hyperhive.workers.update_one({}, change)
        assert store.workers.present()[0].pace is None


# -- a study, by a clock of the test's ----------------------------------------------------------


class Fleet:
    """Three devices on one study, with up to three waiting trials, as a coordinator posts them.

    The store and the choice are real, time is simulated: before each claim the test writes into the
    store how far the devices are. A device that finds no trial asks again a second later.
    """

    def __init__(self, store: Store, epochs: list[int], fitted: bool) -> None:
        store.delete_study("s")
        open_study(store, len(epochs))
        report(store, *SECONDS)
        self._store = store
        self._epochs = epochs
        self._fitted = fitted
        self._now = 0.0
        self._posted = 0
        self._busy: dict[str, Any] = {}  # device -> (trial, start time)

    def makespan(self) -> float:
        """Run the study; return how many seconds it takes."""
        while counts_of(self._store)[Status.DONE] < len(self._epochs):
            for device in SECONDS:
                if device not in self._busy:
                    self._ask(device)
            self._go_on()
        return self._now

    def _ask(self, device: str) -> None:
        waiting = counts_of(self._store)[Status.NEW]
        for tid in range(self._posted, min(len(self._epochs), self._posted + 3 - waiting)):
            post(self._store, tid, self._epochs[tid])
            self._posted += 1
        for holder, (trial, started_at) in self._busy.items():
            passed = self._now - started_at
            if not trial.is_copy:
                at_epoch(self._store, trial, int(passed / SECONDS[holder] + 1e-6), passed)
        trial = taken(self._store, device, self._fitted)
        if trial is not None:
            self._busy[device] = (trial, self._now)

    def _go_on(self) -> None:
        ends = {
            device: started_at + SECONDS[device] * self._epochs[trial.tid]
            for device, (trial, started_at) in self._busy.items()
        }
        first = min(ends, key=lambda device: ends[device])
        if len(ends) < len(SECONDS) and self._now + 1.0 < ends[first]:
            self._now += 1.0
            return
        self._now = ends[first]
        done, _ = self._busy[first]
        result = {"loss": 1.0 / self._epochs[done.tid]}
        assert self._store.queue.finish(done.id, str(done.token), result)
        self._busy = {d: run for d, run in self._busy.items() if run[0].id != done.id}


def test_a_study_of_unlike_devices_ends_a_quarter_sooner(store: Store) -> None:
    """Sooner than with first come, first served; the results are the same, each counted once."""
    spans = {False: 0.0, True: 0.0}
    for seed in range(3):
        dice = random.Random(seed)
        epochs = [dice.randint(2, 30) for _ in range(12)]
        for fitted in spans:
            spans[fitted] += Fleet(store, epochs, fitted).makespan()
            trials = store.trials.find("s")
            assert [trial.loss for trial in trials] == [1.0 / each for each in epochs]
            assert len({trial.winner for trial in trials}) == len(epochs)
    assert spans[True] < 0.75 * spans[False]


# -- a teacher --------------------------------------------------------------------------------


def test_a_gpu_begins_a_copy_of_a_teacher_that_a_cpu_trains(store: Store) -> None:
    """No pace is known then. Of another GPU's it begins none, and of other trials neither."""
    draft = Draft("s", TEACHER_TID, {}, {}, objective="lenet5", purpose=TEACHER, cost=30)
    store.queue.post(draft)
    post(store, 0, 10)
    for worker, device in (("cpu", "cpu (x86_64)"), ("gpu", "cuda (A)"), ("other", "mps (arm)")):
        store.workers.report(worker, None, device, {}, None)
    assert store.queue.claim("cpu", "one", ["lenet5"]).purpose == TEACHER  # type: ignore[union-attr]
    assert store.queue.claim("cpu", "two", ["lenet5"]).tid == 0  # type: ignore[union-attr]

    def copied(worker: str, device: str, study: str | None = None) -> Trial | None:
        return Claimer(Identity(worker, study, device, {}), ["lenet5"], 60.0).next_trial(store)

    assert copied("slow", "cpu (x86_64)") is None
    assert copied("gpu", "cuda (A)", study="another") is None
    copy = copied("gpu", "cuda (A)", study="s")
    assert copy is not None
    assert (copy.purpose, copy.is_copy) == (TEACHER, True)
    assert copied("other", "mps (arm)") is None
    store.queue.finish(copy.id, str(copy.token), {"status": "ok", "loss": 0.1})
    assert store.trials.find("s", TEACHER)[0].status is Status.DONE


def test_a_worker_that_has_trained_a_teacher_does_not_know_its_pace_yet(store: Store) -> None:
    """At that of the larger network it would seem slow, and others would copy its first trials."""
    store.queue.post(Draft("s", TEACHER_TID, {}, {}, objective="lenet5", purpose=TEACHER, cost=30))
    post(store, 0, 10)
    claimer = Claimer(Identity("me", None, "cpu (x86_64)", {}), ["lenet5"], 60.0)
    paces = []
    for _ in range(2):
        trial = claimer.next_trial(store)
        assert trial is not None
        claimer.confirm()
        claimer.learn_pace(trial, {"done": 1}, 2.0)
        paces.append(claimer.pace)
    assert paces == [None, Pace("s", 2.0)]
