"""Faults 20 and 21: who has no login gets nowhere, and a worker no further than its work."""

import contextlib
import datetime
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple

import pymongo
import pytest
import trustme
from digit_trials import is_one_line, post, the_trial
from home import Home, until

from store.blobs import BlobRef
from store.connection import Store
from store.embedded import find_mongod
from store.errors import (
    BadCertificate,
    LoginRefused,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)
from store.queue import new_token
from store.roles import PRIVILEGES, WORKER, role_name
from store.trial import SEARCH, Draft, ErrorKind, Status

SECRET = "s3cr3t-sesame"
WORKER_ROLE, WORKER_PRIVILEGES = role_name(WORKER), PRIVILEGES[WORKER]


@pytest.fixture
def admin(admin_uri: str, store: Store) -> Iterator[Store]:
    """Give the store as its administrator, who has invited nobody."""
    with Store(admin_uri) as admin:
        yield admin
        with contextlib.suppress(NotFound):
            admin.roles.revoke("nano")


def uri_of(admin: Store, password: str) -> str:
    """Return the URI of the device called nano."""
    return "mongodb://nano:{}@{}".format(password, admin.address)


@pytest.fixture
def device(admin: Store) -> Iterator[Store]:
    """Give the store as a device sees it that was invited."""
    with Store(uri_of(admin, admin.roles.invite("nano"))) as device:
        yield device


# -- 20: no, wrong or revoked password --------------------------------------------------------


def test_20_without_a_login_nothing_is_allowed(store: Store, mongo_uri: str) -> None:
    """Who does not log in is told to, and may neither read nor write."""
    with Store("mongodb://" + store.address) as nobody:
        for ask in (
            nobody.ping,
            lambda: nobody.trials.find("s"),
            lambda: nobody.trials.post(Draft("s", 0, {}, {})),
        ):
            with pytest.raises(LoginRefused, match="wants a login: put USER:PASSWORD@"):
                ask()
    assert store.trials.find("s") == []


@pytest.mark.parametrize(
    ("login", "option"),
    [
        ("hyperhive:" + SECRET, ""),
        ("nobody:" + SECRET, ""),
        ("", "?authSource=admin"),
        ("", "?authSource=nowhere"),
    ],
    ids=["wrong password", "unknown user", "wrong authSource", "no such authSource"],
)
def test_20_a_wrong_login_is_refused(store: Store, mongo_uri: str, login: str, option: str) -> None:
    """A login that the server does not know is told apart from a server that is away."""
    right = mongo_uri.partition("://")[2].rpartition("@")[0]
    uri = "mongodb://{}@{}{}".format(login or right, store.address, option)
    with Store(uri) as refused, pytest.raises(LoginRefused, match="authSource") as error:
        refused.ping()
    assert SECRET not in str(error.value)
    assert right.partition(":")[2] not in str(error.value)


WRONG, NONE = ("hyperhive:hunter2@", "refused the login"), ("", "wants a login")


@pytest.mark.parametrize(
    ("command", "login", "said"),
    [
        (["worker", "--slots", "2"], *WRONG),
        (["coordinator", "--dataset", "digits"], *WRONG),
        (["worker", "--slots", "2"], *NONE),
        (["status"], *NONE),
    ],
    ids=["worker, wrong", "coordinator, wrong", "worker, none", "status, none"],
)
def test_20_a_command_says_once_that_it_has_no_right_login(
    home: Home, store: Store, command: List[str], login: str, said: str
) -> None:
    """Each command ends with 1 and one sentence; no password is in what it says."""
    uri = "mongodb://{}{}".format(login, store.address)
    done = home.run(*command, HYPERHIVE_MONGO=uri)
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert said in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_20_a_result_that_may_not_be_delivered_stays_on_the_disk(
    home: Home, store: Store, admin: Store
) -> None:
    """A worker shut out before its delivery keeps the result; invited again, it delivers it."""
    post(store, "s")
    uri = uri_of(admin, admin.roles.invite("nano"))
    set_privileges(admin, {**WORKER_PRIVILEGES, "fs.chunks": ("find",)})
    worker = home.start("worker", "--slots", "1", HYPERHIVE_MONGO=uri)
    assert worker.end() == 1
    assert worker.said().count("says this user may not do that") == 1
    assert "Traceback" not in worker.said()
    outbox = home.mongo.parent / "outbox"
    assert len(list(outbox.rglob("*.bson"))) == 1
    assert the_trial(store, "s").status is Status.RUNNING
    again = uri_of(admin, admin.roles.invite("nano"))
    worker = home.start("worker", "--slots", "1", HYPERHIVE_MONGO=again)
    until(lambda: the_trial(store, "s").status is Status.DONE, "the delivery")
    done = the_trial(store, "s")
    assert (done.attempts, done.late) == (1, 0)
    assert weights(store)
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert list(outbox.rglob("*.bson")) == []


def weights(store: Store) -> bytes:
    """Return the weights of the one trial; raises unless they are those of its hash."""
    artifact = the_trial(store, "s").artifact
    assert artifact is not None
    return store.blobs.get(BlobRef.from_document(artifact))


# -- 20: wrong CA -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Tuple[trustme.CA, Path, Path]:
    """Give a CA, its certificate's file, and that of another CA."""
    folder = tmp_path_factory.mktemp("authorities")
    right = trustme.CA()
    right.cert_pem.write_to_path(str(folder / "right.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "wrong.pem"))
    return right, folder / "right.pem", folder / "wrong.pem"


@pytest.fixture(scope="module")
def tls_server(
    authorities: Tuple[trustme.CA, Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Run a mongod that speaks TLS only, with a certificate for 127.0.0.1; give its host."""
    folder = tmp_path_factory.mktemp("tls")
    issued = authorities[0].issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = str(reserved.getsockname()[1])
    command = [str(find_mongod()), "--dbpath", str(folder), "--port", port]
    command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
    command += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(folder / "server.pem")]
    mongod = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        right = "mongodb://127.0.0.1:{}/?tls=true&tlsCAFile={}".format(port, authorities[1])
        with pymongo.MongoClient(right) as client:
            client.admin.command("ping")
        yield "127.0.0.1:" + port
    finally:
        mongod.kill()
        mongod.wait()


def with_ca(host: str, file: Path) -> str:
    return "mongodb://{}/hyperhive?tls=true&tlsCAFile={}".format(host, file)


def test_20_a_server_with_the_right_certificate_is_used(
    home: Home, authorities: Any, tls_server: str
) -> None:
    """With the CA that signed the server's certificate everything works over TLS."""
    uri = with_ca(tls_server, authorities[1])
    with Store(uri) as store:
        store.ensure_indexes()
        assert store.trials.post(Draft("s", 0, {}, {}))
    done = home.run("status", HYPERHIVE_MONGO=uri)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["worker", "--slots", "2"], ["status"]], ids=str)
def test_20_a_certificate_of_another_ca_is_refused(
    home: Home, authorities: Any, tls_server: str, command: List[str]
) -> None:
    """A command says that it is the certificate, not that the server is away, and ends with 1."""
    done = home.run(*command, HYPERHIVE_MONGO=with_ca(tls_server, authorities[2]))
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert "shows a certificate that this machine does not trust" in done.stderr
    assert "tlsCAFile" in done.stderr
    assert "start it" not in done.stderr


@pytest.mark.parametrize("name", ["another CA", "the system's CAs", "another host"])
def test_20_a_certificate_that_is_not_the_servers_is_refused(
    authorities: Any, tls_server: str, name: str
) -> None:
    """Nobody listens in with a certificate of their own: no word is said to such a server."""
    uri = {
        "another CA": with_ca(tls_server, authorities[2]),
        "the system's CAs": "mongodb://{}/hyperhive?tls=true".format(tls_server),
        "another host": with_ca(tls_server.replace("127.0.0.1", "localhost"), authorities[1]),
    }[name]
    with Store(uri) as store, pytest.raises(BadCertificate, match="tlsCAFile"):
        store.ping()


@pytest.fixture
def expired_server(authorities: Tuple[trustme.CA, Path, Path], tmp_path: Path) -> Iterator[str]:
    """Give the host of a TLS server, no mongod (that would not start), whose time is over."""
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authorities[0].issue_cert("127.0.0.1", not_after=yesterday).configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):  # shut down below
                while True:
                    connection = server.accept()[0]
                    with connection, contextlib.suppress(OSError):
                        context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield "127.0.0.1:{}".format(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_20_a_certificate_out_of_its_time_is_waited_for(
    authorities: Any, expired_server: str
) -> None:
    """A worker whose clock is not set yet goes on once it is: that is no reason to end."""
    uri = with_ca(expired_server, authorities[1])
    with Store(uri, timeout=1.0) as store, pytest.raises(StoreUnavailable, match="certificate"):
        store.ping()


# -- 21: what the worker's role may not -------------------------------------------------------

FORBIDDEN: Dict[str, Callable[[Store], Any]] = {
    "post a trial": lambda s: s.trials.post(Draft("s", 1, {}, {})),
    "post a trial by an upsert": lambda s: database(s).jobs.update_one(
        {"_id": 1}, {"$set": {"tid": 1}}, upsert=True
    ),
    "delete a trial": lambda s: database(s).jobs.delete_one({}),
    "drop a collection": lambda s: database(s).jobs.drop(),
    "rename a collection": lambda s: database(s).jobs.rename("mine"),
    "make a collection": lambda s: database(s).create_collection("mine"),
    "write a collection of its own": lambda s: database(s).mine.insert_one({}),
    "drop the database": lambda s: s.client.drop_database("hyperhive"),
    "make a user": lambda s: database(s).command("createUser", "x", pwd=SECRET, roles=[]),
    "make an administrator": lambda s: s.client.admin.command(
        "createUser", "x", pwd=SECRET, roles=["root"]
    ),
    "change its own user": lambda s: database(s).command("updateUser", "nano", roles=["dbOwner"]),
    "take another role": lambda s: database(s).command(
        "grantRolesToUser", "nano", roles=["readWrite"]
    ),
    "make a role": lambda s: database(s).command("createRole", "x", privileges=[], roles=[]),
    "widen its role": lambda s: database(s).command("updateRole", WORKER_ROLE, roles=["dbOwner"]),
    "invite a friend": lambda s: s.roles.invite("friend"),
    "make an index": lambda s: database(s).jobs.create_index("tid"),
    "drop an index": lambda s: database(s).jobs.drop_indexes(),
    "read the users": lambda s: list(s.client.admin.system.users.find()),
    "read another database": lambda s: s.client.other.things.find_one(),
    "write another database": lambda s: s.client.other.things.insert_one({}),
    "open a study": lambda s: s.studies.open("mine", {}),
    "conclude a study": lambda s: s.studies.conclude("s", {}),
    "publish a data set": lambda s: s.datasets.publish("hash", b"x", {}),
    "change a data set": lambda s: database(s).datasets.update_one({}, {"$set": {"card": {}}}),
    "write a data set by an aggregation": lambda s: list(
        database(s).jobs.aggregate([{"$merge": "datasets"}])
    ),
    "replace a collection by an aggregation": lambda s: list(
        database(s).jobs.aggregate([{"$out": "studies"}])
    ),
    "delete weights": lambda s: s.blobs.delete(database(s).fs.files.find_one()["_id"]),
    "change weights": lambda s: database(s).fs.chunks.update_one({}, {"$set": {"data": b""}}),
    "delete a worker's record": lambda s: database(s).workers.delete_one({}),
    "forget an upload": lambda s: database(s).uploads.delete_one({}),
    "stop the server": lambda s: s.client.admin.command("shutdown"),
}


def database(store: Store) -> Any:
    return store.client.get_default_database()


def contents(store: Store) -> Dict[str, List[Any]]:
    """Return every document that a device could be after, but for the uploads it may make."""
    data = store.client.get_default_database()
    return {name: list(data[name].find()) for name in ("jobs", "studies", "datasets", "workers")}


@pytest.mark.parametrize("deed", FORBIDDEN)
def test_21_a_worker_is_refused_what_is_not_its_work(
    store: Store, device: Store, deed: str
) -> None:
    """The server refuses it, the store says so in words without a secret, and nothing changed."""
    store.trials.post(Draft("s", 0, {}, {}))
    store.studies.open("s", {})
    store.datasets.publish("set", b"x", {"name": "set"})
    store.workers.report("w", None, "cpu", {}, None)
    before = contents(store)
    with pytest.raises(NotAllowed) as refused, device.guard():
        FORBIDDEN[deed](device)
    assert "may not do that" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert contents(store) == before
    assert store.datasets.fetch("set") == b"x"


def test_21_a_worker_may_do_its_work_and_needs_every_right(
    store: Store, admin: Store, device: Store
) -> None:
    """A life's work passes with the role, and not with one action less: the role is the least."""
    a_lifes_work(store, device)
    for collection, actions in WORKER_PRIVILEGES.items():
        for action in actions:
            rest = tuple(other for other in actions if other != action)
            set_privileges(admin, {**WORKER_PRIVILEGES, collection: rest})
            with pytest.raises(NotAllowed):
                a_lifes_work(store, device)
    set_privileges(admin, WORKER_PRIVILEGES)
    a_lifes_work(store, device)


def a_lifes_work(store: Store, device: Store) -> None:
    """Do all that a device asks of a store, in one that is empty but for a study and its data."""
    for name in store.client.get_default_database().list_collection_names():
        store.client.get_default_database()[name].delete_many({})
    store.ensure_indexes()
    for tid in range(4):
        store.trials.post(Draft("s", tid, {}, {}))
    device.ping()
    device._identity = store._identity = None  # what it remembers it would not ask
    assert device.identity() == store.identity()
    device.workers.report("w", None, "cpu", {}, None)

    def claim() -> Any:
        token = new_token()
        assert device.trials.claim("w", token, ["lenet5"]) is not None
        return device.trials.claimed(token)

    trial = device.trials.heartbeat(claim())
    artifact = device.blobs.put(b"weights", "weights").as_document()
    for _ in range(2):
        assert device.trials.finish(trial.id, trial.token, {"loss": 1.0}, artifact)
    device.trials.give_back(claim())
    device.trials.fail(claim(), ErrorKind.OBJECTIVE, "")
    cancelled = claim()
    store.trials.cancel("s", SEARCH, cancelled.tid)
    device.trials.confirm_cancel(cancelled)
    store.datasets.publish("set", b"x", {})
    assert device.datasets.fetch("set") == b"x"
    assert device.studies.all() == []
    assert [worker.id for worker in device.workers.present()] == ["w"]
    device.workers.leave("w")
    assert device.workers.present() == []


def set_privileges(admin: Store, privileges: Mapping[str, Tuple[str, ...]]) -> None:
    """Let the role be another one until the next invitation."""
    admin.client.hyperhive.command(
        "updateRole",
        WORKER_ROLE,
        privileges=[
            {"resource": {"db": "hyperhive", "collection": name}, "actions": list(actions)}
            for name, actions in privileges.items()
            if actions
        ],
        roles=[],
    )
