"""Fault 21: a login of ours can do what its role needs, and nothing else.

``DEEDS`` is the table of docs/security.md.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pytest
from gridfs import GridFSBucket
from support.bench import living, succeeds
from support.home import until

from hyperhive.store.benchmarks import Benchmark
from hyperhive.store.errors import NotAllowed, NotFound
from hyperhive.store.ordering import OrderCommand
from hyperhive.store.orders import Orders, Wish
from hyperhive.store.server.privileges import COORDINATOR, PRIVILEGES, ROLES, VIEWER, WORKER
from hyperhive.store.server.roles import role_name
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.updates import new_token
from hyperhive.worker.orders import reading
from hyperhive.worker.signed.published import Published

SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"
SECRET = "s3cr3t-sesame"
NONE: tuple[str, ...] = ()
COLLECTIONS = (
    "jobs",
    "studies",
    "datasets",
    "workers",
    "orders",
    "notes",
    "benchmarks",
    "objectives",
    "meta",
    "uploads",
)
FIGURES = Benchmark("nano", "cpu", 1, {}, None, None, {})
C, CW, W = (COORDINATOR,), (COORDINATOR, WORKER), (WORKER,)

Deed = Callable[[Store], Any]
DEEDS: dict[str, tuple[tuple[str, ...], Deed]] = {
    "post a trial": (C, lambda s: s.queue.post(Draft("s", 1, {}, {}, objective="lenet5"))),
    "import a trial": (
        C,
        lambda s: s.queue.insert_ended(Draft("s", 1, {}, {}, "f"), {}, None, None, None, None),
    ),
    "post a trial by an upsert": (
        C,
        lambda s: s.database.jobs.update_one({"_id": 1}, {"$set": {"tid": 1}}, upsert=True),
    ),
    "change a trial": (CW, lambda s: s.database.jobs.update_one({}, {"$set": {"state": 1}})),
    "move a trial to another study": (
        CW,
        lambda s: s.database.jobs.update_one({}, {"$set": {"exp_key": "mine"}}),
    ),
    "delete a trial": (C, lambda s: s.database.jobs.delete_one({})),
    "open a study": (C, lambda s: s.studies.open("mine", {})),
    "finish a study": (C, lambda s: s.studies.finish("s", "why")),
    "spend time on a study": (C, lambda s: s.studies.spend("s")),
    "conclude a study": (C, lambda s: s.studies.conclude("s", {})),
    "delete a study": (C, lambda s: s.studies.delete("s")),
    "publish a data set": (C, lambda s: s.database.datasets.insert_one({})),
    "change a data set": (
        NONE,
        lambda s: s.database.datasets.update_one({}, {"$set": {"card": {}}}),
    ),
    "change a data set by an aggregation": (
        NONE,
        lambda s: list(s.database.jobs.aggregate([{"$merge": "datasets"}])),
    ),
    "replace the data sets by an aggregation": (
        NONE,
        lambda s: list(s.database.jobs.aggregate([{"$out": "datasets"}])),
    ),
    "publish code": (C, lambda s: s.catalogs.upload(b"x")),
    "write a catalog": (C, lambda s: s.catalogs.put("ed25519:k", b"", b"", [], None)),
    "change a catalog": (
        C,
        lambda s: s.database.objectives.update_one({}, {"$set": {"signature": b""}}),
    ),
    "delete code": (C, lambda s: s.database.objectives.delete_one({})),
    "upload weights": (CW, lambda s: s.blobs.put(b"x", "mine")),
    "change weights or data": (
        NONE,
        lambda s: s.database.fs.chunks.update_one({}, {"$set": {"data": b""}}),
    ),
    "delete weights or data": (
        C,
        lambda s: s.blobs.delete(s.database.fs.files.find_one()["_id"]),
    ),
    "forget an upload": (C, lambda s: s.database.uploads.delete_one({})),
    "report as a worker": (W, lambda s: s.workers.report("x", None, "cpu", {}, None)),
    "delete a worker's record": (NONE, lambda s: s.database.workers.delete_one({})),
    "order a device to pause": (C, lambda s: s.orders.give("mac", Wish.PAUSE, "x")),
    "change an order": (C, lambda s: s.orders.give("nano", Wish.DRAIN, "x")),
    "resume a device": (C, lambda s: s.orders.withdraw("nano")),
    "write a note": (C, lambda s: s.notes.add("s", "abcd1235", "x", "x")),
    "remove a note": (C, lambda s: s.notes.remove("s", "abcd1234")),
    "keep a device's figures": (W, lambda s: s.benchmarks.keep(FIGURES)),
    "delete a device's figures": (NONE, lambda s: s.database.benchmarks.delete_one({})),
    "change the store's identity": (NONE, lambda s: s.database.meta.update_one({}, {"$set": {}})),
    "make an index": (NONE, lambda s: s.database.jobs.create_index("tid")),
    "drop an index": (NONE, lambda s: s.database.jobs.drop_indexes()),
    "make a collection": (NONE, lambda s: s.database.create_collection("mine")),
    "write a collection of its own": (NONE, lambda s: s.database.mine.insert_one({})),
    "rename a collection": (NONE, lambda s: s.database.jobs.rename("mine")),
    "drop a collection": (NONE, lambda s: s.database.jobs.drop()),
    "drop the database": (NONE, lambda s: s.client.drop_database("hyperhive")),
    "make a user": (NONE, lambda s: s.database.command("createUser", "x", pwd=SECRET, roles=[])),
    "make an administrator": (
        NONE,
        lambda s: s.client.admin.command("createUser", "x", pwd=SECRET, roles=["root"]),
    ),
    "invite a friend": (NONE, lambda s: s.roles.invite("friend")),
    "revoke another": (NONE, lambda s: s.database.command("dropUser", WORKER)),
    "change its own user": (
        NONE,
        lambda s: s.database.command("updateUser", WORKER, roles=["dbOwner"]),
    ),
    "take another role": (
        NONE,
        lambda s: s.database.command("grantRolesToUser", WORKER, roles=["readWrite"]),
    ),
    "make a role": (
        NONE,
        lambda s: s.database.command("createRole", "x", privileges=[], roles=[]),
    ),
    "widen its role": (
        NONE,
        lambda s: s.database.command("updateRole", role_name(WORKER), roles=["dbOwner"]),
    ),
    "read the users": (NONE, lambda s: list(s.client.admin.system.users.find())),
    "read another database": (NONE, lambda s: s.client.other.things.find_one()),
    "write another database": (NONE, lambda s: s.client.other.things.insert_one({})),
    "read what was written": (NONE, lambda s: s.client.local["oplog.rs"].find_one()),
    "read the server's log": (NONE, lambda s: s.client.admin.command("getLog", "global")),
    "see what others do": (NONE, lambda s: s.client.admin.command("currentOp")),
    "make a replica set": (NONE, lambda s: s.client.admin.command("replSetInitiate", {})),
    "stop the server": (NONE, lambda s: s.client.admin.command("shutdown")),
}
"""The roles that may do each deed, and how it is tried."""


@pytest.fixture(scope="module")
def admin(admin_uri: str) -> Iterator[Store]:
    """Give the administrator's store, with a user of each role, named like the role."""
    with Store(admin_uri) as admin:
        admin.roles.ensure()
        yield admin
        for role in ROLES:
            with contextlib.suppress(NotFound):
                admin.roles.revoke(role)


@pytest.fixture(scope="module")
def users(admin: Store) -> Iterator[dict[str, Store]]:
    """Give a store for each role's login."""
    with contextlib.ExitStack() as opened:
        yield {
            role: opened.enter_context(
                Store(f"mongodb://{role}:{admin.roles.invite(role, role)}@{admin.address}")
            )
            for role in ROLES
        }


def contents(store: Store) -> dict[str, list[Any]]:
    """Return every document that a deed could change."""
    return {
        name: list(store.database[name].find()) for name in [*COLLECTIONS, "fs.files", "fs.chunks"]
    }


def prepare(store: Store) -> None:
    """Empty the database, then store one document of each kind."""
    for name in store.database.list_collection_names():
        store.database[name].delete_many({})
    store.ensure_indexes()
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    store.studies.open("s", {})
    store.datasets.publish("set", b"x", {"name": "set"})
    store.workers.report("w", None, "cpu", {}, None)
    store.catalogs.upload(b"code")
    store.orders.give("nano", Wish.PAUSE, "x")
    store.notes.add("s", "abcd1234", "x", "x")


@pytest.mark.parametrize("role", ROLES)
def test_21_a_role_is_refused_what_is_not_its_work(
    store: Store, users: dict[str, Store], role: str
) -> None:
    """The server refuses it, the error shows no secret, and nothing has changed."""
    prepare(store)
    before = contents(store)
    for deed in [deed for deed, (may, _) in DEEDS.items() if role not in may]:
        said = refusal(users[role], deed)
        assert "may not do that" in said, deed
        assert SECRET not in said, deed
        assert contents(store) == before, deed


def refusal(user: Store, deed: str) -> str:
    """Return the error of a refused deed; fail if it is allowed."""
    try:
        with user.guard():
            DEEDS[deed][1](user)
    except NotAllowed as error:
        return str(error)
    raise AssertionError("it is allowed to " + deed)


@pytest.mark.parametrize(
    ("act", "login"),
    [
        (lambda s: s.studies.spend("s"), "the login of a coordinator"),
        (lambda s: s.queue.claim("w", new_token(), ["f"]), "the login of a coordinator or worker"),
        (lambda s: s.queue.remove("s"), "the login of a coordinator"),
        (lambda s: s.database.uploads.distinct("_id"), "the login of a coordinator"),
        (lambda s: s.database.uploads.count_documents({}), "the login of a coordinator"),
        (lambda s: s.database.drop_collection("jobs"), "an administrator's login"),
    ],
    ids=("findAndModify of studies", "of jobs", "delete", "distinct", "aggregate", "drop"),
)
def test_21_a_refusal_names_the_login_that_may(
    store: Store, users: dict[str, Store], act: Deed, login: str
) -> None:
    """The error tells which role's login to use, by the command that the server refused."""
    prepare(store)
    with pytest.raises(NotAllowed, match=f"use {login} in place"), users[VIEWER].guard():
        act(users[VIEWER])


def test_21_what_a_role_may_do_it_can(store: Store, users: dict[str, Store]) -> None:
    """The table holds in both directions: each role can do what the table says."""
    for deed, (roles, act) in DEEDS.items():
        for role in roles:
            prepare(store)
            before = contents(store)
            with users[role].guard():
                act(users[role])
            assert contents(store) != before, deed


def test_21_the_documentation_has_this_table() -> None:
    """docs/security.md lists every deed that is tried here, and the roles that may."""
    rows = [
        "| {} | {} |".format(deed, " | ".join("yes" if r in may else "no" for r in ROLES))
        for deed, (may, _) in DEEDS.items()
    ]
    text = SECURITY.read_text()
    said = [row for row in text.splitlines() if row.endswith(("| yes |", "| no |"))]
    assert said == rows


@pytest.mark.parametrize("role", ROLES)
def test_21_a_role_does_its_work_and_needs_every_right(
    store: Store, admin: Store, users: dict[str, Store], role: str
) -> None:
    """Its work succeeds with the role, and fails with any one action less."""
    privileges = PRIVILEGES[role]
    work = WORK[role]
    work(store, users[role])
    try:
        for collection, actions in privileges.items():
            for action in actions:
                rest = tuple(other for other in actions if other != action)
                set_privileges(admin, role, {**privileges, collection: rest})
                with pytest.raises(NotAllowed):
                    work(store, users[role])
    finally:
        admin.roles.ensure()
    work(store, users[role])


def test_21_a_database_that_was_not_made_ready_is_refused(
    store: Store, users: dict[str, Store]
) -> None:
    """A coordinator may not make indexes: if they are missing the error says who can."""
    store.database.meta.delete_many({})
    users[COORDINATOR]._identity = None
    with pytest.raises(NotFound, match="hyperhive mongo init"):
        users[COORDINATOR].ensure_indexes()


def test_21_a_role_of_an_older_hyperhive_is_told_what_to_run(
    store: Store, admin: Store, users: dict[str, Store]
) -> None:
    """A worker's role without a right that was added later gets an error that names init."""
    prepare(store)
    later = ("benchmarks", "objectives")
    older = {name: PRIVILEGES[WORKER][name] for name in PRIVILEGES[WORKER] if name not in later}
    set_privileges(admin, WORKER, older)
    try:
        for ask in (lambda: users[WORKER].benchmarks.keep(FIGURES), users[WORKER].benchmarks.all):
            with pytest.raises(NotAllowed, match="run `hyperhive mongo init` again") as refused:
                ask()
            assert "\n" not in str(refused.value)
        published = Published(["ed25519:key"], {})  # the worker goes on without what is published
        assert published.refresh(users[WORKER])
        ((_, reason),) = published.refused
        assert "run `hyperhive mongo init` again" in reason
    finally:
        admin.roles.ensure()
    users[WORKER].benchmarks.keep(FIGURES)
    assert store.benchmarks.all() == [FIGURES]


def test_21_a_worker_whose_role_is_older_than_orders_works_on(
    store: Store,
    admin: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says once what to do, asks once in a while, and obeys when that was done."""
    asked: list[str] = []
    of = Orders.of
    monkeypatch.setattr(Orders, "of", lambda self, name: asked.append(name) or of(self, name))
    prepare(store)
    store.orders.give("me", Wish.PAUSE, "x")
    older = {name: PRIVILEGES[WORKER][name] for name in PRIVILEGES[WORKER] if name != "orders"}
    uri = f"mongodb://nano:{admin.roles.invite('nano')}@{admin.address}"
    set_privileges(admin, WORKER, older)
    try:
        with living(uri, tmp_path / "o", succeeds) as (_, errors):
            until(lambda: store.trials.find("s")[0].is_final, "the trial's end")
            assert "me: reads no orders" in "".join(
                OrderCommand(store, "me").order(Wish.PAUSE, threading.Event())
            )
            assert asked == ["me"]  # mongod logs each refusal
            monkeypatch.setattr(reading, "_ASK_AGAIN_S", 0.0)
            admin.roles.ensure()
            until(lambda: any(each.order for each in store.workers.present()), "a pause")
    finally:
        admin.roles.ensure()
        admin.roles.revoke("nano")
    assert errors == []
    assert caplog.text.count("run `hyperhive mongo init` again") == 1


def set_privileges(admin: Store, role: str, privileges: Mapping[str, tuple[str, ...]]) -> None:
    """Change a role's privileges until it is brought up to date."""
    admin.database.command(
        "updateRole",
        role_name(role),
        privileges=[
            {"resource": {"db": "hyperhive", "collection": name}, "actions": list(actions)}
            for name, actions in privileges.items()
            if actions
        ],
        roles=[],
    )


def empty(store: Store, *others: Store) -> None:
    """Empty the database, and the identity that each store remembers."""
    for name in store.database.list_collection_names():
        store.database[name].delete_many({})
    store.ensure_indexes()
    for each in (store, *others):
        each._identity = None


def a_coordinators_work(store: Store, user: Store) -> None:
    """Do all that a coordinator and hyperopt's API do with a store."""
    from hyperhive.mongoexp import MongoJobs, MongoTrials

    empty(store, user)
    user.ping()
    user.ensure_indexes()  # it may not make them, but they exist
    trials = MongoTrials(MongoJobs(user), exp_key="e")
    trials.new_trial_ids(1)  # creates hyperopt's counter
    trials.attachments["domain"] = b"pickle"
    assert trials.attachments["domain"] == b"pickle"
    del trials.attachments["domain"]
    (tid,) = trials.new_trial_ids(1)
    assert tid == 1

    user.datasets.publish("set", b"x", {})
    assert user.datasets.fetch("set") == b"x"
    user.studies.open("s", {"trials": 1})
    assert user.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    assert user.workers.present() == []
    order = user.orders.give("nano", Wish.PAUSE, "x")
    assert user.orders.all() == [order]
    assert user.orders.withdraw("nano")
    user.notes.add("s", "abcd1234", "x", "x")
    assert len(user.notes.of("s")) == 1
    assert user.notes.remove("s", "abcd1234")
    assert user.benchmarks.all() == []
    user.catalogs.upload(b"code")
    assert user.catalogs.put("ed25519:k", b"", b"", [], None)
    assert user.catalogs.put("ed25519:k", b"", b"2", [], user.catalogs.get("ed25519:k"))
    user.catalogs.collect()
    trial = store.queue.claim("w", new_token(), ["lenet5"])
    assert trial is not None
    artifact = store.blobs.put(b"weights", "weights").as_document()
    saved = {"name": "a", **store.blobs.put(b"saved", "a").as_document()}
    store.queue.finish(trial.id, str(trial.token), {"loss": 1.0}, artifact, [saved])
    assert user.queue.expire() == 0
    assert user.collect_orphans() == 0
    user.drop_files(user.trials.find("s")[0])
    user.studies.conclude("s", {})
    user.delete_study("s")


def a_workers_work(store: Store, user: Store) -> None:
    """Do all that a device does with a store."""
    empty(store, user)
    for tid in range(4):
        store.queue.post(Draft("s", tid, {}, {}, objective="lenet5"))
    user.ping()
    assert user.identity() == store.identity()
    with user.guard():  # as a worker of an earlier version uploads
        GridFSBucket(user.database).upload_from_stream("weights", b"weights")
    user.workers.report("w", None, "cpu", {}, None)
    assert user.orders.of("w") is None
    assert user.trials.waiting_for_others([], "s") == [("s", "lenet5", 4)]

    def claim() -> Any:
        token = new_token()
        assert user.queue.claim("w", token, ["lenet5"]) is not None
        return user.queue.claimed(token)

    trial = user.queue.heartbeat(claim())
    artifact = user.blobs.put(b"weights", "weights").as_document()
    for _ in range(2):
        assert user.queue.finish(trial.id, trial.token, {"loss": 1.0}, artifact)
    user.queue.give_back(claim())
    user.queue.fail(claim(), ErrorKind.OBJECTIVE, "")
    cancelled = claim()
    store.queue.cancel_all("s")
    user.queue.confirm_cancel(cancelled)
    store.datasets.publish("set", b"x", {})
    assert user.datasets.fetch("set") == b"x"
    assert user.studies.all() == []
    assert user.catalogs.signatures(["ed25519:k"]) == {}
    assert [worker.id for worker in user.workers.present()] == ["w"]
    user.workers.leave("w")
    assert user.workers.present() == []
    for _ in range(2):
        user.benchmarks.keep(FIGURES)
    assert user.benchmarks.all() == [FIGURES]


def a_viewers_work(store: Store, user: Store) -> None:
    """Do all that ``status``, ``best`` and ``predict-cam --study`` do with a store."""
    empty(store, user)
    store.studies.open("s", {"trials": 1})
    store.datasets.publish("set", b"x", {})
    user.ping()
    assert user.identity() == store.identity()
    assert [study.name for study in user.studies.all()] == ["s"]
    assert user.trials.find("s") == []
    assert user.notes.of("s") == []
    assert user.trials.overdue() == []
    assert user.workers.silent() == []
    assert user.benchmarks.all() == []
    assert user.datasets.fetch("set") == b"x"
    assert user.catalogs.all() == []


WORK = {
    COORDINATOR: a_coordinators_work,
    WORKER: a_workers_work,
    VIEWER: a_viewers_work,
}
