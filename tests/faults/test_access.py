"""Faults 20 and 21: who has no login gets nowhere, and a worker no further than its work."""

from __future__ import annotations

import contextlib
import datetime
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any, Iterator, Mapping

import pymongo
import pytest
import trustme
from support.digit_trials import is_one_line, the_trial
from support.fleet import Fleet, draft
from support.home import Home, until

from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import (
    BadCertificate,
    LoginRefused,
    NotFound,
    StoreUnavailable,
)
from hyperhive.store.server.binary import find_mongod
from hyperhive.store.server.privileges import PRIVILEGES, WORKER
from hyperhive.store.server.roles import role_name
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status

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
    return f"mongodb://nano:{password}@{admin.address}"


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
            lambda: nobody.queue.post(Draft("s", 0, {}, {}, objective="lenet5")),
        ):
            with pytest.raises(LoginRefused, match="requires a login: put USER:PASSWORD@"):
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
    uri = f"mongodb://{login or right}@{store.address}{option}"
    with Store(uri) as refused, pytest.raises(LoginRefused, match="authSource") as error:
        refused.ping()
    assert SECRET not in str(error.value)
    assert right.partition(":")[2] not in str(error.value)


WRONG, NONE = ("hyperhive:hunter2@", "refused the login"), ("", "requires a login")


@pytest.mark.long
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
    home: Home, store: Store, command: list[str], login: str, said: str
) -> None:
    """Each command ends with 1 and one sentence; no password is in what it says."""
    uri = f"mongodb://{login}{store.address}"
    run = home.run if "--slots" in command else home.call  # slots are processes
    done = run(*command, HYPERHIVE_MONGO=uri)
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert said in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_20_a_result_that_may_not_be_delivered_stays_on_the_disk(
    fleet: Fleet, store: Store, admin: Store
) -> None:
    """A worker shut out before its delivery keeps the result; invited again, it delivers it."""
    store.queue.post(draft("s", 0))
    uri = uri_of(admin, admin.roles.invite("nano"))
    set_privileges(admin, {**WORKER_PRIVILEGES, "fs.chunks": ("find",)})
    worker = fleet.worker(uri=uri)
    assert worker.end() == 1
    assert worker.said().count("says this user may not do that") == 1
    assert "Traceback" not in worker.said()
    assert len(fleet.undelivered()) == 1
    assert the_trial(store, "s").status is Status.RUNNING
    again = uri_of(admin, admin.roles.invite("nano"))
    worker = fleet.worker(uri=again)
    until(lambda: the_trial(store, "s").status is Status.DONE, "the delivery")
    done = the_trial(store, "s")
    assert (done.attempts, done.late) == (1, 0)
    assert weights(store)
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert fleet.undelivered() == []


def weights(store: Store) -> bytes:
    """Return the weights of the one trial; raises unless they are those of its hash."""
    artifact = the_trial(store, "s").artifact
    assert artifact is not None
    return store.blobs.get(BlobRef.from_document(artifact))


# -- 20: wrong CA -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path, Path]:
    """Give a CA, its certificate's file, and that of another CA."""
    folder = tmp_path_factory.mktemp("authorities")
    right = trustme.CA()
    right.cert_pem.write_to_path(str(folder / "right.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "wrong.pem"))
    return right, folder / "right.pem", folder / "wrong.pem"


@pytest.fixture(scope="module")
def tls_server(
    authorities: tuple[trustme.CA, Path, Path], tmp_path_factory: pytest.TempPathFactory
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
        right = f"mongodb://127.0.0.1:{port}/?tls=true&tlsCAFile={authorities[1]}"
        with pymongo.MongoClient(right) as client:
            client.admin.command("ping")
        yield "127.0.0.1:" + port
    finally:
        mongod.kill()
        mongod.wait()


def with_ca(host: str, file: Path) -> str:
    return f"mongodb://{host}/hyperhive?tls=true&tlsCAFile={file}"


def test_20_a_server_with_the_right_certificate_is_used(
    home: Home, authorities: Any, tls_server: str
) -> None:
    """With the CA that signed the server's certificate everything works over TLS."""
    uri = with_ca(tls_server, authorities[1])
    with Store(uri) as store:
        store.ensure_indexes()
        assert store.queue.post(Draft("s", 0, {}, {}, objective="lenet5"))
    done = home.call("status", HYPERHIVE_MONGO=uri)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [["worker", "--slots", "2"], ["status"]], ids=str)
def test_20_a_certificate_of_another_ca_is_refused(
    home: Home, authorities: Any, tls_server: str, command: list[str]
) -> None:
    """A command says that it is the certificate, not that the server is away, and ends with 1."""
    run = home.run if "--slots" in command else home.call  # slots are processes
    done = run(*command, HYPERHIVE_MONGO=with_ca(tls_server, authorities[2]))
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert "has a certificate that this machine does not trust" in done.stderr
    assert "tlsCAFile" in done.stderr
    assert "start it" not in done.stderr


@pytest.mark.parametrize("name", ["another CA", "the system's CAs", "another host"])
def test_20_a_certificate_that_is_not_the_servers_is_refused(
    authorities: Any, tls_server: str, name: str
) -> None:
    """Nobody listens in with a certificate of their own: no word is said to such a server."""
    uri = {
        "another CA": with_ca(tls_server, authorities[2]),
        "the system's CAs": f"mongodb://{tls_server}/hyperhive?tls=true",
        "another host": with_ca(tls_server.replace("127.0.0.1", "localhost"), authorities[1]),
    }[name]
    with Store(uri) as store, pytest.raises(BadCertificate, match="tlsCAFile"):
        store.ping()


@pytest.fixture
def expired_server(authorities: tuple[trustme.CA, Path, Path], tmp_path: Path) -> Iterator[str]:
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
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_20_a_certificate_out_of_its_time_is_waited_for(
    authorities: Any, expired_server: str
) -> None:
    """A worker whose clock is not set yet goes on once it is: that is no reason to end."""
    uri = with_ca(expired_server, authorities[1])
    with Store(uri, timeout=1.0) as store, pytest.raises(StoreUnavailable, match="certificate"):
        store.ping()


def set_privileges(admin: Store, privileges: Mapping[str, tuple[str, ...]]) -> None:
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
