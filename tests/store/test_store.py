"""A server is reached or an error says why not, and no error ever shows a password."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Iterator

import pymongo
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import ReadPreference
from pymongo.errors import BulkWriteError, NotPrimaryError, OperationFailure, WriteConcernError

from hyperhive.store.errors import (
    BadAddress,
    LoginRefused,
    NotAllowed,
    StoreError,
    StoreUnavailable,
)
from hyperhive.store.server.address import address, place
from hyperhive.store.server.client import translated_errors
from hyperhive.store.store import OPERATION_TIMEOUT_S, Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.updates import new_token

SECRET = "s3cr3t-sesame"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port of this machine on which no server listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port whose server accepts every connection and never answers."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(60)
    for connection in accepted:
        connection.close()


@pytest.fixture
def reader_uri(admin_uri: str) -> Iterator[str]:
    """Give the URI of a user who may only read."""
    with pymongo.MongoClient(admin_uri) as admin:
        admin.hyperhive.command("createUser", "reader", pwd=SECRET, roles=["read"])
        hosts = admin_uri.rpartition("@")[2].partition("/")[0]
        yield f"mongodb://reader:{SECRET}@{hosts}/hyperhive"
        admin.hyperhive.command("dropUser", "reader")


def everything_shown(error: BaseException) -> str:
    """Return an error as a traceback would show it, with its causes."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def answers_again(store: Store) -> bool:
    """Ask until the server answers; return False after a minute without an answer."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(StoreUnavailable):
            store.trials.find("s")
            return True
    return False


# -- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://localhost", "localhost:27017/hyperhive"),
        ("mongodb://localhost:27018/other", "localhost:27018/other"),
        ("mongodb://u:s3cr3t-sesame@a:1,b:2/db?replicaSet=r", "a:1,b:2/db"),
        ("mongodb://u:s3cr3t%2Dsesame@[::1]:5/?authSource=admin", "::1:5/hyperhive"),
        ("mongodb+srv://u:s3cr3t-sesame@cluster.example.org/db?w=1", "cluster.example.org/db"),
        ("mongodb+srv://cluster.example.org", "cluster.example.org"),
    ],
)
def test_an_address_shows_hosts_and_database_only(uri: str, shown: str) -> None:
    """The shown part of a URI has no user, password or options."""
    assert address(uri) == shown


def test_an_srv_address_is_shown_without_asking_a_name_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Showing an address works without a network."""
    pytest.importorskip("dns", reason="no dnspython, which PyMongo brings since 4.3")
    monkeypatch.setattr("dns.resolver.resolve", lambda *_, **__: pytest.fail("asked the network"))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))
    assert address("mongodb+srv://u:p@nowhere.example.org/db") == "nowhere.example.org/db"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "localhost:27017",
        "http://u:s3cr3t-sesame@host/",
        "mongodb://",
        "mongodb://u:s3cr3t-sesame@",
        "mongodb://u:s3cr3t-sesame@host:port/",
        "mongodb://u:s3cr3t-sesame@host:99999/",
        "mongodb://u:@s3cr3t-sesame@host/",
        "mongodb://u:/s3cr3t-sesame@host/",
        "mongodb://u:%s3cr3t-sesame@host/",
        "mongodb://u:s3cr3t-sesame@host/?no-such-option=1",
        "mongodb://u:s3cr3t-sesame@host/?authMechanism=none",
        "mongodb://u:s3cr3t-sesame@host/?tls=perhaps",
    ],
)
def test_a_bad_address_is_refused_without_quoting_it(uri: str) -> None:
    """A URI that cannot be parsed is refused in one sentence with an example of a valid one."""
    with pytest.raises(BadAddress, match="mongodb://") as refused:
        Store(uri)
    assert SECRET not in everything_shown(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb+srv://u:s3cr3t-sesame@host:27017/",
        "mongodb+srv://u:/s3cr3t-sesame@host.example.org/",
        "mongodb+srv://u:%s3cr3t-sesame@host.example.org/",
        "mongodb+srv://",
        "mongodb://localhost/?tls=true&tlsCAFile=/no/such/file.pem",
    ],
)
def test_what_only_the_client_finds_wrong_is_a_bad_address_too(uri: str) -> None:
    """Mistakes that PyMongo finds later than its parser are refused in one sentence too."""
    with pytest.raises(BadAddress) as refused:
        Store(uri)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://u:1234/s3cr3t-sesame@host",
        "mongodb+srv://u:p@host.example.org/db?tlsCertificateKeyFilePassword=a@s3cr3t-sesame",
        "mongodb+srv://u:1234/s3cr3t-sesame@host.example.org",
        "mongodb+srv://u:a@s3cr3t-sesame@host.example.org",
        "mongodb+srv://u:a?s3cr3t-sesame@host.example.org",
    ],
)
def test_a_password_written_unescaped_is_not_shown(uri: str) -> None:
    """A URI that parses differently than it was meant does not show its password as a host."""
    with contextlib.suppress(BadAddress):
        assert SECRET not in address(uri)


@given(
    scheme=st.sampled_from(["mongodb", "mongodb+srv"]),
    before=st.text("12:/?#@%=&a ", max_size=6),
    after=st.text("12:/?#%=&a ", max_size=6),
    end=st.sampled_from(["", ":1", "/", "/db", "/db?authSource=admin", "/?tls=true"]),
)
def test_no_password_is_ever_shown(scheme: str, before: str, after: str, end: str) -> None:
    """Whatever is written unescaped around a password, neither address nor error shows it."""
    uri = f"{scheme}://u:{before}{SECRET}{after}@host.example.org{end}"
    try:
        shown = address(uri)
    except BadAddress as error:
        shown = str(error)
    assert SECRET not in shown


# -- servers that cannot be used --------------------------------------------------------------


def test_a_server_that_is_not_there_is_unavailable_in_time(closed_port: int) -> None:
    """An unreachable server raises ``StoreUnavailable`` within the time-out, without the login."""
    uri = f"mongodb://u:{SECRET}@127.0.0.1:{closed_port}/"
    begun = time.monotonic()
    with Store(uri, timeout=0.5) as store, pytest.raises(StoreUnavailable) as refused:
        store.ping()
    assert time.monotonic() - begun < OPERATION_TIMEOUT_S
    assert f"127.0.0.1:{closed_port}" in str(refused.value)
    assert SECRET not in everything_shown(refused.value)


def test_a_server_that_never_answers_is_unavailable_in_time(silent_port: int) -> None:
    """A half-open connection ends in an error within the time-out, for reads and writes."""
    with Store(f"mongodb://127.0.0.1:{silent_port}/", timeout=0.5) as store:
        for ask in (
            store.ping,
            lambda: store.queue.post(Draft("s", 0, {}, {}, objective="lenet5")),
            lambda: store.queue.claim("w", new_token(), ["lenet5"]),
            lambda: store.trials.find("s"),
        ):
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable):
                ask()
            assert time.monotonic() - begun < OPERATION_TIMEOUT_S


def test_a_server_that_goes_silent_is_unavailable_until_it_speaks(
    mongo_uri: str, admin_uri: str
) -> None:
    """A hanging server raises an error in time on an open connection, which works again later."""
    with pymongo.MongoClient(admin_uri) as admin, Store(mongo_uri, timeout=0.5) as store:
        store.ping()
        mongod = int(admin.admin.command("serverStatus")["pid"])
        os.kill(mongod, signal.SIGSTOP)
        _, waited = os.waitpid(mongod, os.WUNTRACED)  # it may answer until it has really stopped
        assert os.WIFSTOPPED(waited)
        try:
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable):
                store.trials.find("s")
            assert time.monotonic() - begun < OPERATION_TIMEOUT_S
        finally:
            os.kill(mongod, signal.SIGCONT)
        assert answers_again(store)


def test_every_part_of_the_store_says_that_it_is_unavailable(closed_port: int) -> None:
    """No part lets PyMongo's own exceptions through."""
    with Store(f"mongodb://127.0.0.1:{closed_port}/", timeout=0.1) as store:
        asked = [
            store.ensure_indexes,
            store.collect_orphans,
            store.queue.expire,
            partial(store.trials.find, "s"),
            partial(store.queue.cancel_all, "s"),
            partial(store.queue.finish, "id", "token", {}),
            partial(store.studies.open, "s", {}),
            partial(store.studies.get, "s"),
            store.studies.all,
            partial(store.studies.extend, "s", {}),
            partial(store.studies.conclude, "s", {}),
            partial(store.workers.report, "w", None, "cpu", {}, None),
            store.workers.present,
            partial(store.workers.leave, "w"),
            partial(store.blobs.put, b"x", "x"),
            partial(store.blobs.delete, "x"),
            partial(store.datasets.has, "h"),
            partial(store.datasets.publish, "h", b"x", {}),
            partial(store.datasets.fetch, "h"),
        ]
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = [pool.submit(ask) for ask in asked]
        assert {type(answer.exception()) for answer in answers} == {StoreUnavailable}


# -- users ------------------------------------------------------------------------------------


def test_a_reader_reads_and_may_not_write(store: Store, reader_uri: str) -> None:
    """What the role does not allow raises ``NotAllowed`` and does not happen."""
    store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    with Store(reader_uri) as reader:
        assert len(reader.trials.find("s")) == 1
        for forbidden in (
            lambda: reader.queue.post(Draft("s", 1, {}, {}, objective="lenet5")),
            lambda: reader.queue.claim("w", new_token(), ["lenet5"]),
            lambda: reader.queue.cancel_all("s"),
            reader.queue.expire,
            lambda: reader.blobs.put(b"x", "x"),
            lambda: reader.studies.open("s", {}),
            lambda: reader.workers.report("w", None, "cpu", {}, None),
        ):
            with pytest.raises(NotAllowed) as refused:
                forbidden()
            assert SECRET not in everything_shown(refused.value)
    assert [trial.fence for trial in store.trials.find("s")] == [0]


def test_the_everyday_user_is_not_an_administrator(store: Store) -> None:
    """The login that runs trials cannot make users or reach another database."""
    client: Any = store.client
    for forbidden in (
        lambda: client.hyperhive.command("createUser", "x", pwd="x", roles=["readWrite"]),
        lambda: client.admin.command("createUser", "x", pwd="x", roles=["root"]),
        lambda: client.other.things.insert_one({}),
        lambda: client.admin.command("shutdown"),
    ):
        with pytest.raises(NotAllowed), store.guard():
            forbidden()


def test_expected_errors_share_one_base() -> None:
    """A command line that catches StoreError catches all of them."""
    for error in (BadAddress, LoginRefused, NotAllowed, StoreUnavailable):
        assert issubclass(error, StoreError)


def test_indexes_can_be_made_again(store: Store) -> None:
    """``ensure_indexes`` may run at every start; ``(exp_key, tid)`` is unique afterwards."""
    store.ensure_indexes()
    indexes = store.client.hyperhive.jobs.index_information().values()
    assert [i["unique"] for i in indexes if i["key"] == [("exp_key", 1), ("tid", 1)]] == [True]


def test_no_address_weakens_what_is_acknowledged_and_read(mongo_uri: str) -> None:
    """What a replica set could roll back is neither, whatever a URI says."""
    weak = "&w=1&journal=false&readConcernLevel=local&readPreference=secondaryPreferred"
    weak += "&readPreferenceTags=dc:ny&maxStalenessSeconds=120"
    with Store(mongo_uri + weak) as weakened:
        database = weakened.database
        assert database.write_concern.document == {"w": "majority", "j": True}
        assert database.read_concern.level == "majority"
        assert database.read_preference == ReadPreference.PRIMARY


@pytest.mark.parametrize(
    "error",
    [
        NotPrimaryError("not primary"),
        WriteConcernError("the primary stepped down", 189),
        OperationFailure("the majority is not known yet", 134),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91, "errmsg": "ends"}]}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_election_is_waited_for(error: Exception) -> None:
    """What a member says that is no longer, or not yet, the primary is that the server is away."""
    where = place("mongodb://a,b,c/?replicaSet=hive")
    unavailable = pytest.raises(StoreUnavailable, match="MongoDB at a:27017,b:27017,c:27017/")
    with unavailable, translated_errors(where, lambda: None):
        raise error
