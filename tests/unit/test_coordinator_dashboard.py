"""The dashboard: what it reads from a real store, what it shows, and to whom."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from typing import Any, Iterator
from urllib.parse import quote, urlsplit

import pymongo
import pytest
from hyperhive.coordinator.views.dashboard import REFRESH_S, Dashboard
from support.clients import at_once
from support.home import until
from support.printed import plain

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.search import Interrupted, Search
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.dashboard_page import DashboardOptions, listen, read_first
from hyperhive.coordinator.views.fleet import COMPARE_EVERY_S, Fleet, FleetReader
from hyperhive.coordinator.views.study_state import Snapshot, StudyState
from hyperhive.coordinator.views.terminal import panel
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.store.errors import NotAllowed, NotFound
from hyperhive.store.server.client import with_login
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, REFIT, ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token
from hyperhive.web.server import PageServer

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


def looked(dashboard: Dashboard, study: str | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(dashboard.look(study))
    return answer


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
    page = looked(Dashboard(FleetReader(store)))["fleet"]["study"]
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
    """What status shows, and the details of the newest open study or of the one asked for."""
    opened(store, "ended")
    store.studies.conclude("ended", {"card": {"test_accuracy": 0.721}})
    opened(store, SCRIPT, 8)
    done(store, SCRIPT, [0.11, 0.3], BASELINE)
    done(store, SCRIPT, [0.25, 0.5, 0.4])
    posted(store, SCRIPT, 3)
    finished(store, taken(store), 0.1, diverged=True)
    posted(store, SCRIPT, 4, 5, 6)
    store.queue.fail(taken(store), ErrorKind.BAD_PAYLOAD, "<b>no</b>")
    taken(store, "nano", lease=0.0)
    store.queue.heartbeat(
        taken(store, "mac"), {"epoch": 3, "epochs": 7, "validation_accuracy": 0.612}, 60
    )
    store.workers.report("mac", None, "mps (Apple M2)", {}, None, undelivered=2)
    answer = looked(Dashboard(FleetReader(store)))
    assert (answer["problem"], answer["age"] < 60) == (None, True)
    fleet = answer["fleet"]
    assert [(each["name"], each["state"]) for each in fleet["studies"]] == [
        (SCRIPT, ""),
        ("ended", "ended"),
    ]
    study = fleet["study"]
    assert study["counts"] == "4 of 8 done, 1 running, 1 waiting, 1 failed"
    assert study["best"] == {
        "trial": 1,
        "outcome": "50.0 %",
        "hyperparameters": "learning rate 0.02, momentum 0.5, epochs 7",
        "named": "trial 1: learning rate 0.02, momentum 0.5, epochs 7",
    }
    assert (study["ended"], study["untuned"], study["usual"]) == (5, "11.0 %", "30.0 %")
    assert study["failures"] == ["trial 4: failed (<b>no</b>)"]
    assert [row["trial"] for row in study["top"]] == [1, 2, 0]
    chart = study["chart"]
    assert chart["points"] == [[0, 0.25], [1, 0.5], [2, 0.4]]
    assert (chart["best"], chart["bad"]) == ([1, 0.5], [3, 4])
    assert (chart["untuned"], chart["usual"]) == (0.11, 0.3)
    assert chart["text"] == (
        "Validation accuracy by trial: 3 measured, from 25.0 % to 50.0 %. The best is trial 1: "
        "50.0 %. Untuned: 11.0 %. Usual settings: 30.0 %. 2 diverged or failed."
    )
    (worker,) = fleet["workers"]
    assert worker["does"] == SCRIPT + (
        ", trial 5: epoch 3 of 7, 61.2 %; results that wait on its device: 2"
    )
    assert (worker["name"], worker["device"]) == ("mac", "mps (Apple M2)")
    assert worker["heard"].startswith("last heard of ")
    assert fleet["incidents"] == [
        SCRIPT + ": 1 trial failed (the last error: <b>no</b>)",
        SCRIPT + ": taken again after a worker was lost or stopped, or an attempt failed: trial 5",
    ]
    other = looked(Dashboard(FleetReader(store)), "ended")["fleet"]["study"]
    assert (other["name"], other["test"], other["best"]) == ("ended", "72.1 %", None)


def test_a_fleet_without_studies_or_workers_says_so(store: Store) -> None:
    """An empty store has nothing to show; an open study without workers says what to do."""
    assert looked(Dashboard(FleetReader(store)))["fleet"]["study"] is None
    opened(store, "s")
    fleet = looked(Dashboard(FleetReader(store)))["fleet"]
    assert fleet["waiting"].startswith("no worker yet: run `hyperhive worker`")
    store.workers.report("mac", None, "mps", {}, None)
    store.client.hyperhive.workers.update_many(
        {}, [{"$set": {"last_seen": {"$subtract": ["$$NOW", 300_000]}}}]
    )
    fleet = looked(Dashboard(FleetReader(store)))["fleet"]
    assert fleet["waiting"].startswith("all workers are gone: run")
    assert fleet["workers"][0]["does"] == "silent: killed, asleep or cut off"
    assert fleet["workers"][0]["heard"] == "last heard of 5 min ago"


@pytest.mark.parametrize("accuracy", ["0.9", float("nan"), float("inf"), -1e300, 7, True, [], {}])
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
    jobs.update_one({"tid": 1}, {"$set": {"config.epochs": accuracy}})
    store.workers.report("w" * 100_000, None, "d" * 100_000, {}, None)
    answer = Dashboard(FleetReader(store)).look()
    chart = json.loads(answer)["fleet"]["study"]["chart"]
    assert chart["points"] == [[0, 0.5]]
    assert len(answer) < 10_000


def test_the_points_of_a_large_study_stand_for_several(store: Store) -> None:
    """A chart has at most 400 points; each is the best of the trials that it stands for."""
    opened(store, "s", 1000)
    done(store, "s", [0.5])
    document = store.client.hyperhive.jobs.find_one()
    store.client.hyperhive.jobs.insert_many(
        {
            **document,
            "_id": tid,
            "tid": tid,
            "result": {"loss": 1 - tid / 1000, "validation_accuracy": tid / 1000},
        }
        for tid in range(1, 900)
    )
    chart = looked(Dashboard(FleetReader(store)))["fleet"]["study"]["chart"]
    assert (chart["together"], len(chart["points"]), chart["last"]) == (3, 300, 999)
    assert chart["points"][1] == [5, 0.005]
    assert chart["points"][-1] == chart["best"] == [899, 0.899]


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
    """Eight viewers at once cause one reading; the next comes only when somebody asks later."""
    reader, clock = Counting(store), Clock()
    dashboard = Dashboard(reader, clock)
    answers = at_once(*[dashboard.look] * 8)
    assert (len(set(answers)), reader.readings) == (1, 1)
    clock.now += 10 * REFRESH_S
    assert reader.readings == 1
    at_once(*[dashboard.look] * 8)
    assert reader.readings == 2


def test_nobody_waits_for_a_reading_that_another_began(store: Store) -> None:
    """While the store is slow, the other viewers get the last reading, with its age."""
    reader, clock = Counting(store), Clock()
    dashboard = Dashboard(reader, clock)
    dashboard.look()
    clock.now = 5.0
    reader.gate.clear()
    slow = threading.Thread(target=dashboard.look)
    slow.start()
    until(lambda: reader.readings == 2, "the second reading")
    assert looked(dashboard)["age"] == 5.0
    reader.gate.set()
    slow.join()
    assert (looked(dashboard)["age"], reader.readings) == (0.0, 2)


def test_a_problem_is_shown_with_the_last_reading(store: Store, admin_uri: str) -> None:
    """A viewer who loses the rights sees why, and the last reading; with the rights it goes on."""
    opened(store, "s")
    clock = Clock()
    with viewer_of(admin_uri) as uri, Store(uri) as viewer, pymongo.MongoClient(admin_uri) as admin:
        dashboard = Dashboard(FleetReader(viewer), clock)
        assert looked(dashboard)["problem"] is None
        admin.hyperhive.command("revokeRolesFromUser", "looker", roles=["looker"])
        clock.now = 4.0
        answer = looked(dashboard)
        assert "says this user may not do that" in answer["problem"]
        assert (answer["age"], answer["fleet"]["study"]["name"]) == (4.0, "s")
        with pytest.raises(NotAllowed):
            dashboard.read()
        admin.hyperhive.command("grantRolesToUser", "looker", roles=["looker"])
        clock.now = 8.0
        answer = looked(dashboard)
        assert (answer["problem"], answer["age"]) == (None, 0.0)


def test_one_study_alone(store: Store) -> None:
    """``--study`` shows one study and the workers that would take its trials."""
    opened(store, "s")
    opened(store, "t")
    store.workers.report("both", None, "cpu", {}, None)
    store.workers.report("other", "t", "cpu", {}, None)
    fleet = looked(Dashboard(FleetReader(store, "s")), "t")["fleet"]
    assert [each["name"] for each in fleet["studies"]] == ["s"]
    assert [each["name"] for each in fleet["workers"]] == ["both"]
    with pytest.raises(NotFound, match=r"there is no study 'u' on .*: its studies are s, t"):
        Dashboard(FleetReader(store, "u")).read()


def test_only_a_server_that_is_away_is_waited_for(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """The console and the page say that a server is away; a missing study ends the command."""
    with Store("mongodb://127.0.0.1:1/", 0.5) as away:
        dashboard = Dashboard(FleetReader(away))
        read_first(dashboard, print)
        assert "the page goes on when it is back" in " ".join(capsys.readouterr().out.split())
        answer = looked(dashboard)
    assert "127.0.0.1:1/hyperhive does not answer" in answer["problem"]
    assert answer["fleet"] is None
    with pytest.raises(NotFound, match="it has none"):
        read_first(Dashboard(FleetReader(store, "s")), print)


def served(host: str = "127.0.0.1", port: int = 0, secret: str | None = None) -> DashboardOptions:
    return DashboardOptions(None, host, port, secret)


def ask(page: PageServer, path: str, method: str = "GET", **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", page.server_address[1], timeout=20)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers


def test_the_page_on_loopback_needs_no_secret_and_only_gets(store: Store) -> None:
    """GET returns page and state; other methods do nothing, and other sites see nothing."""
    opened(store, SCRIPT)
    page = listen(Dashboard(FleetReader(store)), served())
    with page.running():
        assert page.url == f"http://127.0.0.1:{page.server_address[1]}/"
        for path in ("/", "/page.css", "/page.js", "/fleet.json?study=" + quote(SCRIPT)):
            status, body, headers = ask(page, path)
            assert (status, bool(body)) == (200, True)
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
            assert b"//cdn" not in body
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            status, _, headers = ask(page, "/fleet.json", method)
            assert status == 501
            assert headers["X-Content-Type-Options"] == "nosniff"
        assert ask(page, "/", Host="evil.example")[0] == 421
        assert ask(page, "//[")[0] == 404


def test_beyond_loopback_the_address_holds_a_secret(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is new each time, or the given one; without it the answer is 404 with an explanation."""
    shown = Dashboard(FleetReader(store))
    for given in (None, None, "a-secret-of-ones-own"):
        page = listen(shown, served("0.0.0.0", secret=given))
        with page.running():
            secret = urlsplit(page.url).path
            assert given in (None, secret.strip("/"))
            assert len(secret) >= 18
            assert ask(page, secret, Host="pc.local")[0] == 200
            assert ask(page, secret + "fleet.json")[0] == 200
            for wrong in ("/", "/fleet.json", secret[:-1], secret[:-2] + "/"):
                status, body, _ = ask(page, wrong)
                assert (status, b"hyperhive dashboard printed" in body) == (404, True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("secret", ["", "short", "fifteen-letters", "with/slashes/in/it", "ä" * 20])
def test_an_unusable_secret_is_refused(secret: str) -> None:
    """It must be long, and need no quoting in an address."""
    with pytest.raises(UsageError, match="must be 16 to 200 letters") as error:
        served(secret=secret)
    assert not secret or secret not in str(error.value)


def test_an_address_in_use_is_refused(store: Store) -> None:
    """A port in use, and a host that is not this machine, each end in one sentence."""
    shown = Dashboard(FleetReader(store))
    page = listen(shown, served())
    with page.running():
        for host in ("127.0.0.1", "192.0.2.1", "no.such.host.invalid"):
            with pytest.raises(UsageError, match=r"cannot be served on .*--host and --port"):
                listen(shown, served(host, page.server_address[1]))


def test_a_study_of_other_objectives_has_no_chart(store: Store) -> None:
    """If no result has a validation accuracy, the chart says so; the best is still shown."""
    opened(store, "s")
    posted(store, "s", 0)
    store.queue.finish(*identity_of(taken(store)), {"loss": 0.5})
    study = looked(Dashboard(FleetReader(store)))["fleet"]["study"]
    assert study["chart"]["text"] == (
        "Validation accuracy by trial: no trial has one, they report losses."
    )
    assert (study["best"]["outcome"], study["chart"]["points"]) == ("loss 0.5", [])


def identity_of(trial: Trial) -> Any:
    return trial.id, str(trial.token)


def test_an_impossible_name_of_a_study_does_no_harm(store: Store) -> None:
    """A name that was written by hand is shown as it is, and does not hide other studies."""
    for name in ("s", "</script>", ""):
        opened(store, name)
        done(store, name, [0.5])
    studies = looked(Dashboard(FleetReader(store)))["fleet"]["studies"]
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
