"""A server for other machines without Docker: ``hyperhive mongo share``, over TLS.

The device has another home on this machine. Only 127.0.0.1 is used: the mongod of the tests is the
old one of the extra, which is not opened to a network.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import stat
from pathlib import Path
from typing import Iterator

import pytest
from support.digit_trials import is_one_line
from support.home import Home, Program, until

from hyperhive.store.server.mongod import free_port

pytestmark = pytest.mark.long


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Home]:
    """Give the home of another machine."""
    device = Home(tmp_path / "device")
    yield device
    device.close()


@pytest.fixture
def shared(home: Home) -> Iterator[Path]:
    """Give the folder of the shared server's files, and delete its 300 MB in the end."""
    folder = home.mongo.parent / "shared"
    yield folder
    home.close()
    for data in folder.glob("**/data"):
        shutil.rmtree(data)


def share(home: Home, *arguments: str) -> Program:
    server = home.start("mongo", "share", *arguments)
    server.says("to let a device in")
    return server


def test_a_fleet_without_docker(home: Home, device: Home, shared: Path) -> None:
    """From nothing to a device that works and is revoked, and no command needs an address."""
    port = str(free_port())
    server = share(home, "--host", "127.0.0.1", "--port", port)
    assert f"runs at 127.0.0.1:{port}/hyperhive" in server.said()
    assert "studies of this machine's private server stay there: to go back" in server.said()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in shared.glob("*.*")}
    assert {modes[name] for name in ("admin.uri", "ca.key", "mongo.pem", "owner.password")} == {
        0o600
    }

    invited = home.call("mongo", "invite", "nano")
    assert invited.returncode == 0, invited.stderr
    first, *command = shlex.split(invited.stdout)
    line = first.partition("=")[2]
    worker = device.start(*command[1:], "--slots", "1", "--device", "cpu", HYPERHIVE_MONGO=line)
    worker.says("connected to")
    until(lambda: "nano-" in home.call("status").stdout, "the device")
    study = ["coordinator", "--dataset", "digits", "--trials", "1", "--no-refit"]
    searched = home.run(*study)
    assert searched.returncode == 0, searched.stderr
    for reader in (home, device):  # by the saved logins
        assert "digits" in reader.call("status").stdout
        assert f"127.0.0.1:{port}" in reader.call("best").stdout
    assert not home.mongo.exists()
    assert not device.mongo.exists()

    assert home.call("mongo", "revoke", "nano").returncode == 0
    assert worker.end() == 1
    assert "no longer accepts this login: it was revoked" in worker.said()
    server.signal(signal.SIGINT)
    assert server.end() == 0
    home.is_empty()
    passwords = [(shared / "owner.password").read_text(), line.partition("@")[0].rpartition(":")[2]]
    passwords += [(shared / "admin.uri").read_text().partition("@")[0].rpartition(":")[2]]
    for password in passwords:
        assert password not in server.said() + worker.said() + (shared / "mongod.log").read_text()


def test_the_next_share_goes_on(home: Home, device: Home, shared: Path) -> None:
    """Users, data and CA stay, whichever way the command ended; a worker reconnects by itself."""
    server = share(home, "--host", "127.0.0.1", "--port", str(free_port()))
    line = shlex.split(home.call("mongo", "invite", "nano").stdout)[0].partition("=")[2]
    worker = device.start("worker", "--slots", "1", "--device", "cpu", HYPERHIVE_MONGO=line)
    worker.says("connected to")
    own = home.start("worker", "--slots", "1", "--device", "cpu")
    own.says("connected to")
    kept = {
        name: (shared / name).read_bytes() for name in ("ca.pem", "owner.password", "admin.uri")
    }

    second = home.call("mongo", "share")
    assert second.returncode == 1
    assert is_one_line(second.stderr)
    assert "runs already" in second.stderr

    pid = int((shared / "data" / "mongod.lock").read_text())
    os.kill(pid, signal.SIGKILL)
    server.says("mongod was killed and is being started again")
    until(lambda: "nano-" in home.call("status").stdout, "the device after a kill of mongod")

    os.kill(server.pid, signal.SIGKILL)
    server.end()
    again = share(home)
    until(lambda: "nano-" in home.call("status").stdout, "the device after a kill of share")
    assert {name: (shared / name).read_bytes() for name in kept} == kept
    assert worker.is_running()
    assert own.is_running()
    for program in (worker, own, again):
        program.signal(signal.SIGTERM)
        assert program.end() == 0, program.said()
    home.is_empty()
    ended = home.call("status")
    assert ended.returncode == 1
    assert "does not answer: start it" in ended.stderr
    assert "`hyperhive mongo share`, if it was shared from this machine" in ended.stderr
    assert "login.uri, the saved login, or delete that file to go back" in ended.stderr


def test_a_start_that_was_killed_has_made_nothing(home: Home, shared: Path) -> None:
    """The data get their place when the administrator is made; without that, it starts anew."""
    (shared / "new" / "data").mkdir(parents=True)
    (shared / "new" / "data" / "WiredTiger").write_text("half")
    (shared / "admin.uri").write_text("mongodb://admin:half@127.0.0.1:1/hyperhive")
    server = share(home, "--host", "127.0.0.1", "--port", str(free_port()))
    assert home.call("status").returncode == 0
    server.signal(signal.SIGINT)
    assert server.end() == 0
    assert not (shared / "new").exists()

    (shared / "admin.uri").unlink()
    lost = home.call("mongo", "share", "--host", "127.0.0.1", "--port", str(free_port()))
    assert lost.returncode == 1
    assert "admin.uri is missing" in lost.stderr
    assert (shared / "data").exists()


def test_a_machine_of_another_fleet_shares_nothing(home: Home, shared: Path) -> None:
    """Its saved login is not replaced: the sentence names the fleet and the file."""
    login = Path(home.environment["XDG_CONFIG_HOME"]) / "hyperhive" / "login.uri"
    login.parent.mkdir(parents=True)
    login.write_text("mongodb://nano:p@192.168.1.10:27017/hyperhive")
    login.chmod(0o600)
    done = home.call("mongo", "share", "--host", "127.0.0.1", "--port", str(free_port()))
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert "192.168.1.10:27017/hyperhive" in done.stderr
    assert str(login) in done.stderr
    home.is_empty()
