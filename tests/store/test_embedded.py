"""The embedded mongod is private, shared by one person's commands, and stops with the last one.

These tests start real servers and kill real processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator

import pymongo
import pytest
from pymongo.errors import OperationFailure
from support.home import until

from hyperhive.common.locks import ALONE, locked
from hyperhive.store.errors import LoginRefused, NoServerBinary, ServerFailed
from hyperhive.store.server import embedded, mongod
from hyperhive.store.server.binary import find_mongod
from hyperhive.store.server.embedded import embedded_server, running_uri, stop
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft

REPOSITORY = Path(__file__).resolve().parents[2]

USE_UNTIL_TOLD = """
import pathlib, sys
from hyperhive.store.server.embedded import embedded_server
with embedded_server(pathlib.Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""

DIE_AT_A_COMMAND = """
import os, pathlib, signal, sys
from pymongo import monitoring
from hyperhive.store.server.embedded import embedded_server
left = int(sys.argv[3])
class Killer(monitoring.CommandListener):
    def started(self, event):
        global left
        left -= event.command_name == sys.argv[2]
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def succeeded(self, event): pass
    def failed(self, event): pass
monitoring.register(Killer())
with embedded_server(pathlib.Path(sys.argv[1])):
    pass
"""

KILLED_IN_INITIALISATION = pytest.mark.parametrize(
    ("command", "time_of_it"),
    [("createUser", "1"), ("shutdown", "1")],
    ids=["before any user", "after both users"],
)


def mongods(directory: Path) -> list[int]:
    """Return the process ids of the servers that use a directory's files."""
    return processes("--dbpath {} ".format(directory / "data"))


def keepers(directory: Path) -> list[int]:
    """Return the process ids of the processes that look after a directory's server."""
    return processes(f"hyperhive.store.server.keeper {directory}")


def processes(mark: str) -> list[int]:
    """Return the ids of the processes that have this in their command line."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="], stdout=subprocess.PIPE, check=True
    ).stdout.decode(errors="replace")
    return [int(line.split()[0]) for line in listing.splitlines() if mark in line]


def kill_all(directory: Path) -> None:
    killed = mongods(directory)
    for process in killed:
        os.kill(process, signal.SIGKILL)
    # A process that ends loses its command line before its port: its state says when it has ended.
    until(lambda: not any(map(is_running, killed)), "the end of the servers")


def is_running(pid: int) -> bool:
    """Return whether a thread of a process runs (``l``) or the process itself (not ``Z``)."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE).stdout
    return bool(state) and (b"l" in state or not state.startswith(b"Z"))


def start(script: str, directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(directory), *arguments],
        cwd=str(REPOSITORY),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@contextlib.contextmanager
def another_user(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that uses the server until its standard input ends."""
    with start(USE_UNTIL_TOLD, directory) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"mongodb://")
            yield process
        finally:
            process.kill()


def port_of(uri: str) -> int:
    return int(uri.rpartition(":")[2].partition("/")[0])


def use_once(directory: Path, **how: Any) -> None:
    with embedded_server(directory, **how) as uri:
        trials(uri)


def trials(uri: str) -> int:
    with Store(uri) as store:
        return len(store.trials.find("s"))


def post(uri: str, tid: int) -> None:
    with Store(uri) as store:
        assert store.queue.post(Draft("s", tid, {}, {}, objective="lenet5"))


@pytest.fixture(autouse=True)
def _often() -> Iterator[None]:
    """Look after the server five times a second."""
    with pytest.MonkeyPatch.context() as patch:  # a test's own ends before the server does
        patch.setattr(embedded, "_WATCH_EVERY_S", 0.2)
        yield


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """Give a directory in which no server has run."""
    directory = tmp_path / "mongo"
    yield directory
    kill_all(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a directory in which a server has run, for all tests that do not need a new one."""
    directory = tmp_path_factory.mktemp("shared")
    with embedded_server(directory):
        pass
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def directory(initialised: Path) -> Iterator[Path]:
    """Give the directory of a server that does not run, and kill what a test leaves running."""
    yield initialised
    kill_all(initialised)


# -- start and stop ---------------------------------------------------------------------------


def test_a_first_run_makes_a_server_and_stops_it(fresh: Path) -> None:
    """In an empty directory a server starts, stores data, and stops with its only user."""
    with embedded_server(fresh) as uri:
        assert len(mongods(fresh)) == 1
        assert trials(uri) == 0
        post(uri, 1)
        assert trials(uri) == 1
    assert mongods(fresh) == []
    assert running_uri(fresh) is None


def test_a_later_run_finds_the_data_and_the_login_of_the_first(directory: Path) -> None:
    """Data and passwords outlive the server."""
    login = (directory / "login.json").read_text()
    with embedded_server(directory) as uri:
        post(uri, 100)
    with embedded_server(directory) as uri:
        assert trials(uri) == 1
    assert (directory / "login.json").read_text() == login


def test_the_server_outlives_an_error_of_its_user_no_longer_than_its_user(directory: Path) -> None:
    """The server stops also when its user fails."""
    with pytest.raises(ZeroDivisionError), embedded_server(directory):
        _ = 1 / 0
    assert mongods(directory) == []


def test_a_directory_without_a_server_has_none_to_find_or_stop(fresh: Path) -> None:
    """Asking for a server does not start one."""
    assert running_uri(fresh) is None
    assert not stop(fresh)
    assert mongods(fresh) == []


def test_a_server_can_be_stopped_under_its_users(directory: Path) -> None:
    """``stop`` ends the server and returns True, and its users still leave without an error."""
    with embedded_server(directory):
        assert stop(directory)
        # It gives up its files, for which ``stop`` waits, a moment before its process ends.
        until(lambda: mongods(directory) == [], "the end of the server")
        assert not stop(directory)


def test_a_running_server_is_found_and_joined(mongo_uri: str, mongo_directory: Path) -> None:
    """``running_uri`` and a second user get the URI of the first one."""
    assert running_uri(mongo_directory) == mongo_uri
    with embedded_server(mongo_directory) as uri:
        assert uri == mongo_uri
    assert running_uri(mongo_directory) == mongo_uri


def test_without_a_directory_the_default_one_is_used(
    monkeypatch: pytest.MonkeyPatch, mongo_uri: str, mongo_directory: Path
) -> None:
    """Every function uses ``default_directory`` unless it is given another."""
    monkeypatch.setattr(embedded, "default_directory", lambda: mongo_directory)
    assert running_uri() == mongo_uri
    with embedded_server() as uri:
        assert uri == mongo_uri


def test_the_default_directory_is_the_systems_place_for_data() -> None:
    """On Linux that is below XDG_DATA_HOME, which the tests keep out of the user's home."""
    if sys.platform.startswith("linux"):
        assert embedded.default_directory() == Path(os.environ["XDG_DATA_HOME"], "hyperhive/mongo")


# -- private ----------------------------------------------------------------------------------


def test_the_passwords_can_be_read_by_their_owner_only(
    mongo_uri: str, mongo_directory: Path
) -> None:
    """login.json has mode 0600, and its passwords are long and differ."""
    assert stat.S_IMODE((mongo_directory / "login.json").stat().st_mode) == 0o600
    login = json.loads((mongo_directory / "login.json").read_text())
    assert login["admin"] != login["hyperhive"]
    assert min(len(login["admin"]), len(login["hyperhive"])) >= 32


def test_the_passwords_are_not_in_the_process_list(mongo_uri: str, mongo_directory: Path) -> None:
    """Nothing of the login is on the server's command line."""
    login = json.loads((mongo_directory / "login.json").read_text())
    listing = subprocess.run(["ps", "-A", "-ww", "-o", "args="], stdout=subprocess.PIPE)
    assert str(mongo_directory).encode() in listing.stdout
    assert login["admin"].encode() not in listing.stdout
    assert login["hyperhive"].encode() not in listing.stdout


def test_the_server_requires_the_password(mongo_uri: str) -> None:
    """A wrong password and no password are refused, and neither can make a user."""
    host = f"127.0.0.1:{port_of(mongo_uri)}/hyperhive"
    with pytest.raises(LoginRefused), Store("mongodb://hyperhive:wrong@" + host) as store:
        store.ping()
    with pytest.raises(LoginRefused), Store("mongodb://" + host) as store:
        store.trials.find("s")
    with pymongo.MongoClient("mongodb://" + host) as client:
        for database in (client.admin, client.hyperhive):
            with pytest.raises(OperationFailure) as refused:
                database.command("createUser", "me", pwd="x", roles=["dbOwner"])
            assert refused.value.code == 13


def test_the_server_runs_with_its_doors_shut(admin_uri: str) -> None:
    """It has logins, one address, no localhost exception, scripts, compressors or Unix socket."""
    with pymongo.MongoClient(admin_uri) as client:
        options = client.admin.command("getCmdLineOpts")["parsed"]
        parameter = client.admin.command("getParameter", 1, enableLocalhostAuthBypass=True)
    assert options["security"] == {"authorization": "enabled", "javascriptEnabled": False}
    assert options["net"]["bindIp"] == "127.0.0.1"
    assert options["net"]["compression"] == {"compressors": "disabled"}
    assert options["net"]["unixDomainSocket"] == {"enabled": False}
    assert parameter["enableLocalhostAuthBypass"] is False


def test_the_server_listens_on_one_address_only(mongo_uri: str) -> None:
    """A connection to any other address of this machine, loopback or not, is refused."""
    port = port_of(mongo_uri)
    others = {"127.0.0.2", "::1"}
    with contextlib.suppress(OSError):  # a machine may be unable to resolve its own name
        others |= {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)}
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    for other in others - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|assign|not supported"):
            socket.create_connection((other, port), timeout=5)


# -- shared -----------------------------------------------------------------------------------


def test_two_users_share_one_server_and_the_last_one_stops_it(directory: Path) -> None:
    """The first user may leave first."""
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        uri = first.enter_context(embedded_server(directory))
        assert second.enter_context(embedded_server(directory)) == uri
        assert len(mongods(directory)) == 1
        first.close()
        trials(uri)
        second.close()
        assert mongods(directory) == []


def test_a_process_that_joined_keeps_the_server_running(directory: Path) -> None:
    """A server started here goes on for another process, and ends with that one."""
    with contextlib.ExitStack() as here:
        uri = here.enter_context(embedded_server(directory))
        with another_user(directory) as other:
            here.close()
            trials(uri)
            assert other.stdin is not None
            other.stdin.close()
            assert other.wait(30) == 0
    assert mongods(directory) == []


def test_users_that_come_at_once_start_one_server(directory: Path) -> None:
    """Four threads that find no server share the one that starts, and leave none behind."""

    def use(number: int) -> str:
        with embedded_server(directory) as uri:
            trials(uri)
            assert len(mongods(directory)) == 1
            return uri

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert mongods(directory) == []


# -- after a crash ----------------------------------------------------------------------------


def test_a_server_whose_users_were_killed_ends(directory: Path) -> None:
    """It serves the second user after the first one's SIGKILL, and ends after that of the last."""
    with another_user(directory) as first, another_user(directory) as second:
        first.kill()
        first.wait()
        time.sleep(2 * embedded._WATCH_EVERY_S)
        assert len(mongods(directory)) == 1
        assert running_uri(directory) is not None
        second.kill()
        second.wait()
        until(lambda: not mongods(directory), "the end of the server")
    until(lambda: not keepers(directory), "the end of its keeper")
    with embedded_server(directory) as uri:
        trials(uri)


@KILLED_IN_INITIALISATION
def test_a_server_whose_initialisation_was_killed_ends(
    fresh: Path, command: str, time_of_it: str
) -> None:
    """SIGKILL of the first run leaves no server, although nobody has a login for it yet."""
    with start(DIE_AT_A_COMMAND, fresh, command, time_of_it) as killed:
        assert killed.wait(60) == -signal.SIGKILL
    until(lambda: not mongods(fresh), "the end of the server")
    until(lambda: not keepers(fresh), "the end of its keeper")


@pytest.mark.parametrize("left", [["keeper.lock", "users.lock"], ["keeper.lock"], []])
def test_a_keeper_makes_no_file_in_a_directory_that_is_being_deleted(
    tmp_path: Path, left: list[str]
) -> None:
    """Whatever is already gone, it ends, and the directory can be removed."""
    for name in left:
        (tmp_path / name).touch()
    embedded.keep(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == left


def test_a_server_left_by_a_killed_run_is_joined_and_then_stopped(directory: Path) -> None:
    """If its keeper is killed too, the next run takes it over, has it kept, and stops it."""
    with another_user(directory) as killed:
        left = mongods(directory)
        for pid in keepers(directory):
            os.kill(pid, signal.SIGKILL)
        killed.kill()
        killed.wait()
    assert mongods(directory) == left
    with embedded_server(directory) as uri:
        assert mongods(directory) == left
        trials(uri)
        until(lambda: len(keepers(directory)) == 1, "a keeper")
    until(lambda: not mongods(directory), "the end of the server")


def test_a_killed_server_leaves_its_user_a_clean_way_out(directory: Path) -> None:
    """A killed mongod needs no stopping, and what it acknowledged is there afterwards."""
    with embedded_server(directory) as uri:
        before = trials(uri)
        post(uri, 200)
        kill_all(directory)
    with embedded_server(directory) as uri:
        assert trials(uri) == before + 1


def test_a_killed_server_that_another_run_started_is_no_wait(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that did not start the server also notices that it is dead, and does not wait."""
    monkeypatch.setattr(mongod, "START_TIMEOUT_S", 5.0)
    with another_user(directory) as killed, embedded_server(directory):
        killed.kill()
        killed.wait()
        kill_all(directory)
    assert running_uri(directory) is None


@pytest.mark.parametrize("starter_lives", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_killed_server_is_brought_back(directory: Path, starter_lives: bool) -> None:
    """A process that uses a killed server starts it again, on its port and its files."""
    with another_user(directory) as starter, embedded_server(directory) as uri:
        post(uri, 300 + starter_lives)
        before = trials(uri)
        if not starter_lives:
            starter.kill()
            starter.wait()
        for _ in range(2):
            kill_all(directory)
            until(lambda: running_uri(directory) == uri, "the server")
            assert len(mongods(directory)) == 1
        assert trials(uri) == before
    stop(directory)  # the starter was killed too
    assert mongods(directory) == []


def test_a_killed_server_that_does_not_start_is_tried_again(
    directory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason why a killed server does not start is logged; once it is fixed the server runs."""
    flag, mongod = tmp_path / "broken", tmp_path / "mongod"
    script = '#!/bin/sh\nif [ -e "{}" ]; then exit 1; fi\nexec "{}" "$@"\n'
    mongod.write_text(script.format(flag, find_mongod()))
    mongod.chmod(0o700)
    with embedded_server(directory, mongod=str(mongod)) as uri:
        flag.touch()
        kill_all(directory)
        until(lambda: caplog.text.count("mongod did not start") > 1, "a second try")
        flag.unlink()
        until(lambda: running_uri(directory) == uri, "the server")
    assert running_uri(directory) is None


def test_a_stopped_server_is_not_brought_back(directory: Path) -> None:
    """Processes that use a server do not start it again after ``stop``."""
    with embedded_server(directory):
        assert stop(directory)
        time.sleep(2 * embedded._WATCH_EVERY_S)
        assert mongods(directory) == []


@pytest.mark.long
def test_a_killed_server_can_be_stopped(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``stop`` after a server was killed keeps it from being brought back."""
    monkeypatch.setattr(embedded, "_WATCH_EVERY_S", 5.0)
    with embedded_server(directory):
        kill_all(directory)
        assert not stop(directory)
        assert not (directory / "server.json").exists()
        time.sleep(6.0)
        assert mongods(directory) == []


@pytest.mark.long
def test_a_stopped_server_is_found_where_it_was(directory: Path) -> None:
    """Started again by another process, it has the address that its users still ask."""
    with embedded_server(directory) as uri:
        post(uri, 400)
        before = trials(uri)
        for _ in range(2):
            assert stop(directory)
            with another_user(directory):
                assert running_uri(directory) == uri
                assert trials(uri) == before
    with embedded_server(directory) as later:
        assert later == uri


@pytest.mark.long
def test_a_user_is_told_once_that_its_server_was_stopped(directory: Path) -> None:
    """The function it gave is called, and again only if the server ran meanwhile."""
    told: list[str] = []
    with embedded_server(directory, on_stop=lambda: told.append("stopped")) as uri:
        for times in (1, 2):
            assert stop(directory)
            until(lambda times=times: len(told) == times, "word of the stop")
            with another_user(directory):
                trials(uri)
                time.sleep(2 * embedded._WATCH_EVERY_S)
    assert len(told) == 2


def test_a_user_that_did_not_ask_is_warned_that_its_server_was_stopped(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning says which command starts it again."""
    with embedded_server(directory):
        assert stop(directory)
        until(lambda: "`hyperhive mongo start` starts it again" in caplog.text, "a warning")


def test_users_are_not_left_waiting_at_an_address_that_is_taken(directory: Path) -> None:
    """While processes wait for it, the server starts at its address or says why it does not."""
    with embedded_server(directory) as uri:
        port = port_of(uri)
        assert stop(directory)
        with socket.create_server(("127.0.0.1", port)):
            with pytest.raises(ServerFailed, match=rf"port {port} is taken.*running commands wait"):
                use_once(directory)
            with pytest.raises(ServerFailed, match=rf"on port {port}: omit --port"):
                use_once(directory, port=port + 1)
        with another_user(directory):
            trials(uri)


def test_a_killed_server_is_not_brought_back_elsewhere(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """If its port was taken meanwhile, that is logged; it comes back once the port is free."""
    with embedded_server(directory) as uri:
        with locked(directory / "start.lock", ALONE):  # nobody may be faster
            kill_all(directory)
            taken = socket.create_server(("127.0.0.1", port_of(uri)))
        with taken:
            until(lambda: f"port {port_of(uri)} is taken" in caplog.text, "word of the port")
            assert mongods(directory) == []
        until(lambda: running_uri(directory) == uri, "the server")
        trials(uri)


@pytest.mark.long
def test_a_taken_port_is_left_when_nobody_waits_there(directory: Path) -> None:
    """Without other users the next server takes any port."""
    with embedded_server(directory) as uri:
        pass
    with socket.create_server(("127.0.0.1", port_of(uri))), embedded_server(directory) as other:
        assert port_of(other) != port_of(uri)
        trials(other)


def test_a_torn_note_of_a_running_server_is_overcome(directory: Path) -> None:
    """A process that died while it wrote server.json does not keep the next one from starting."""
    for torn in ("", "{", "[]"):
        (directory / "server.json").write_text(torn)
        assert running_uri(directory) is None
    with embedded_server(directory) as uri:
        trials(uri)


def test_a_port_that_another_server_took_is_not_mistaken_for_ours(
    directory: Path, mongo_uri: str
) -> None:
    """If another MongoDB has the port of a stale note, a server of our own is started."""
    (directory / "server.json").write_text(json.dumps({"port": port_of(mongo_uri)}))
    assert running_uri(directory) is None
    with embedded_server(directory) as uri:
        assert port_of(uri) != port_of(mongo_uri)
        assert len(mongods(directory)) == 1


def test_files_of_an_interrupted_initialisation_are_made_again(fresh: Path) -> None:
    """The files of a run that died before it made the users do not stop the next one."""
    (fresh / "data").mkdir(parents=True)
    (fresh / "data" / "WiredTiger").write_text("junk")
    login = {"admin": "a", "hyperhive": "b", "ready": False}
    (fresh / "login.json").write_text(json.dumps(login))
    with embedded_server(fresh) as uri:
        post(uri, 1)
    assert json.loads((fresh / "login.json").read_text())["ready"] is True


@pytest.mark.long
@KILLED_IN_INITIALISATION
def test_a_run_killed_in_initialisation_costs_nothing(
    fresh: Path, command: str, time_of_it: str
) -> None:
    """The next run has one server, keeps its data, and no server of the dead run is left."""
    with start(DIE_AT_A_COMMAND, fresh, command, time_of_it) as killed:
        assert killed.wait(60) == -signal.SIGKILL
    with embedded_server(fresh) as uri:
        assert len(mongods(fresh)) == 1
        post(uri, 1)
    assert mongods(fresh) == []
    with embedded_server(fresh) as uri:
        assert trials(uri) == 1


# -- what can be in the way -------------------------------------------------------------------


def test_a_mongod_is_found_where_it_was_installed(tmp_path: Path) -> None:
    """The given path is used; if nothing is there, the error names it."""
    assert find_mongod(sys.executable) == Path(sys.executable)
    with pytest.raises(NoServerBinary, match=r"no/such/mongod.*--mongod"):
        find_mongod(str(tmp_path / "no/such/mongod"))


def test_a_mongod_on_the_path_goes_before_the_extras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's mongod is preferred to the one in the wheel."""
    own = tmp_path / "mongod"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_mongod() == own


def test_without_a_mongod_the_error_says_how_to_get_one(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no mongod is given, on PATH or in a wheel, one sentence names three solutions."""
    monkeypatch.setenv("PATH", str(fresh))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoServerBinary, match=r"hyperhive\[mongod\].*--mongod.*--mongo "):
        use_once(fresh)


@pytest.mark.parametrize(
    ("system", "machine", "has_extra"),
    [
        ("Linux", "x86_64", True),
        ("Darwin", "arm64", True),
        ("Windows", "AMD64", True),
        ("Linux", "aarch64", False),
        ("Linux", "armv7l", False),
    ],
)
def test_the_extra_is_advised_where_it_installs_a_mongod(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, has_extra: bool
) -> None:
    """Elsewhere the sentence names MongoDB's own package and Docker: no advice goes in a circle."""
    monkeypatch.setenv("PATH", str(fresh))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(NoServerBinary, match=r"--mongod PATH.*--mongo URI") as raised:
        find_mongod()
    assert ("hyperhive[mongod]" in str(raised.value)) == has_extra
    assert ("Docker" in str(raised.value)) != has_extra


def test_a_mongod_that_ends_at_once_is_an_error_and_no_obstacle(fresh: Path) -> None:
    """A program that is not mongod raises an error with the log, and the next try is possible."""
    with pytest.raises(ServerFailed, match=r"mongod did not start: .*mongod\.log"):
        use_once(fresh, mongod=shutil.which("false"))
    assert running_uri(fresh) is None
    assert not (fresh / "server.json").exists()


@pytest.mark.long
def test_the_reason_in_mongods_log_is_told(directory: Path) -> None:
    """The reason that mongod logs is quoted, and the mongod that runs is not harmed."""
    note = directory / "server.json"
    with embedded_server(directory) as uri:
        kept = note.read_text()
        note.unlink()
        with pytest.raises(ServerFailed, match=r"DBPathInUse.*mongod\.log"):
            use_once(directory)
        note.write_text(kept)
        trials(uri)


def test_a_port_can_be_chosen(directory: Path) -> None:
    """The server listens on the given port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with embedded_server(directory, port=port) as uri:
        assert port_of(uri) == port
        trials(uri)


def test_a_port_in_use_is_an_error_that_names_it(directory: Path) -> None:
    """A port that another program listens on is refused in one sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerFailed, match=f"port {port} is used"):
            use_once(directory, port=port)
    assert mongods(directory) == []
