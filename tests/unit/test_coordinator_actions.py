"""The actions of the live page, through a real site on a real store; and notes with a command."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import Any, Iterator
from urllib.parse import urlsplit

import pytest
from support.clients import claim, finish, here, only, post
from typer.testing import CliRunner

from hyperhive.common.errors import UsageError
from hyperhive.coordinator.changes import noting
from hyperhive.coordinator.changes.actions import Actions
from hyperhive.coordinator.cli.study import study_app
from hyperhive.coordinator.figures.source import read as figures_of
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.results.export import as_json
from hyperhive.coordinator.results.exported import read
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study_run import open_study
from hyperhive.store.errors import NotAllowed, NotFound
from hyperhive.store.server.client import with_login
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.web.site import Site

KEY = "k" * 16
PLAN = Plan(
    name="s",
    trials=4,
    objective="lenet5x",
    space=parse({"x": {"distribution": "uniform", "low": 0, "high": 1}}),
)


class Page:
    """A site with the actions only, and its viewer."""

    def __init__(self, site: Site) -> None:
        self._at = urlsplit(site.root).netloc
        self.headers = {"X-CSRF-Token": self.ask("GET", "/csrf")[1].strip()}

    def ask(self, method: str, path: str, body: str = "", key: str = KEY, **headers: str) -> Any:
        """Return the status of an answer, and its text."""
        connection = http.client.HTTPConnection(self._at, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, f"{path}?key={key}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def post(self, **contents: Any) -> tuple[int, dict[str, str]]:
        """Ask for an action as the page does; return the status, and the answer."""
        status, text = self.ask("POST", "/action", json.dumps(contents), **self.headers)
        return status, json.loads(text)

    def twice(self, **contents: Any) -> tuple[str, str]:
        """Ask, and confirm it; return the question, and what was said."""
        status, asked = self.post(**contents)
        assert status == 200, asked
        status, done = self.post(**contents, confirmed=True)
        assert status == 200, done
        return asked["question"], done["said"]

    def refused(self, **contents: Any) -> str:
        """Return why a confirmed action is not done."""
        status, answer = self.post(**contents, confirmed=True)
        assert status >= 400
        return answer["problem"]


@contextlib.contextmanager
def page(store: Store, allowed: bool = True, study: str | None = None) -> Iterator[Page]:
    routes = Actions(store, allowed, study).routes()
    site = Site(routes, "127.0.0.1", 0, "hyperhive dashboard", KEY)
    with site.running():
        yield Page(site)


def test_a_trial_and_its_study_are_cancelled_after_a_question(store: Store) -> None:
    """The question changes nothing, and names what will happen; what has ended stays."""
    store.studies.open("s", {"trials": 4})
    for tid in range(3):
        post(store, tid)
    held = claim(store)
    with page(store) as viewer:
        status, asked = viewer.post(action="cancel trial", study="s", trial=0)
        assert (status, asked["button"]) == (200, "Cancel the trial")
        assert asked["question"].startswith("Cancel trial 0 of study s, which w1 runs?")
        assert not only(store).cancel_requested
        _, said = viewer.twice(action="cancel trial", study="s", trial=0)
        assert said == "s, trial 0 ends when its worker, w1, next reports"
        store.queue.confirm_cancel(store.queue.heartbeat(held))
        finish(store, claim(store))
        asks, said = viewer.twice(action="cancel study", study="s")
        assert asks.startswith("Cancel study s, and its 1 unfinished trial?")
        assert said == "study s cancelled, 1 trial with it"
        assert viewer.refused(action="cancel trial", study="s", trial=9).startswith(
            "study s has no trial 9"
        )
        assert viewer.refused(action="extend", study="s", trials=9).startswith(
            "study s was cancelled"
        )
    assert [only(store, tid).status for tid in range(3)] == [
        Status.ERROR,
        Status.DONE,
        Status.ERROR,
    ]


def test_a_study_gets_a_configuration_and_more_trials_and_is_finished(store: Store) -> None:
    """As by the commands, whose sentences the page shows."""
    open_study(store, PLAN, None)
    with page(store) as viewer:
        asked, said = viewer.twice(action="enqueue", study="s", config="x=0.25")
        assert asked == "Have study s try this next: x 0.25?"
        assert said == "study s, trial 0 is x 0.25"
        for config in ('{"y": 1}', "y=" + 50_000 * "["):
            assert viewer.refused(action="enqueue", study="s", config=config).startswith("y")
        asked, said = viewer.twice(action="extend", study="s", trials=40)
        assert asked == "Have study s run 40 trials in all? It has 4 now."
        assert said == "study s runs 40 trials"
        assert "and 39 is fewer" in viewer.refused(action="extend", study="s", trials=39)
        assert "no trial with a result yet" in viewer.refused(action="finish", study="s")
        trial = store.queue.claim("w1", "t", ["lenet5x"])
        assert trial is not None
        finish(store, trial)
        _, said = viewer.twice(action="finish", study="s")
        assert said.startswith("study s ends with the trials that it has")
    stored = store.study("s")
    assert (stored.spec["trials"], stored.finishing) == (40, True)


def test_a_device_is_paused_drained_and_resumed(store: Store) -> None:
    """It is a device that has reported; the order has the name of who serves the page."""
    here(store, "nano-12-abcdef")
    with page(store) as viewer:
        asked, said = viewer.twice(action="drain", device="nano")
        assert asked.startswith("Drain nano? It runs its trials to their end")
        assert said.startswith("nano is to drain")
        viewer.twice(action="pause", device="nano")
        (order,) = store.orders.all()
        assert (order.name, order.wish.value) == ("nano", "pause")
        assert viewer.twice(action="resume", device="nano")[1] == "nano takes trials again"
        assert "no worker of 'mac' has reported" in viewer.refused(action="pause", device="mac")
    assert store.orders.all() == []


def test_notes_are_kept_listed_removed_and_exported(store: Store, tmp_path: Any) -> None:
    """On a study and on a trial, as text, whatever they say."""
    open_study(store, PLAN, None)
    store.queue.post(Draft("s", 0, {"x": 0.5}, {"x": 0.5}, objective="lenet5x"))
    with page(store) as viewer:
        note = {"action": "note", "study": "s", "text": "<b>too slow</b>\n", "id": "abcd1234"}
        asked, said = viewer.twice(**note, trial=0)
        assert asked.endswith("trial 0 of study s, for all who can see it?\n<b>too slow</b>")
        assert said == "note abcd1234 kept on trial 0 of study s"
        viewer.twice(**{**note, "id": "abcd1235", "text": "as planned"}, trial=None)
        assert "the note is empty" in viewer.refused(**{**note, "text": " "})
        assert "the note has 2001 characters" in viewer.refused(**{**note, "text": 2001 * "x"})
        assert "no trial 5" in viewer.refused(**note, trial=5)
        shown = figures_of(store, "s")
        assert [(each["trial"], each["text"]) for each in shown.notes] == [
            (0, "<b>too slow</b>"),
            (None, "as planned"),
        ]
        assert shown.noted == {0: "<b>too slow</b>"}
        assert noting.lines(store, "s", 0)[0].endswith("trial 0: <b>too slow</b>")
        file = tmp_path / "s.json"
        file.write_bytes(as_json(store, "s"))
        noting.bring(store, "again", read(file).notes)
        assert [note.text for note in store.notes_of("again")] == ["<b>too slow</b>", "as planned"]
    assert noting.remove(store, "s", "abcd1234") == "note abcd1234 of study s removed"
    with pytest.raises(NotFound, match="study s has no note abcd1234"):
        noting.remove(store, "s", "abcd1234")
    assert [note.id for note in store.notes_of("s")] == ["abcd1235"]


def test_commands_say_what_has_changed(store: Store, mongo_uri: str) -> None:
    """The same as the page; and nothing is done of what contradicts itself."""

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(study_app, [*arguments, "--mongo", mongo_uri])

    open_study(store, PLAN, None)
    assert call("extend", "s", "--trials", "40").output == "study s runs 40 trials\n"
    note_id = call("note", "s", "too slow").output.split()[1]
    assert call("note", "s").output.endswith("too slow\n")
    assert isinstance(call("note", "s", "x", "--remove", note_id).exception, UsageError)
    assert call("note", "s", "--remove", note_id).output == f"note {note_id} of study s removed\n"
    assert call("note", "s").output == "no note on study s\n"
    for number in ("3", f"{2**64}"):  # the database has no number as large as the second
        missing = call("cancel", "s", "--trial", number).exception
        assert str(missing).startswith(f"study s has no trial {number}")
    assert not store.study("s").cancelled


def test_nothing_is_changed_without_the_flag_the_key_or_the_token(store: Store) -> None:
    """Nor by a request that is none, nor in a study that the page is not about."""
    store.studies.open("s", {"trials": 4})
    wanted = {"action": "cancel study", "study": "s", "confirmed": True}
    with page(store, allowed=False) as viewer:
        assert viewer.ask("GET", "/action")[1] == '{"allowed":false}'
        status, answer = viewer.post(**wanted)
        assert status == 403
        assert "start `hyperhive dashboard --allow-actions`" in answer["problem"]
    with page(store) as viewer:
        body = json.dumps(wanted)
        assert viewer.ask("POST", "/action", body)[0] == 403
        assert viewer.ask("POST", "/action", body, **{"X-CSRF-Token": "x"})[0] == 403
        assert viewer.ask("POST", "/action", body, key="other", **viewer.headers)[0] == 403
        assert viewer.refused(action="drop", study="s").startswith("there is no action 'drop'")
        assert viewer.refused(action="finish", study="\ud800").startswith("study must be Unicode")
        assert "takes no budget" in viewer.refused(action="finish", study="s", budget=1)
        assert "must be a whole number" in viewer.refused(action="extend", study="s", trials="9")
        assert viewer.ask("POST", "/action", "[", **viewer.headers)[0] == 400
    with page(store, study="other") as viewer:
        assert viewer.refused(action="cancel study", study="s").endswith("only about study other")
    assert not store.study("s").cancelled


def test_a_viewers_login_is_refused_at_the_start_and_at_each_action(
    store: Store, admin_uri: str
) -> None:
    """The server is asked for it, and the sentence names the login that may."""
    store.studies.open("s", {"trials": 4})
    post(store)
    with Store(admin_uri) as admin:
        admin.roles.ensure()
        for role in ("viewer", "worker", "coordinator"):
            password = admin.roles.invite(f"the-{role}", role)
            with Store(with_login(admin_uri, f"the-{role}", password)) as user:
                if role == "coordinator":
                    user.roles.require_coordinator()
                else:
                    with pytest.raises(NotAllowed, match="use the login of a coordinator"):
                        user.roles.require_coordinator()
                    with page(user) as viewer:
                        note = {"action": "note", "study": "s", "text": "x", "id": "abcd1234"}
                        for wanted in ({"action": "cancel study", "study": "s"}, note):
                            said = viewer.refused(**wanted)
                            assert "use the login of a coordinator" in said
            admin.roles.revoke(f"the-{role}")
    assert not store.study("s").cancelled
    assert store.notes_of("s") == []
