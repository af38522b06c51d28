"""A fleet in a home network: from `make secrets` to a device that is revoked, over TLS.

The tests share one server, with the flags that compose.yaml gives it.
"""

from __future__ import annotations

import os
import shlex
import stat
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest
from support.home import Home, until
from support.network import Network

from hyperhive.common.files import write_private as write
from hyperhive.common.signals import StopRequest
from hyperhive.coordinator.server_setup import NoUsers, prepare
from hyperhive.store.errors import LoginRefused, LoginRevoked, StoreUnavailable
from hyperhive.store.server.privileges import ROLES, WORKER
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.worker.identity import Identity
from hyperhive.worker.loop import Worker
from hyperhive.worker.objectives.api import Context, Outcome, Stopped
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.settings import WorkerSettings

PLUGIN = Path(__file__).resolve().parents[1] / "support" / "plugin"
STUDY = """
name = "bare"
trials = 1
algorithm = "random"
objective = "bare"
[dataset]
name = "digits"
[space]
learning_rate = { distribution = "uniform", low = 0, high = 1 }
"""
WRONG = "hunter2hunter2"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Run the server; nothing is in it but its administrator."""
    network = Network(tmp_path_factory.mktemp("network"))
    yield network
    network.close()


@pytest.fixture(scope="module")
def admin(network: Network) -> Iterator[Store]:
    """Give the server's administrator a store in it, made ready by ``mongo init``."""
    list(prepare(network.uri("admin"), network.secrets))
    with Store(network.uri("admin")) as admin:
        yield admin


class Watch:
    """Notes the command line of every process of a home, for as long as it is open."""

    def __init__(self, home: Home) -> None:
        self.seen: dict[str, None] = {}
        self._home = home
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.2):
            self.seen.update(dict.fromkeys(self._home.processes().values()))


def everything_in(admin: Store) -> str:
    """Return all documents of our database, and those of users, roles and the server's start."""
    of_the_server = {"admin": ["system.users", "system.roles"], "local": ["startup_log"]}
    ours = {admin.database.name: admin.database.list_collection_names()}
    found = []
    for database, names in {**of_the_server, **ours}.items():
        for name in names:
            found += list(admin.client[database][name].find_raw_batches())
    return b"".join(found).decode("latin-1")


@pytest.mark.long
def test_a_devices_life(home: Home, network: Network) -> None:
    """A device joins by the pasted line, works, is revoked and ends; no password shows anywhere.

    Not in what any command says, in the list of processes, in the server's log or its database.
    """
    home.environment["PYTHONPATH"] += os.pathsep + str(PLUGIN)
    (home.work / "bare.toml").write_text(STUDY)
    files = {name: str(network.secrets / (name + ".uri")) for name in ("admin", "coordinator")}
    as_admin = {"HYPERHIVE_MONGO_FILE": files["admin"]}
    said: list[str] = []
    with Watch(home) as watch:
        init = ["mongo", "init", "--users", str(network.secrets)]
        done = home.run(*init, **as_admin)
        assert (done.returncode, done.stderr) == (0, "")
        said.append(done.stdout)

        invited = home.run("mongo", "invite", "nano", **as_admin)
        assert (invited.returncode, invited.stderr) == (
            0,
            "the line says that the server is 127.0.0.1: if nano reaches it by another name or "
            "address, pass --host\n",
        )
        first, *command = shlex.split(invited.stdout)
        name, _, line = first.partition("=")
        assert (name, command) == ("HYPERHIVE_MONGO", ["hyperhive", "worker", "--save-login"])
        password = line.partition("@")[0].rpartition(":")[2]

        # The device has no file of the server's: its home is another one.
        assert str(network.secrets) not in line
        worker = home.start(*command[1:], "--slots", "1", "--device", "cpu", HYPERHIVE_MONGO=line)
        coordinator = home.start(
            "coordinator", "bare.toml", HYPERHIVE_MONGO_FILE=files["coordinator"]
        )
        # The trials deliver no weights: a model would need PyTorch.
        assert coordinator.end() == 0, coordinator.said()
        assert "none for predict-cam: objective bare delivers no weights" in coordinator.said()

        kept = Path(home.environment["XDG_CONFIG_HOME"]) / "hyperhive" / "login.uri"
        assert kept.read_text().strip() == line
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600

        with Store(network.uri("admin")) as admin:
            said.append(everything_in(admin))
        assert "hyperhive.nano" in said[-1]
        said += [home.run("mongo", "revoke", "nano", **as_admin).stdout]
        assert worker.end() == 1
        assert worker.said().count("no longer accepts this login: it was revoked") == 1
        assert "Traceback" not in worker.said()

        again = home.run("worker", "--slots", "1", "--device", "cpu")
        assert again.returncode == 1
        assert f"using the login in {kept}" in again.stderr
        assert "no longer accepts this login: it was revoked" in again.stderr
        wrong = home.run("status", HYPERHIVE_MONGO=line.replace(password, WRONG))
        assert wrong.returncode == 1
        assert "refused the login" in wrong.stderr
        said += [again.stderr, wrong.stderr]
    home.is_empty()

    said += [worker.said(), coordinator.said(), *watch.seen, network.log.read_text()]
    said += [file.read_text() for file in home.work.rglob("*") if file.suffix in (".json", ".log")]
    assert any("hyperhive worker" in seen for seen in watch.seen)
    with Store(network.uri("admin")) as admin:
        said.append(everything_in(admin))
    assert "hyperhive.nano" not in said[-1]
    for secret in (*network.passwords(), password, WRONG):
        assert [text for text in said if secret in text] == []


def test_the_server_runs_as_compose_yaml_says(network: Network, admin: Store) -> None:
    """A real mongod takes compose.yaml's flags, and they do what they are for."""
    options = admin.client.admin.command("getCmdLineOpts")["parsed"]
    assert options["net"]["compression"] == {"compressors": "disabled"}
    assert options["net"]["tls"]["mode"] == "requireTLS"
    assert options["net"]["unixDomainSocket"] == {"enabled": False}
    assert options["security"]["javascriptEnabled"] is False
    assert options["security"]["authorization"] == "enabled"
    with pytest.raises(StoreUnavailable), Store("mongodb://" + network.host, timeout=2.0) as plain:
        plain.ping()


def test_init_is_safe_to_run_again(network: Network, admin: Store) -> None:
    """A second run changes no role, index or user, and ends no connection."""
    database = admin.database

    def state() -> dict[str, Any]:
        roles = database.command("rolesInfo", 1, showPrivileges=True)["roles"]
        users = database.command("usersInfo", 1, showCredentials=True)["users"]
        names = sorted(database.list_collection_names())
        indexes = {name: database[name].index_information() for name in names}
        return {"roles": roles, "users": users, "indexes": indexes, "identity": admin.identity()}

    with Store(network.uri("worker")) as worker:
        worker.ping()
        before = state()
        lines = list(prepare(network.uri("admin"), network.secrets))
        worker.ping()
    assert state() == before
    assert lines[0] == "roles: coordinator, worker, viewer"
    assert {role["role"] for role in before["roles"]} == {"hyperhive_" + role for role in ROLES}
    assert {user["user"] for user in before["users"]} == set(ROLES)


def test_init_follows_the_files(network: Network, admin: Store, tmp_path: Path) -> None:
    """Another password in a file is the user's from then on, and what used the old one is out."""
    old = network.uri("viewer")
    for name in ROLES:
        write(tmp_path / (name + ".uri"), network.uri(name))
    write(tmp_path / "viewer.uri", old.replace("viewer:", "viewer:other"))
    with Store(old) as viewer:
        viewer.ping()
        list(prepare(network.uri("admin"), tmp_path))
        with pytest.raises(LoginRefused):
            viewer.ping()
    with Store((tmp_path / "viewer.uri").read_text()) as viewer:
        viewer.ping()
    list(prepare(network.uri("admin"), network.secrets))
    (tmp_path / "worker.uri").unlink()
    with pytest.raises(NoUsers, match="make secrets"):
        list(prepare(network.uri("admin"), tmp_path))


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_revoked_worker_hears_of_it_soon(
    network: Network, admin: Store, tmp_path: Path, busy: bool
) -> None:
    """Idle or in a trial, it ends within seconds and says why; the trial is left to its lease."""
    uri = network.uri("worker").replace("worker:", "mac:", 1)
    admin.roles.admit("mac", uri.partition("@")[0].rpartition(":")[2], WORKER)
    begun = threading.Event()

    def endless(config: Any, context: Context) -> Outcome:
        begun.set()
        while not context.should_stop():
            context.report({}, 60.0)
        raise Stopped

    identity = Identity(f"mac-{busy}", None, "cpu", {})
    settings = WorkerSettings(uri, device="cpu", lease=60.0)
    ended: list[BaseException] = []

    def work() -> None:
        try:
            outbox = Outbox(identity.worker, tmp_path)
            Worker(settings, identity, {"endless": endless}, outbox, stop).run()
        except LoginRevoked as error:
            ended.append(error)

    def is_idle() -> bool:
        return identity.worker in {present.id for present in admin.workers.present()}

    stop = StopRequest()
    thread = threading.Thread(target=work)
    if busy:
        admin.queue.post(Draft("busy", 0, {}, {}, objective="endless"))
    thread.start()
    try:
        until(begun.is_set if busy else is_idle, "the worker")
        admin.roles.revoke("mac")
        until(lambda: ended, "its end")
        assert "it was revoked" in str(ended[0])
    finally:
        stop.ask()
        thread.join()
    if busy:
        (trial,) = admin.trials.find("busy")
        assert (trial.status, trial.attempts) == (Status.RUNNING, 1)


def test_an_invitation_for_another_machine(home: Home, network: Network, admin: Store) -> None:
    """--host is in the line, with the server's port; --role gives what the role begins with."""
    invite = ["mongo", "invite", "phone", "--role", "viewer", "--host", "192.168.1.10"]
    done = home.call(*invite, HYPERHIVE_MONGO_FILE=str(network.secrets / "admin.uri"))
    assert (done.returncode, done.stderr) == (0, "")
    port = network.host.partition(":")[2]
    assert f"@192.168.1.10:{port}/hyperhive?" in done.stdout
    assert done.stdout.endswith(" hyperhive status\n")
    assert admin.roles.has("phone", "viewer")
    admin.roles.revoke("phone")
