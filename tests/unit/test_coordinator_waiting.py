"""Work that nobody takes: the reason is told, the same everywhere, and it ends in time."""

from __future__ import annotations

import threading

import pytest
from support.clients import here
from support.live import fleet_of
from support.printed import plain
from support.thread_workers import claim, claimed, report

from hyperhive.common.console import Screen
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.searching.sweep import NoWorker
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.status import report as status_report
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.coordinator.views.terminal import Lines, panel
from hyperhive.coordinator.views.waiting import why_waiting
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ASK, HYPEROPT, SEARCH, Status
from hyperhive.store.trials.trial import Trial

LACKING = "for objective mine: 2 workers are here without it; install its package there"


@pytest.fixture(autouse=True)
def _frequent_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperhive.coordinator.searching.sweep.SWEEP_EVERY_S", 0.1)


def study(store: Store, objective: str = "mine", trials: int = 6) -> Study:
    plan = Plan("s", DatasetRequest("digits"), trials=trials, objective=objective)
    opened = Study(plan, "hash", {})
    store.studies.open("s", opened.spec())
    return opened


def waiting(store: Store, trials: int = 1, objective: str = "lenet5") -> None:
    for tid in range(trials):
        store.queue.post(Draft("s", tid, {"learning_rate": 0.01}, {}, objective=objective))


def snapshots(store: Store, of: Study, looks: int = 3) -> list[Snapshot]:
    """Return what a search shows that is stopped after some looks, and one sweep at least."""
    seen: list[Snapshot] = []
    stop = threading.Event()

    def watch(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        if len(seen) == looks:
            stop.set()

    with pytest.raises(Interrupted):
        Search(store, of, watch, stop).run()
    return seen


def why(store: Store, had_workers: bool = False) -> str | None:
    return why_waiting("s", store.trials.find("s"), store.workers.present(), had_workers)


# -- the reasons ---------------------------------------------------------------------------------


def test_an_objective_that_no_worker_has_is_named(store: Store) -> None:
    """It says how many trials wait for it, how many workers lack it, and what to do."""
    waiting(store, 3, "mine")
    here(store, "w1", "w2")
    assert (why(store) or "").startswith("3 trials wait " + LACKING)
    here(store, "w2", objectives=["lenet5", "mine"])
    assert why(store) is None


def test_the_file_of_an_objective_is_named(store: Store) -> None:
    """A function of a file waits for that file: where workers are without it, and where none is."""
    waiting(store, 2, "my digits.py:train")
    command = "`hyperhive worker --objectives 'my digits.py'`"
    assert (why(store) or "").startswith(f"no worker yet: run {command} here; ")
    here(store, "w1")
    assert why(store) == (
        "2 trials wait for objective my digits.py:train: 1 worker is here without it; start "
        f"{command} there, with the path of that file"
    )
    here(store, "w1", objectives=["lenet5", "my digits.py:train"])
    assert why(store) is None


def test_workers_with_different_files_are_named(store: Store) -> None:
    """Only those that are here, and only the file of the study's own objective."""
    waiting(store, 1, "boost.py:train")
    for worker, seen in {"vm-1": "3f2a91bc", "vm-2": "3f2a91bc", "nano-1": "91bcaa07"}.items():
        objectives, files = ["boost.py:train"], {"boost.py": seen, "other.py": worker}
        store.workers.report(worker, None, "cpu", files, None, objectives=objectives)
        differs = "boost.py differs between the workers here" in (why(store) or "")
        assert differs == (worker == "nano-1")
    assert why(store) == (
        "boost.py differs between the workers here (91bcaa07 on nano-1, 3f2a91bc on vm-1 and vm-2)"
        ": copy one to all, and start them again"
    )
    store.workers.leave("nano-1")
    assert why(store) is None


def test_what_programs_ask_for_waits_for_no_worker(store: Store) -> None:
    """Whether workers are here or not; a study of workers beside it is told of in its own words."""
    waiting(store, 2, ASK)
    reason = "2 trials wait for a program that asks (study.ask): workers do not take them"
    assert why(store) == reason
    here(store, "w1", study="t")
    assert why(store) == reason
    store.workers.leave("w1")
    study(store, ASK)
    assert FleetReader(store).read().waiting == [f"s: {reason}"]
    store.studies.open("t", Study(Plan("t", DatasetRequest("digits")), "hash", {}).spec())
    told = FleetReader(store).read().waiting
    assert [line.split(":")[0] for line in told] == ["s", "no worker yet"]


def test_a_worker_of_an_older_version_may_have_the_objective(store: Store) -> None:
    """It does not report its objectives, so nothing is known against it."""
    waiting(store, 1, "mine")
    here(store, "w1", objectives=None)
    assert why(store) is None


def test_jobs_of_hyperopt_wait_for_a_worker_that_runs_pickles(store: Store) -> None:
    """The reason names the flag that such a worker needs."""
    waiting(store, 1, HYPEROPT)
    here(store, "w1")
    reason = "1 trial waits for a worker with --allow-pickled-objectives: 1 worker is here without"
    job = Trial.from_document(store.database.jobs.find_one())
    assert (why_waiting("s", [job], store.workers.present(), True) or "").startswith(reason)


def test_workers_for_other_studies_are_told_apart_from_none(store: Store) -> None:
    """They are here, and take nothing of this one."""
    waiting(store)
    here(store, "w1", "w2", study="t")
    assert (why(store) or "").startswith("2 workers are here for other studies only: start one")
    here(store, "w3", study="s")
    assert why(store) is None


def test_a_trial_at_which_every_worker_failed_is_named_with_the_error(store: Store) -> None:
    """Another worker that has the objective and is not excluded takes it."""
    waiting(store)
    here(store, "w")
    store.queue.give_back(claimed(store), "MemoryError")
    expected = "every worker here has failed at trial 0 (MemoryError): without another worker"
    assert (why(store) or "").startswith(expected)
    here(store, "w2", objectives=["another"])
    assert (why(store) or "").startswith(expected)
    here(store, "w3")
    assert why(store) is None


def test_a_trial_that_only_paused_workers_could_take_waits_for_them(store: Store) -> None:
    """The reason of the pause is told; a worker that is not paused takes it."""
    waiting(store, 2)
    here(store, "w1", paused="on battery")
    assert why(store) == (
        "2 trials wait while every worker here that could run it is paused: on battery"
    )
    here(store, "w2")
    assert why(store) is None


def test_a_trial_that_only_ordered_workers_could_take_waits_for_a_person(store: Store) -> None:
    """The command that resumes one is told; it goes before a pause that ends by itself."""
    waiting(store)
    here(store, "w1", paused="on battery")
    here(store, "nano-12-abcdef", paused="paused, by anna@studio", order="token")
    assert why(store) == (
        "1 trial waits while every worker here that could run it is paused (nano is "
        "paused, by anna@studio): `hyperhive worker resume nano` lets it go on"
    )


def test_workers_that_were_ordered_to_pause_do_not_keep_a_search_alive(store: Store) -> None:
    """It ends with the command that resumes one; one that still runs a trial of it counts."""
    of = study(store, "lenet5", trials=1)
    here(store, "nano-12-abcdef", paused="paused, by anna@studio", order="token")
    with pytest.raises(NoWorker, match="`hyperhive worker resume nano` lets it go on"):
        Search(store, of, lambda _: None, threading.Event(), timeout=0.5).run()


def test_no_trials_are_posted_for_paused_workers(store: Store) -> None:
    """One waits for whoever comes first; one that only a paused worker could take stops nobody."""
    of = study(store, "lenet5")
    here(store, "w1", "w2", paused="paused, by anna@studio", order="token")
    here(store, "w3")
    snapshots(store, of)
    assert len(store.trials.find("s", SEARCH)) == 1
    for trial in iter(lambda: claim(store, "w3"), None):
        store.queue.give_back(trial, "no memory")
    snapshots(store, of)
    posted = store.trials.find("s", SEARCH)
    assert [trial.excluded for trial in posted] == [("w3",), ()]


def test_a_worker_that_was_resumed_is_not_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs a trial while another waits: that is known before its record is read again."""
    monkeypatch.setattr("hyperhive.coordinator.searching.sweep.SWEEP_EVERY_S", 600.0)
    of = study(store, "lenet5")
    here(store, "nano-12-abcdef", paused="paused, by anna@studio", order="token")
    seen: list[str | None] = []
    stop = threading.Event()

    def watch(snapshot: Snapshot) -> None:
        seen.append(why_waiting("s", snapshot.study.trials, snapshot.here, True))
        while len(seen) == 1 and claim(store, "nano-12-abcdef") is not None:
            pass
        if [each.status for each in snapshot.study.searched] == [Status.RUNNING, Status.NEW]:
            stop.set()

    with pytest.raises(Interrupted):
        Search(store, of, watch, stop).run()
    assert "`hyperhive worker resume nano` lets it go on" in str(seen[0])
    assert seen[-1] is None


def test_nothing_is_wrong_if_nothing_waits(store: Store) -> None:
    """A trial that runs waits for nobody, whatever the other workers have."""
    waiting(store)
    claimed(store)
    here(store, "w1", objectives=["another"])
    assert why(store) is None


# -- where they are told -------------------------------------------------------------------------


def test_coordinator_status_and_dashboard_give_the_same_reason(store: Store) -> None:
    """On a terminal, in a log, in the table of studies, and on the page."""
    here(store, "w1", "w2")
    last = snapshots(store, study(store))[-1]
    assert [trial.status for trial in store.trials.find("s")] == [Status.NEW]
    reason = f"1 trial waits {LACKING}"
    console = Screen(width=300)
    with console.capture() as log:
        Lines(console).show(last)
    assert f"s: {reason}" in log.get()
    assert reason in plain(panel(last))
    page = fleet_of(store)["waiting"]
    for shown in (plain(status_report(store, None)), plain(status_report(store, "s")), page):
        assert f"s: {reason}" in shown


def test_status_of_one_study_knows_the_workers_of_others(store: Store) -> None:
    """They are not in its table, but they are why nobody takes its trials."""
    study(store, "lenet5")
    waiting(store)
    here(store, "w1", study="t")
    shown = plain(status_report(store, "s"))
    assert "s: 1 worker is here for other studies only" in shown
    assert "w1" not in shown


def test_a_study_that_has_ended_waits_for_nothing(store: Store) -> None:
    """Without workers either."""
    study(store)
    waiting(store, 1, "mine")
    assert "no worker yet" in plain(status_report(store, None))
    store.studies.conclude("s", {})
    assert "worker yet" not in plain(status_report(store, None))


# -- how long it may take ------------------------------------------------------------------------


def test_idle_workers_without_the_objective_do_not_keep_a_search_alive(store: Store) -> None:
    """After --timeout it ends, with the reason; what was posted stays."""
    here(store, "w1", "w2")
    with pytest.raises(NoWorker, match=rf"could go on for 1 s \(1 trial.* {LACKING}"):
        Search(store, study(store), lambda _: None, threading.Event(), timeout=1.0).run()
    assert {trial.status for trial in store.trials.find("s")} == {Status.NEW}


def test_workers_for_other_studies_do_not_keep_a_search_alive(store: Store) -> None:
    """They never come."""
    here(store, "w1", study="t")
    with pytest.raises(NoWorker, match="1 worker is here for other studies only"):
        Search(store, study(store, "lenet5"), lambda _: None, threading.Event(), timeout=0.5).run()


def test_a_worker_that_failed_at_all_that_waits_does_not_keep_a_search_alive(store: Store) -> None:
    """Its device fails at everything: few trials are posted, and the rest of the budget is kept."""
    of = study(store, "lenet5", trials=30)
    ended = threading.Event()

    def fail(_: Snapshot) -> None:
        report(store, "w")
        trial = store.queue.claim("w", str(id(object())), ["lenet5"])
        if trial is not None:
            store.queue.give_back(trial, "no memory")

    with pytest.raises(NoWorker, match=r"every worker here has failed at .* \(no memory\)"):
        Search(store, of, fail, ended, timeout=1.0).run()
    assert len(store.trials.find("s", SEARCH)) <= 4


@pytest.mark.parametrize("how", ["runs a trial of it", "is paused"])
def test_a_worker_that_will_go_on_keeps_a_search_alive(store: Store, how: str) -> None:
    """It runs a trial of the study, though it failed at the one that waits; or it pauses."""
    of = study(store, "lenet5", trials=1)
    busy = {"trial": "s/baseline/0"} if how == "runs a trial of it" else {"paused": "on battery"}
    here(store, "w", **busy)
    if how == "runs a trial of it":
        waiting(store)
        store.queue.give_back(claimed(store), "no memory")
    looks: list[Snapshot] = []
    stop = threading.Event()

    def watch(snapshot: Snapshot) -> None:
        looks.append(snapshot)
        if len(looks) == 15:  # each a tenth of a second, at least
            stop.set()

    with pytest.raises(Interrupted):
        Search(store, of, watch, stop, timeout=0.5).run()


def test_a_search_ends_with_the_trials_that_no_device_could_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They fail with their error, and the search goes on to its end without them."""
    monkeypatch.setattr("hyperhive.store.store.GIVE_UP_AFTER_S", 0.3)
    of = study(store, "lenet5", trials=5)

    def work(_: Snapshot) -> None:
        report(store, "w")
        trial = store.queue.claim("w", f"token of {len(store.trials.find('s'))}", ["lenet5"])
        if trial is not None and trial.tid % 2:
            store.queue.give_back(trial, "no memory")
        elif trial is not None:
            store.queue.finish(trial.id, str(trial.token), {"loss": 0.5})

    trials = sorted(Search(store, of, work, threading.Event()).run(), key=lambda trial: trial.tid)
    assert [trial.status for trial in trials] == [
        Status.ERROR if tid % 2 else Status.DONE for tid in range(5)
    ]
    assert {(trial.error or {}).get("message") for trial in trials} == {
        None,
        "every worker here failed at it, the last with: no memory",
    }
