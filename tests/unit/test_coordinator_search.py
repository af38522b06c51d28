"""The search: posting, watching, pruning and resuming, on a real store with made-up losses."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

import pytest
from support.clients import Gate, counts_of
from support.thread_workers import claim, claimed, deliver, report, working

from hyperhive.coordinator.algorithms.known import Known, Observation
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import best_of, ranking, why_nothing
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.search_trials import FILES_KEPT, SearchTrials
from hyperhive.coordinator.searching.sweep import NoWorker
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.suggest import Suggester
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.errors import StudyWithdrawn
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import BASELINE, REFIT, SEARCH, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import ended_document


@pytest.fixture(autouse=True)
def _frequent_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperhive.coordinator.searching.sweep.SWEEP_EVERY_S", 0.1)


def study(trials: int = 6, **fields: Any) -> Study:
    return Study(Plan("s", DatasetRequest("digits"), trials=trials, **fields), "hash", {})


def search(
    store: Store,
    of: Study,
    watch: Callable[[Snapshot], None] = lambda snapshot: None,
    stop: threading.Event | None = None,
    **how: Any,
) -> Search:
    store.studies.open(of.name, of.spec())
    return Search(store, of, watch, stop or threading.Event(), **how)


def stop_when(holds: Callable[[Snapshot], bool]) -> dict[str, Any]:
    """Return the arguments of a search that stops once ``holds`` is true of a snapshot."""
    stop = threading.Event()

    def watch(snapshot: Snapshot) -> None:
        if holds(snapshot):
            stop.set()

    return {"watch": watch, "stop": stop}


def posted(store: Store, purpose: str = SEARCH) -> list[Trial]:
    return store.trials.find("s", purpose)


def post(store: Store, of: Study, tid: int) -> None:
    """Post a trial as the study's own search would."""
    vals = Suggester("random", of.plan.space, of.plan.seed, 1).suggest(tid, Known(of.plan.space))
    store.queue.post(of.draft(SEARCH, tid, of.config(vals), vals))


def files(store: Store) -> int:
    return int(store.client.hyperhive.fs.files.count_documents({}))


# -- posting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_every_trial_is_posted_once_and_counted_once(
    store: Store, mongo_uri: str, workers: int
) -> None:
    """A search ends with exactly the tids 0 to N-1, each DONE after one attempt."""
    snapshots: list[Snapshot] = []
    with working(mongo_uri, workers=workers):
        trials = search(store, study(9), snapshots.append).run()
    assert snapshots[-1].study.ended == 9  # the last state is always shown
    assert sorted(trial.tid for trial in trials) == list(range(9))
    stored = posted(store)
    assert [trial.tid for trial in stored] == list(range(9))
    assert {(trial.status, trial.attempts, trial.late) for trial in stored} == {(Status.DONE, 1, 0)}


def test_a_trial_has_the_values_of_its_number(store: Store, mongo_uri: str) -> None:
    """Each trial holds what the suggester gives for its tid, as values and as configuration."""
    of = study(4, algorithm="random", seed=3)
    with working(mongo_uri):
        search(store, of).run()
    suggester = Suggester("random", of.plan.space, 3, 10)
    for trial in posted(store):
        vals = suggester.suggest(trial.tid, Known(of.plan.space))
        assert trial.vals == vals
        assert trial.config == of.config(vals)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_as_many_trials_wait_as_workers_live(store: Store, workers: int) -> None:
    """If nobody claims, one trial waits for each live worker, and one if there is none."""
    report(store, *(f"w{number}" for number in range(workers)))
    polls = []
    stopped = stop_when(lambda snapshot: polls.append(snapshot) or len(polls) == 4)
    with pytest.raises(Interrupted):
        search(store, study(9), **stopped).run()
    assert len(posted(store)) == max(1, workers)


def test_waiting_trials_exceed_neither_workers_nor_budget(store: Store, mongo_uri: str) -> None:
    """While workers run trials of 100 ms, no more trials wait than there are workers."""
    waiting: list[int] = []

    def act(store: Store, trial: Trial) -> None:
        time.sleep(0.1)
        deliver(store, trial)

    def watch(snapshot: Snapshot) -> None:
        counts = counts_of(store)
        waiting.append(counts[Status.NEW])
        assert sum(counts.values()) <= 8

    with working(mongo_uri, act, workers=2):
        search(store, study(8), watch).run()
    assert max(waiting) <= 2


@pytest.mark.parametrize(("milliseconds", "waiting"), [(20, 4), (100, 1)])
def test_only_trials_shorter_than_100_ms_are_posted_ahead(
    store: Store, monkeypatch: pytest.MonkeyPatch, milliseconds: int, waiting: int
) -> None:
    """As many wait as were claimed in the last 100 ms, by the server's clock; but one a worker."""
    # Suggestions that take longer are posted in two steps.
    monkeypatch.setattr("hyperhive.coordinator.search_trials._SUGGESTING_S", 60.0)
    of = study(9)
    report(store, "one")
    began = datetime(2026, 1, 2, tzinfo=timezone.utc)
    for tid in range(4):
        post(store, of, tid)
        deliver(store, claimed(store))
        at = began + timedelta(milliseconds=milliseconds * tid)
        store.database["jobs"].update_one({"tid": tid}, {"$set": {"issued.0.at": at}})
    with pytest.raises(Interrupted):
        search(store, of, **stop_when(lambda snapshot: True)).run()
    assert [trial.tid for trial in posted(store) if not trial.is_final] == [*range(4, 4 + waiting)]


def test_a_look_reads_no_finished_trial_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole one reads the unfinished trials, a quick one only those whose state has changed."""
    of = study(600)
    vals = Suggester("random", of.plan.space, 0, 1).suggest(0, Known(of.plan.space))
    drafts = [of.suggested(tid, vals) for tid in range(503)]
    ended = {"result": {"loss": 1.0}, "error": None, "booked": None, "refreshed": None}
    store.database["jobs"].insert_many(
        [ended_document(draft, owner="w", **ended) for draft in drafts[:500]]
    )
    store.queue.post_all(drafts[500:])
    trials = SearchTrials(store, of)
    trials.load()
    read: list[Any] = []
    from_document = Trial.from_document
    monkeypatch.setattr(Trial, "from_document", lambda d: read.append(d["_id"]) or from_document(d))
    counts = []
    for step in (lambda: None, lambda: claimed(store), lambda: store.delete_study("s")):
        step()
        read.clear()
        trials.look(only_changed=True)
        quickly = len(read)
        trials.look()
        counts.append((trials.changes, quickly, len(read) - quickly))
    assert counts == [(0, 0, 3), (1, 1, 3), (1, 0, 0)]
    assert (trials.posted, trials.ended, len(trials.all())) == (500, 500, 500)


def test_the_baseline_is_seen_while_the_search_runs(store: Store) -> None:
    """Whoever watches sees what the worker does that runs it."""
    seen: list[Snapshot] = []

    def holds(snapshot: Snapshot) -> bool:
        seen.append(snapshot)
        store.queue.claim("w", "token", ["lenet5"])
        return any(trial.status is Status.RUNNING for trial in snapshot.study.others)

    with pytest.raises(Interrupted):
        search(store, study(), **stop_when(holds)).run()
    baseline, _ = seen[-1].study.others
    assert (baseline.title, baseline.owner) == ("the untuned baseline", "w")
    assert seen[-1].phase == "searching"
    assert baseline not in seen[-1].study.searched


def test_baselines_are_posted_beside_the_search(store: Store, mongo_uri: str) -> None:
    """Untuned and usual settings run under an exp_key of their own, and only once."""
    of = study(2)
    with working(mongo_uri):
        searching = search(store, of)
        searching.run()
        baselines = searching.baselines()
        assert searching.baselines() == baselines
    found = [(trial.exp_key, trial.tid, trial.status) for trial in baselines]
    assert found == [("s/baseline", 0, Status.DONE), ("s/baseline", 1, Status.DONE)]
    assert [trial.config for trial in baselines] == [draft.config for draft in of.baselines()]
    assert len(posted(store, BASELINE)) == 2


def test_a_refit_trains_the_winner_on_all_data(store: Store, mongo_uri: str) -> None:
    """The refit is the winner's configuration with train_on_all, under an exp_key of its own."""
    with working(mongo_uri):
        searching = search(store, study(3))
        winner = best_of(searching.run())
        assert winner is not None
        refit = searching.refit(winner)
        assert refit is not None
    assert (refit.exp_key, refit.tid, refit.status) == ("s/refit", winner.tid, Status.DONE)
    assert refit.config == {**winner.config, "train_on_all": True}
    assert len(posted(store, REFIT)) == 1


# -- the best ----------------------------------------------------------------------------------


def test_the_best_has_the_lowest_loss_and_is_the_earliest_of_equals(store: Store) -> None:
    """Trials rank by loss, then by number; failed, diverged and running ones do not rank."""
    of = study(9)
    losses = [0.5, 0.2, 0.2, 0.9, 0.0]
    for tid in range(7):
        post(store, of, tid)
    for loss in losses:
        trial = claimed(store)
        deliver(store, trial, loss=loss, diverged=trial.tid == 4)
    store.queue.fail(claimed(store), ErrorKind.BAD_PAYLOAD, "no")
    trials = posted(store)
    assert [trial.tid for trial in ranking(reversed(trials))] == [1, 2, 0, 3]
    best = best_of(trials)
    assert best is not None
    assert best.tid == 1
    assert best_of(trials[4:]) is None


def test_only_the_ten_best_keep_their_weights(store: Store, mongo_uri: str) -> None:
    """When a search has ended, all other trials' files are gone from the store."""

    def act(store: Store, trial: Trial) -> None:
        deliver(store, trial, weights=b"weights of trial %d" % trial.tid)

    with working(mongo_uri, act, workers=4):
        searching = search(store, study(14))
        searching.run()
        searching.baselines()
    ranked = ranking(posted(store))
    assert len(ranked) == 14
    kept = [trial.tid for trial in ranked if trial.artifact is not None]
    assert kept == [trial.tid for trial in ranked[:FILES_KEPT]]
    assert files(store) == FILES_KEPT  # not the baselines'
    assert store.client.hyperhive.fs.chunks.count_documents({}) == FILES_KEPT


def test_weights_are_dropped_while_the_search_goes_on(store: Store, mongo_uri: str) -> None:
    """A study of thousands of trials never fills the store: a sweep leaves the ten best."""
    of = study(14)
    for tid in range(13):
        post(store, of, tid)
        deliver(store, claimed(store), weights=b"weights of trial %d" % tid)
    with pytest.raises(Interrupted):
        search(store, of, **stop_when(lambda snapshot: True)).run()
    assert files(store) == FILES_KEPT


# -- stopping, resuming, sharing ---------------------------------------------------------------


def test_a_stopped_search_goes_on_where_it_was(store: Store, mongo_uri: str) -> None:
    """An interrupted search completes the same study: its tids, its values, none run twice."""
    of = study(8, algorithm="random")
    stopped = stop_when(lambda snapshot: snapshot.study.ended >= 3)

    def act(store: Store, trial: Trial) -> None:
        if trial.tid >= 4:
            stopped["stop"].wait(60)
        deliver(store, trial)

    with working(mongo_uri, act):
        with pytest.raises(Interrupted):
            search(store, of, **stopped).run()
        before = {trial.tid: trial for trial in posted(store) if trial.is_final}
        snapshots: list[Snapshot] = []
        search(store, of, snapshots.append).run()
    trials = posted(store)
    assert [trial.tid for trial in trials] == list(range(8))
    assert {trial.attempts for trial in trials} == {1}
    assert [before[trial.tid] for trial in trials if trial.tid in before] == list(before.values())
    assert snapshots[0].study.ended >= 3
    suggester = Suggester("random", of.plan.space, 0, 10)
    assert [trial.vals for trial in trials] == [
        suggester.suggest(tid, Known(of.plan.space)) for tid in range(8)
    ]


def test_a_missing_number_is_filled(store: Store, mongo_uri: str) -> None:
    """Tids that a coordinator skipped when it died are posted by the next one."""
    of = study(5)
    post(store, of, 0)
    post(store, of, 3)
    with working(mongo_uri):
        search(store, of).run()
    assert [trial.tid for trial in posted(store)] == list(range(5))


def test_two_searches_at_once_share_a_study(store: Store, mongo_uri: str) -> None:
    """Two coordinators on one study post no tid twice and none beyond the budget."""
    of = study(24)
    ends: list[list[int]] = []

    def run() -> None:
        with Store(mongo_uri) as own:
            ends.append(sorted(trial.tid for trial in search(own, of).run()))

    searches = [threading.Thread(target=run) for _ in range(2)]
    with working(mongo_uri, workers=2):
        for each in searches:
            each.start()
        for each in searches:
            each.join()
    assert ends == [list(range(24))] * 2
    assert [(trial.tid, trial.attempts) for trial in posted(store)] == [(n, 1) for n in range(24)]


# -- trials and servers that fail --------------------------------------------------------------


def test_a_lost_workers_trial_is_swept(store: Store, mongo_uri: str) -> None:
    """A trial whose worker vanished with its last attempt ends as worker_lost; the search ends."""
    of = study(2, max_attempts=1)
    post(store, of, 0)
    assert claim(store, "doomed", lease=0.1) is not None
    with working(mongo_uri):
        search(store, of).run()
    lost, done = posted(store)
    assert lost.error is not None
    assert lost.error["kind"] == "worker_lost"
    assert done.status is Status.DONE


def test_suggestions_learn_from_failed_objectives_not_from_failed_devices(store: Store) -> None:
    """An objective's error counts as the worst loss; a lost worker or a cancel does not count."""
    of = study(8, seed=4, startup=3, max_attempts=1)  # with this seed every history would show
    for tid in range(6):
        post(store, of, tid)
    for tid in range(3):
        deliver(store, claimed(store), loss=0.3 + tid / 10)
    store.queue.fail(claimed(store), ErrorKind.OBJECTIVE, "its own fault")
    claimed(store, lease=0.0)
    assert store.queue.expire() == 1
    assert store.queue.cancel_all("s") == 1
    post(store, of, 6)
    claimed(store)  # the seventh: what was known when it was taken is what the eighth builds on
    report(store, "one")
    with pytest.raises(Interrupted):
        search(store, of, **stop_when(lambda snapshot: True)).run()
    trials = posted(store)
    assert len(trials) == 8
    suggester = Suggester("tpe", of.plan.space, of.plan.seed, 3)

    def knowing(*tids: int) -> dict[str, float]:
        seen = [Observation(tid, trials[tid].vals, trials[tid].loss) for tid in tids]
        return suggester.suggest(7, Known(of.plan.space, seen))

    assert trials[7].vals == knowing(0, 1, 2, 3, 6)
    for wrong in ((0, 1, 2, 6), (0, 1, 2, 3, 4, 6), (0, 1, 2, 3, 5, 6)):
        assert trials[7].vals != knowing(*wrong)


def test_a_search_waits_for_a_server_that_went_away(store: Store, mongo_uri: str) -> None:
    """The phase says that a server is away; when it is back, the search completes."""
    gate = Gate(mongo_uri)
    phases: list[str] = []

    def away() -> list[str]:
        return [phase for phase in phases if "does not answer" in phase]

    def watch(snapshot: Snapshot) -> None:
        if snapshot.study.ended and "searching" in snapshot.phase and not away():
            gate.shut()
        phases.append(snapshot.phase)
        if "waiting for it" in snapshot.phase:
            gate.open()

    with Store(gate.uri, timeout=1.0) as through, working(mongo_uri):
        search(through, study(5), watch).run()
    assert away()
    assert gate.uri not in away()[0]  # it holds the password
    assert [trial.tid for trial in posted(store)] == list(range(5))
    assert {trial.attempts for trial in posted(store)} == {1}


# -- studies without workers, and studies that somebody ends ----------------------------------


def test_a_search_without_workers_ends_after_its_timeout(store: Store) -> None:
    """It waits as long as asked for, says what to do, and can be resumed."""
    started_at = time.monotonic()
    with pytest.raises(NoWorker, match="no worker for 1 s: start a worker and the same study"):
        search(store, study(2), timeout=1.0).run()
    assert time.monotonic() - started_at >= 1.0
    assert {trial.status for trial in posted(store)} == {Status.NEW}


def test_a_search_with_workers_does_not_time_out(store: Store, mongo_uri: str) -> None:
    """The time counts from the last sign of life of any worker, not from the start."""

    def slowly(store: Store, trial: Trial) -> None:
        time.sleep(0.5)
        deliver(store, trial)

    report(store, "w0")
    with working(mongo_uri, slowly):
        assert len(search(store, study(4), timeout=1.0).run()) == 4


@pytest.mark.parametrize(
    ("withdraw", "words"), [(Store.cancel_study, "cancelled"), (Store.delete_study, "deleted")]
)
def test_a_search_ends_when_its_study_is_withdrawn(
    store: Store, withdraw: Callable[[Store, str], Any], words: str
) -> None:
    """Its coordinator says so, and leaves no waiting trial, not even one it has just posted."""

    def watch(snapshot: Snapshot) -> None:
        if not withdrawn:
            withdrawn.append(withdraw(store, "s"))
            post(store, study(3), 2)  # as a coordinator does that has not seen it yet

    withdrawn: list[Any] = []
    with pytest.raises(StudyWithdrawn, match="study s was " + words):
        search(store, study(3), watch).run()
    assert all(trial.is_final for trial in store.trials.find("s"))


# -- what a person is told ---------------------------------------------------------------------


def test_the_reason_for_no_result_is_given(store: Store, mongo_uri: str) -> None:
    """The reason is the first error if there is one, else that everything diverged."""

    def act(store: Store, trial: Trial) -> None:
        if trial.tid == 0:
            store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "momentum must be in [0, 1): 2")
        else:
            deliver(store, trial, diverged=True, loss=1.0)

    with working(mongo_uri, act):
        trials = search(store, study(3)).run()
    assert "momentum must be in [0, 1): 2" in why_nothing(trials)
    assert why_nothing(trials[:1]).startswith("the only error was: momentum")
    assert why_nothing(trials[1:]).startswith("2 of 2 diverged")


def test_a_search_stops_soon(store: Store) -> None:
    """A request to stop ends a search that waits for workers at its next pause."""
    stop = threading.Event()
    stop.set()
    snapshots: list[Snapshot] = []
    with pytest.raises(Interrupted):
        search(store, study(3), snapshots.append, stop).run()
    assert len(snapshots) == 1
