"""The dashboard: what it reads from a real store, what it shows, and to whom."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from typing import Any, Iterator
from urllib.parse import urlencode

import pymongo
import pytest
from support.clients import at_once
from support.home import until
from support.live import fleet_of, study_of
from support.printed import plain

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.live.answers import Answers
from hyperhive.coordinator.live.readings import REFRESH_S, Readings
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.dashboard_page import DashboardOptions, serving
from hyperhive.coordinator.views.fleet import COMPARE_EVERY_S, Fleet, FleetReader
from hyperhive.coordinator.views.study_state import Snapshot, StudyState
from hyperhive.coordinator.views.terminal import panel
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.errors import NotFound
from hyperhive.store.server.client import with_login
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, REFIT, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.web.site import Site

SCRIPT = "<script>alert(1)"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def opened(store: Store, name: str, trials: int = 9) -> None:
    store.studies.open(name, {"trials": trials})


def config(tid: int) -> dict[str, Any]:
    return {"learning_rate": 0.01 * (tid + 1), "momentum": 0.5, "epochs": 7}


def posted(store: Store, study: str, *tids: int, **fields: Any) -> None:
    for tid in tids:
        store.queue.post(Draft(study, tid, config(tid), {}, **{"objective": "lenet5", **fields}))


def taken(store: Store, worker: str = "mac-1", lease: float = 60.0) -> Trial:
    trial = store.queue.claim(worker, new_token(), ["lenet5"], lease=lease)
    assert trial is not None
    return trial


def finished(store: Store, trial: Trial, accuracy: Any, **result: Any) -> bool:
    found = {"loss": 0.5, "validation_accuracy": accuracy, **result}
    if isinstance(accuracy, float):
        found["loss"] = 1 - accuracy
    return store.queue.finish(trial.id, str(trial.token), found)


def done(store: Store, study: str, accuracies: list[Any], purpose: str = "search") -> None:
    """Post trials and finish them with these accuracies."""
    for tid, accuracy in enumerate(accuracies):
        posted(store, study, tid, purpose=purpose)
        finished(store, taken(store), accuracy)


def states(fleet: Fleet) -> dict[str, list[str]]:
    """Return the purpose, tid and status of a fleet's trials, by study."""
    return {
        study.name: [f"{t.purpose}/{t.tid} {t.status.name}" for t in study.trials]
        for study in fleet.studies
    }


# -- reading ------------------------------------------------------------------------------------


def test_a_reading_sees_what_changed_since_the_last(store: Store) -> None:
    """Trials posted, claimed, given back or ended between two readings are seen by the next."""
    reader = FleetReader(store)
    assert reader.read().studies == ()
    opened(store, "s")
    posted(store, "s", 0, 1)
    assert states(reader.read()) == {"s": ["search/0 NEW", "search/1 NEW"]}
    first = taken(store)
    assert states(reader.read()) == {"s": ["search/0 RUNNING", "search/1 NEW"]}
    store.queue.heartbeat(first, {"epoch": 3, "epochs": 9})
    assert reader.read().held["mac-1"].progress == {"epoch": 3, "epochs": 9}
    finished(store, first, 0.5)
    store.queue.fail(taken(store), ErrorKind.BAD_PAYLOAD, "no")
    posted(store, "s", 2)
    finished(store, taken(store), 0.6)
    assert states(reader.read()) == {"s": ["search/0 DONE", "search/1 ERROR", "search/2 DONE"]}


def test_the_last_trials_of_a_study_that_ended_are_seen(store: Store) -> None:
    """Also trials that nobody saw running, of every purpose; and again after its budget grew."""
    reader = FleetReader(store)
    opened(store, "s")
    done(store, "s", [0.4], BASELINE)
    reader.read()
    done(store, "s", [0.5, 0.6])
    posted(store, "s", 1, purpose=REFIT)
    finished(store, taken(store), None)
    store.studies.conclude("s", {"card": {"test_accuracy": 0.7}})
    fleet = reader.read()
    assert states(fleet) == {
        "s": ["baseline/0 DONE", "search/0 DONE", "search/1 DONE", "refit/1 DONE"]
    }
    assert (fleet.studies[0].is_open, fleet.studies[0].test_accuracy) == (False, 0.7)
    assert reader.read() == fleet
    store.studies.extend("s", {"trials": 12})
    posted(store, "s", 2)
    (study,) = reader.read().studies
    assert (study.is_open, study.budget, len(study.trials)) == (True, 12, 5)


def test_a_deleted_study_leaves_nothing(store: Store) -> None:
    """A study with the name of a deleted one has only its own trials."""
    reader = FleetReader(store)
    opened(store, "s")
    done(store, "s", [0.5, 0.6])
    reader.read()
    store.delete_study("s")
    opened(store, "s")
    posted(store, "s", 0)
    assert states(reader.read()) == {"s": ["search/0 NEW"]}
    store.delete_study("s")
    assert reader.read().studies == ()


def test_changes_of_finished_trials_are_seen_within_a_minute(store: Store) -> None:
    """A late result, the result of a worker that was given up, and trials that are gone."""
    clock = Clock()
    reader = FleetReader(store, clock=clock)
    opened(store, "s")
    posted(store, "s", 0, 1, 2, max_attempts=1)
    late, lost, _ = (taken(store, lease=0.0) for _ in range(3))
    store.queue.expire()
    finished(store, late, 0.5)
    assert [trial.status for trial in reader.read().studies[0].trials] == [
        Status.DONE,
        Status.ERROR,
        Status.ERROR,
    ]
    finished(store, lost, 0.6)
    store.client.hyperhive.jobs.delete_one({"tid": 2})
    assert states(reader.read()) == {"s": ["search/0 DONE", "search/1 ERROR", "search/2 ERROR"]}
    clock.now = COMPARE_EVERY_S
    assert states(reader.read()) == {"s": ["search/0 DONE", "search/1 DONE"]}


def test_of_a_large_study_only_what_changed_is_read(store: Store, admin_uri: str) -> None:
    """After the first reading, the server looks at and returns a few documents, not thousands."""
    opened(store, "s", 5000)
    posted(store, "s", 0)
    jobs = store.client.hyperhive.jobs
    finished(store, taken(store), 0.5, history=[{"epoch": n} for n in range(100)])
    document = jobs.find_one()
    jobs.insert_many([{**document, "_id": n, "tid": n} for n in range(1, 3000)])
    posted(store, "s", *range(3000, 3004))
    taken(store)
    clock = Clock()
    reader = FleetReader(store, clock=clock)
    with pymongo.MongoClient(admin_uri) as admin:

        def cost() -> list[int]:
            """Return the numbers of keys and documents scanned, and of documents returned."""
            metrics = admin.admin.command("serverStatus")["metrics"]
            scanned = metrics["queryExecutor"]
            return [scanned["scanned"], scanned["scannedObjects"], metrics["document"]["returned"]]

        def cost_of_a_reading() -> list[int]:
            before = cost()
            assert len(reader.read().studies[0].trials) == 3004
            return [after - earlier for earlier, after in zip(before, cost())]

        assert cost_of_a_reading()[2] > 3000
        assert max(cost_of_a_reading()) < 40
    assert reader.read().studies[0].trials[0].result["history"] == [{"epoch": 99}]


def test_a_viewer_needs_no_more_than_to_find(store: Store, admin_uri: str) -> None:
    """A user with the right to find in three collections sees the whole fleet."""
    opened(store, "s")
    done(store, "s", [0.5])
    store.workers.report("mac-1", None, "mps", {}, None)
    with viewer_of(admin_uri) as uri, Store(uri) as viewer:
        fleet = FleetReader(viewer).read()
        assert (len(fleet.studies[0].trials), len(fleet.workers)) == (1, 1)


@contextlib.contextmanager
def viewer_of(admin_uri: str) -> Iterator[str]:
    """Give the URI of a user with no right but to find what the dashboard shows."""
    rights = [
        {"resource": {"db": "hyperhive", "collection": name}, "actions": ["find"]}
        for name in ("jobs", "studies", "workers")
    ]
    with pymongo.MongoClient(admin_uri) as admin:
        database = admin.hyperhive
        database.command("createRole", "looker", privileges=rights, roles=[])
        database.command("createUser", "looker", pwd="sesame-open-up", roles=["looker"])
        try:
            yield with_login(admin_uri, "looker", "sesame-open-up")
        finally:
            database.command("dropUser", "looker")
            database.command("dropRole", "looker")


# -- what it says -------------------------------------------------------------------------------


def test_the_time_left_depends_on_the_trials_that_run(store: Store) -> None:
    """Two of six took 10 s each: two workers need 20 s more, and the refit one trial's time.

    A pause does not count.
    """
    opened(store, "s", 6)
    done(store, "s", [0.5, 0.6])
    took = {"$add": ["$book_time", 10_000]}
    jobs = store.client.hyperhive.jobs
    jobs.update_many({}, [{"$set": {"refresh_time": took}}])

    def left() -> float | None:
        return FleetReader(store).read().studies[0].seconds_left()

    assert left() is None  # nobody works
    posted(store, "s", 2, 3)
    taken(store, "a")
    taken(store, "b")
    assert left() == pytest.approx(30.0)
    store.studies.plan_refit("s", False)
    assert left() == pytest.approx(20.0)
    store.cancel_study("s")
    assert left() is None


def test_terminal_and_dashboard_show_the_same_time_left(store: Store) -> None:
    """Both read one store: its trials took 10 s and 40 s, and two of unlike workers run.

    The refit of the better one, on a quarter more images, takes 50 s.
    """
    study = Study(Plan("s", DatasetRequest("digits"), trials=5), "hash", {})
    store.studies.open("s", study.spec())
    done(store, "s", [0.5, 0.6])
    took = {"$add": ["$book_time", {"$cond": [{"$eq": ["$tid", 0]}, 10_000, 40_000]}]}
    store.client.hyperhive.jobs.update_many({}, [{"$set": {"refresh_time": took}}])
    posted(store, "s", 2, 3)
    taken(store, "mac")
    taken(store, "nano")
    snapshots: list[Snapshot] = []
    stop = threading.Event()
    search = Search(store, study, lambda seen: stop.set() or snapshots.append(seen), stop)
    with pytest.raises(Interrupted):
        search.run()
    shown = plain(panel(snapshots[-1]))
    (page,) = fleet_of(store)["studies"]
    assert page["left"] == "about 2 min left"
    assert page["left"] in shown
    assert page["counts"] == "2 of 5 done, 2 running, 1 waiting, 0 failed"
    assert page["counts"] in shown


def test_the_time_left_is_right_for_unlike_workers(store: Store) -> None:
    """Ten trials of 1 s and one of 10 s took two workers 10 s: eleven more take 10 s again."""
    opened(store, "s", 22)
    store.studies.plan_refit("s", False)
    posted(store, "s", *range(11))
    for tid in range(11):
        finished(store, taken(store, "mac" if tid else "nano"), 0.5)
    took = {"$add": ["$book_time", {"$cond": [{"$eq": ["$tid", 0]}, 10_000, 1_000]}]}
    store.client.hyperhive.jobs.update_many({}, [{"$set": {"refresh_time": took}}])
    posted(store, "s", 11, 12)
    taken(store, "mac")
    taken(store, "nano")
    assert FleetReader(store).read().studies[0].seconds_left() == pytest.approx(10.0)


def test_the_page_shows_studies_trials_and_workers(store: Store) -> None:
    """What status shows, the newest open study, and the figures of the one asked for."""
    opened(store, "ended")
    store.studies.conclude("ended", {"card": {"test_accuracy": 0.721}})
    opened(store, SCRIPT, 8)
    done(store, SCRIPT, [0.25, 0.5, 0.4])
    posted(store, SCRIPT, 3, 4, 5)
    store.queue.fail(taken(store), ErrorKind.BAD_PAYLOAD, "<b>no</b>")
    taken(store, "nano", lease=0.0)
    held = taken(store, "mac")
    store.queue.heartbeat(held, {"epoch": 3, "epochs": 7, "validation_accuracy": 0.612}, 60)
    store.workers.report("mac", None, "mps (Apple M2)", {}, held.label, undelivered=2)
    fleet = fleet_of(store)
    assert [(each["name"], each["state"]) for each in fleet["studies"]] == [
        (SCRIPT, ""),
        ("ended", "ended"),
    ]
    assert fleet["newest"] == SCRIPT
    assert fleet["studies"][0]["counts"] == "3 of 8 done, 1 running, 1 waiting, 1 failed"
    assert fleet["studies"][0]["best"] == "best 50.0 %"
    (worker,) = fleet["workers"]
    assert worker["does"] == SCRIPT + (
        ", trial 4: epoch 3 of 7, 61.2 %; results that wait on its device: 2"
    )
    assert (worker["name"], worker["device"], worker["trial"]) == ("mac", "mps (Apple M2)", "4")
    assert worker["state"] == "working"
    assert fleet["incidents"] == [
        SCRIPT + ": 1 trial failed (the last error: <b>no</b>)",
        SCRIPT + ": taken again after a worker was lost or stopped, or an attempt failed: trial 4",
    ]
    study = study_of(store, SCRIPT)
    assert study["trials"]["tid"] == [0, 1, 2, 3, 4, 5]
    assert study["trials"]["value"][:4] == [0.25, 0.5, 0.4, None]
    assert study["trials"]["note"][3] == "failed (<b>no</b>)"
    assert (study["best"], study["progress"]["best"]) == (1, [0.25, 0.5, 0.5])
    (runs,) = study["running"]
    assert (runs["key"], runs["worker"], runs["points"]) == ("4", "mac", [[3, 0.612]])
    assert study_of(store, "no such study") is None


def test_a_worker_is_lost_when_its_trial_is(store: Store) -> None:
    """At the end of its lease, when another worker has its trial, and after a long silence."""
    opened(store, "s")
    posted(store, "s", 0)
    held = taken(store, "killed", lease=60.0)
    store.workers.report("killed", None, "cpu", {}, held.label)

    def killed() -> str:
        (found,) = (each for each in fleet_of(store)["workers"] if each["name"] == "killed")
        return f"{found['state']}: {found['does'].partition(':')[0]}"

    assert killed() == "working: s, trial 0"
    over = {"$set": {"lease_until": {"$subtract": ["$$NOW", 1]}}}
    store.database["jobs"].update_one({"tid": 0}, [over])
    assert killed() == "lost: lost"
    taken(store, "other")
    assert killed() == "lost: lost"
    store.workers.report("killed", None, "cpu", {}, None)
    assert killed() == "idle: idle"
    silent = {"$set": {"last_seen": {"$subtract": ["$$NOW", 300_000]}}}
    store.database["workers"].update_many({}, [silent])
    assert killed() == "lost: lost"
    (worker,) = fleet_of(store)["workers"]
    assert worker["heard"] == "last heard of 5 min ago"


def test_a_fleet_without_studies_or_workers_says_so(store: Store) -> None:
    """An empty store has nothing to show; an open study without workers says what to do."""
    assert fleet_of(store)["newest"] is None
    opened(store, "s")
    assert fleet_of(store)["waiting"].startswith("no worker yet: run `hyperhive worker`")


@pytest.mark.parametrize("accuracy", ["0.9", float("nan"), float("inf"), -1e300, True, [], {}])
def test_what_a_worker_invents_does_no_harm(store: Store, accuracy: Any) -> None:
    """Results and progress of any type, and texts of any length, do not break the page."""
    opened(store, "s")
    done(store, "s", [0.5, accuracy])
    posted(store, "s", 2, 3)
    store.queue.heartbeat(
        taken(store), {"epoch": accuracy, "epochs": accuracy, "validation_accuracy": accuracy}
    )
    store.queue.fail(taken(store), ErrorKind.BAD_PAYLOAD, "x" * 100_000)
    jobs = store.client.hyperhive.jobs
    jobs.update_one({"tid": 1}, {"$set": {"config.epochs": accuracy, "curve": accuracy}})
    jobs.update_one({"tid": 2}, {"$set": {"curve": [accuracy, {"epoch": accuracy}]}})
    store.workers.report("w" * 100_000, None, "d" * 100_000, {}, None)
    answers = Answers(store, Readings(FleetReader(store)))
    assert len(answers.fleet()) < 5_000
    assert len(answers.figures("s", None)) < 20_000
    for key in ("1", "2", "3"):
        page = answers.trial("s", key)
        assert page is not None
        assert len(page) < 20_000


# -- what changed -------------------------------------------------------------------------------


def test_a_viewer_gets_what_changed_since_its_revision(store: Store) -> None:
    """The rows of the trials that changed, their spans, and the figures that are not as before."""
    opened(store, "s")
    posted(store, "s", 0, 1, 2)
    finished(store, taken(store), 0.5)
    held = taken(store)
    clock = Clock()
    answers = Answers(store, Readings(FleetReader(store), clock), clock)

    def asked(since: int | None) -> Any:
        return json.loads(answers.figures("s", since))

    first = asked(None)
    assert (first["whole"], first["study"]["trials"]["tid"]) == (True, [0, 1, 2])
    clock.now += REFRESH_S
    assert "trials" not in asked(first["revision"])["study"]
    store.queue.heartbeat(held, {"epoch": 1, "epochs": 7, "validation_accuracy": 0.4})
    finished(store, held, 0.75)
    clock.now += REFRESH_S
    then = asked(first["revision"])
    study = then["study"]
    assert (then["whole"], study["trials"]["tid"], study["best"]) == (False, [1], 1)
    assert [span[3] for span in study["timeline"]["spans"]] == [1]
    assert {"parameters", "metric", "study_file"}.isdisjoint(study)
    assert asked(then["revision"])["study"].get("trials") is None
    assert asked(first["revision"] - 1)["whole"] is True
    store.delete_study("s")
    opened(store, "s")
    posted(store, "s", 0)
    clock.now += REFRESH_S
    again = asked(then["revision"])
    assert (again["whole"], again["study"]["trials"]["status"]) == (True, [0])


def test_a_note_alone_is_news(store: Store) -> None:
    """On the study, and in the row of its trial, which has not changed; also when it is removed."""
    opened(store, "s")
    posted(store, "s", 0)
    clock = Clock()
    answers = Answers(store, Readings(FleetReader(store), clock), clock)
    asked = json.loads(answers.figures("s", None))
    for notes in (["slow"], []):
        if notes:
            store.notes.add("s", "abcdefgh", "slow", "anna", 0)
        else:
            store.notes.remove("s", "abcdefgh")
        clock.now += REFRESH_S
        asked = json.loads(answers.figures("s", asked["revision"]))
        assert [each["text"] for each in asked["study"]["notes"]] == notes
        assert asked["study"]["trials"]["note"] == (notes or [None])


def test_a_trials_page_tells_how_it_went(store: Store) -> None:
    """Its values, its curve, who had it, and what it reported, in the words of a worker's log."""
    opened(store, "s")
    posted(store, "s", 0)
    store.queue.give_back(taken(store, "first"))
    held = taken(store, "second")
    store.workers.report("second", None, "cuda (Orin)", {}, held.label)
    store.queue.heartbeat(held, {"epoch": 1, "epochs": 7, "validation_accuracy": 0.25})
    answers = Answers(store, Readings(FleetReader(store)))

    def page() -> Any:
        found = Answers(store, Readings(FleetReader(store))).trial("s", "0")
        return json.loads(found or b"")

    runs = page()
    assert (runs["title"], runs["does"]) == ("s, trial 0", "runs: epoch 1 of 7, 25.0 %")
    assert runs["series"] == [{"name": "validation accuracy", "points": [[1, 0.25]]}]
    attempts = [(each["worker"], each["how"]) for each in runs["attempts"]]
    assert attempts == [("first", "its worker handed it back"), ("second", None)]
    history = [{"number": 1, "validation_accuracy": 0.25}, {"number": 2, "train_loss": 0.5}]
    finished(store, held, 0.5, history=history)
    ended = page()
    assert (ended["does"], ended["worker"], ended["device"]) == ("50.0 %", "second", "cuda (Orin)")
    assert ["learning_rate", "0.01"] in ended["config"]
    said = [line["text"] for line in ended["lines"]]
    assert said[-3:] == ["epoch 1, validation accuracy 0.25", "epoch 2, train loss 0.5", "50.0 %"]
    for key in ("1", "refit/0", "x", ""):
        assert answers.trial("s", key) is None
    assert answers.trial("no such study", "0") is None


# -- to whom, and how often ---------------------------------------------------------------------


class Counting(FleetReader):
    """Counts its readings; each waits for ``gate``."""

    def __init__(self, store: Store, only: str | None = None) -> None:
        super().__init__(store, only)
        self.readings = 0
        self.gate = threading.Event()
        self.gate.set()

    def read(self) -> Fleet:
        """Count, wait, and read."""
        self.readings += 1
        assert self.gate.wait(30)
        return super().read()


def test_the_store_is_read_once_for_all_viewers_and_only_when_asked(store: Store) -> None:
    """Eight viewers at once cause one reading and one rendering; the next comes when one asks."""
    opened(store, "s")
    done(store, "s", [0.5])
    reader, clock = Counting(store), Clock()
    answers = Answers(store, Readings(reader, clock), clock)
    found = at_once(*[lambda: answers.figures("s", None)] * 8)
    assert (len({id(each) for each in found}), reader.readings) == (1, 1)
    clock.now += 10 * REFRESH_S
    assert reader.readings == 1
    at_once(*[answers.fleet] * 8)
    assert reader.readings == 2


def test_nobody_waits_for_a_reading_that_another_began(store: Store) -> None:
    """While the store is slow, the other viewers get the last reading."""
    reader, clock = Counting(store), Clock()
    readings = Readings(reader, clock)
    before = readings.newest()
    clock.now = 5.0
    reader.gate.clear()
    slow = threading.Thread(target=readings.newest)
    slow.start()
    until(lambda: reader.readings == 2, "the second reading")
    assert readings.newest() is before
    reader.gate.set()
    slow.join()
    assert readings.newest() is not before
    assert reader.readings == 2


def test_figures_that_take_long_are_made_less_often(store: Store) -> None:
    """A study whose figures took a second rests for five: the event's revision is newer then."""
    opened(store, "s")
    posted(store, "s", 0)
    readings = Readings(FleetReader(store), Clock())
    ticks = iter([0.0, 1.0, 5.9, 6.1, 6.2])
    answers = Answers(store, readings, lambda: next(ticks))
    first = json.loads(answers.figures("s", None))
    finished(store, taken(store), 0.5)
    readings.read()
    assert json.loads(answers.figures("s", first["revision"]))["revision"] == first["revision"]
    then = json.loads(answers.figures("s", first["revision"]))
    assert (then["revision"], then["study"]["best"]) == (answers.event()["revision"], 0)


def test_a_problem_is_shown_with_the_last_reading(store: Store, admin_uri: str) -> None:
    """Rights that are taken away while a page is open: it says so, and what was read stays."""
    opened(store, "s")
    clock = Clock()
    with viewer_of(admin_uri) as uri, Store(uri) as viewer, pymongo.MongoClient(admin_uri) as admin:
        answers = Answers(viewer, Readings(FleetReader(viewer), clock))
        before = json.loads(answers.fleet())
        admin.hyperhive.command("revokeRolesFromUser", "looker", roles=["looker"])
        clock.now = 4.0
        answer = json.loads(answers.fleet())
        assert "says this user may not do that" in answer["problem"]
        assert (answer["fleet"], answer["at"]) == (before["fleet"], before["at"])
        assert answer["revision"] > before["revision"]
        admin.hyperhive.command("grantRolesToUser", "looker", roles=["looker"])
        clock.now = 8.0
        assert json.loads(answers.fleet())["problem"] is None


def test_one_study_alone(store: Store) -> None:
    """``--study`` shows one study and the workers that would take its trials."""
    opened(store, "s")
    opened(store, "t")
    store.workers.report("both", None, "cpu", {}, None)
    store.workers.report("other", "t", "cpu", {}, None)
    fleet = json.loads(Answers(store, Readings(FleetReader(store, "s"))).fleet())["fleet"]
    assert [each["name"] for each in fleet["studies"]] == ["s"]
    assert [each["name"] for each in fleet["workers"]] == ["both"]
    with pytest.raises(NotFound, match=r"there is no study 'u' on .*: its studies are s, t"):
        Readings(FleetReader(store, "u")).read()


def test_only_a_server_that_is_away_is_waited_for(store: Store) -> None:
    """The console and the page say that a server is away; a missing study ends the command."""
    said: list[str] = []
    with Store("mongodb://127.0.0.1:1/", 0.5) as away, serving(away, served(), said.append) as site:
        assert "the page goes on when it is back" in said[0]
        answer = json.loads(ask(site, "/fleet.json")[1])
        assert "127.0.0.1:1/hyperhive does not answer" in answer["problem"]
        assert (answer["fleet"], answer["at"]) == (None, None)
    with pytest.raises(NotFound, match="it has none"), serving(
        store, DashboardOptions("s", "127.0.0.1", 0, None), said.append
    ):
        pass


def served(host: str = "127.0.0.1", port: int = 0, secret: str | None = None) -> DashboardOptions:
    return DashboardOptions(None, host, port, secret)


def ask(site: Site, path: str, method: str = "GET", **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def test_the_page_answers_and_changes_nothing(store: Store) -> None:
    """Each address that the page uses; unknown ones, POST and other hosts are refused."""
    opened(store, SCRIPT)
    posted(store, SCRIPT, 0)
    asked = urlencode({"study": SCRIPT, "trial": 0})
    with serving(store, served(), lambda line: None) as site:
        paths = ("/", "/page.css", "/page.js", "/figures/figures.js", "/fleet.json")
        for path in (*paths, f"/figures.json?{asked}", f"/trial.json?{asked}"):
            status, body, headers = ask(site, path)
            assert (status, bool(body)) == (200, True)
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert ask(site, "/trial.json?study=s&trial=1")[0] == 404
        assert ask(site, "/fleet.json", "POST")[0] in (403, 405)
        assert ask(site, "/", Host="evil.example")[0] == 421


def test_a_secret_that_the_user_chose_is_not_printed(store: Store) -> None:
    """A new one is: it is known from nowhere else."""
    for given in (None, "a-secret-of-ones-own"):
        said: list[str] = []
        with serving(store, served("0.0.0.0", secret=given), said.append) as site:
            assert (str(site.key) in said[0]) == (given is None)


@pytest.mark.parametrize("secret", ["", "short", "fifteen-letters", "with/slashes/in/it", "ä" * 20])
def test_an_unusable_secret_is_refused(secret: str) -> None:
    """It must be long, and need no quoting in an address."""
    with pytest.raises(UsageError, match="must be 16 to 200 letters") as error:
        served(secret=secret)
    assert not secret or secret not in str(error.value)


def test_an_address_in_use_is_refused(store: Store) -> None:
    """A port in use, and a host that is not this machine, each end in one sentence."""
    with serving(store, served(), lambda line: None) as site:
        for host in ("127.0.0.1", "192.0.2.1", "no.such.host.invalid"):
            taken_options = served(host, site.port)
            with pytest.raises(UsageError, match=r"served on .*--host and --port"), serving(
                store, taken_options, lambda line: None
            ):
                pass


def test_an_impossible_name_of_a_study_does_no_harm(store: Store) -> None:
    """A name that was written by hand is shown as it is, and does not hide other studies."""
    for name in ("s", "</script>", ""):
        opened(store, name)
        done(store, name, [0.5])
    studies = fleet_of(store)["studies"]
    assert [each["name"] for each in studies] == ["", "</script>", "s"]
    assert studies[2]["counts"].startswith("1 of 9 done")


def test_an_unchanged_study_is_not_ranked_again(store: Store) -> None:
    """Two readings without a change give the same object, which keeps what it computed."""
    opened(store, "s")
    done(store, "s", [0.5])
    reader = FleetReader(store)
    (before,), (after,) = reader.read().studies, reader.read().studies
    assert isinstance(before, StudyState)
    assert before is after
