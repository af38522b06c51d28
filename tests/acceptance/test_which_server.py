"""All commands use the server of one rule: the address given, the saved login, the private one."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator

import pytest
from support.digit_trials import is_one_line
from support.home import Home, until

from hyperhive import cli
from hyperhive.common.files import write_private
from hyperhive.store.errors import LoginRevoked
from hyperhive.store.server import login
from hyperhive.store.server.client import with_login
from hyperhive.store.server.privileges import VIEWER, WORKER
from hyperhive.store.store import Store

READING = [
    ["status"],
    ["best"],
    ["dashboard", "--port", "0"],
    ["study", "cancel", "pets"],
    ["study", "delete", "pets", "--yes"],
    ["benchmark", "--compare"],
    ["predict-cam", "--study", "pets", "picture.png"],
]
NAMES = [" ".join(command) for command in READING]


def call(home: Home, command: list[str], **variables: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it said on standard error."""
    (home.work / "picture.png").touch()
    if command[0] == "predict-cam":
        done = home.call(*command[1:], program=cli.predict_cam, **variables)
    else:
        done = home.call(*command, **variables)
    return done.returncode, done.stderr


@pytest.fixture
def admin(admin_uri: str, store: Store) -> Iterator[Store]:
    """Give the store as its administrator; whom a test invites is revoked after it."""
    with Store(admin_uri) as admin:
        yield admin
        for user in admin.database.command("usersInfo", 1)["users"]:
            if user["user"] in ("nano", "nano.lab", "studio"):
                admin.roles.revoke(user["user"])


def join(home: Home, uri: str) -> Path:
    """Save a login as ``hyperhive worker --save-login`` does."""
    path = Path(home.environment["XDG_CONFIG_HOME"]) / "hyperhive" / "login.uri"
    write_private(path, uri + "\n")
    return path


@pytest.mark.long
@pytest.mark.parametrize(
    "command", [*READING, ["objectives", "publish", "digits.py"]], ids=[*NAMES, "publish"]
)
def test_a_reading_command_makes_no_server(home: Home, command: list[str]) -> None:
    """Where no server has run it says what to do in one sentence, and leaves nothing behind."""
    code, said = call(home, command)
    assert code == 2
    assert is_one_line(said)
    assert "there is nothing on this machine yet" in said
    assert not home.mongo.exists()
    home.is_empty()


@pytest.mark.parametrize("command", READING, ids=NAMES)
def test_a_joined_device_reads_its_fleet(
    home: Home, admin: Store, admin_uri: str, command: list[str]
) -> None:
    """The saved login is used without any option; no server is made beside it."""
    join(home, with_login(admin_uri, "nano", admin.roles.invite("nano", VIEWER)))
    if command[0] == "dashboard":
        command = [*command, "--study", "pets"]
    code, said = call(home, command)
    if command[0] not in ("status", "benchmark"):
        assert code == 1
        assert admin.address in said
    else:
        assert (code, said) == (0, "")
    assert not home.mongo.exists()


@pytest.mark.parametrize("command", READING, ids=NAMES)
def test_a_revoked_device_is_told_so(
    home: Home, admin: Store, admin_uri: str, command: list[str]
) -> None:
    """Started again it hears what its running worker heard, and which file the login came from."""
    path = join(home, with_login(admin_uri, "nano", admin.roles.invite("nano", WORKER)))
    admin.roles.revoke("nano")
    code, said = call(home, command)
    assert code == 1
    assert is_one_line(said)
    assert "no longer accepts this login: it was revoked; ask for a new line of" in said
    assert str(path) in said
    assert "--mongo" not in said


def test_a_revoked_worker_is_told_so(home: Home, admin: Store, admin_uri: str) -> None:
    """The same holds for a worker, which ends before it starts a slot."""
    join(home, with_login(admin_uri, "nano", admin.roles.invite("nano", WORKER)))
    admin.roles.revoke("nano")
    done = home.run("worker", "--device", "cpu", "--slots", "1")
    assert done.returncode == 1
    assert "no longer accepts this login: it was revoked" in done.stderr
    assert "--mongo" not in done.stderr


def test_a_connection_that_is_open_hears_of_it_too(admin: Store, admin_uri: str) -> None:
    """A dashboard or camera that runs is not told to write a login that it has."""
    uri = with_login(admin_uri, "nano", admin.roles.invite("nano", VIEWER))
    with Store(uri) as viewer:
        viewer.ping()
        admin.roles.revoke("nano")
        with pytest.raises(LoginRevoked, match="it was revoked"):
            viewer.ping()


@pytest.mark.parametrize(
    "given", ["--mongo", "HYPERHIVE_MONGO", "HYPERHIVE_MONGO_FILE"], ids=lambda given: given
)
def test_what_is_given_goes_before_the_saved_login(
    home: Home, store: Store, mongo_uri: str, given: str
) -> None:
    """An option or variable wins, and an error names it and not the other."""
    join(home, mongo_uri)
    bad = "mongodb://127.0.0.1:99999/x"
    if given == "--mongo":
        done = home.call("status", "--mongo", bad)
    else:
        done = home.call("status", **{given: bad})
    assert done.returncode == 2
    assert f"the MongoDB address in {given} is not valid: the port of 127.0.0.1" in done.stderr


def test_a_file_with_a_bad_address_is_named(home: Home) -> None:
    """The file is named, not the option that names the file."""
    file = home.work / "admin.uri"
    file.write_text("mongodb://u:s3cr3t@h:0/x")
    done = home.call("mongo", "invite", "nano", HYPERHIVE_MONGO_FILE=str(file))
    assert f"the MongoDB address in {file} is not valid: the port of h" in done.stderr


def test_an_empty_address_is_refused(home: Home, store: Store, mongo_uri: str) -> None:
    """An empty --mongo, as a script with an unset variable gives it, is not taken for a file."""
    join(home, mongo_uri)
    done = home.call("status", "--mongo", "")
    assert done.returncode == 2
    assert "--mongo is empty" in done.stderr


@pytest.mark.long
def test_a_workers_login_cannot_search(home: Home, admin: Store, admin_uri: str) -> None:
    """The coordinator of a joined device says whose login it takes and which one it has."""
    path = join(home, with_login(admin_uri, "nano", admin.roles.invite("nano", WORKER)))
    done = home.call("coordinator", "--dataset", "digits", "--trials", "1")
    assert done.returncode == 1
    assert is_one_line(done.stderr)
    assert f"use the login of a coordinator in place of the one in {path}" in done.stderr
    assert "`hyperhive mongo invite NAME --role coordinator`" in done.stderr


@pytest.mark.long
def test_a_private_server_that_has_run_is_read(home: Home) -> None:
    """What one machine searched stays readable after the server has stopped."""
    server = home.start("mongo", "start")
    server.says("MongoDB runs at 127.0.0.1:")
    server.signal(signal.SIGINT)
    assert server.end() == 0
    done = home.call("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no study yet on 127.0.0.1:" in done.stdout
    assert home.server() is None
    home.is_empty()


@pytest.mark.parametrize(
    ("uri", "device"),
    [
        ("mongodb://nano:p@h:1/hyperhive?tls=true", "nano"),
        ("mongodb://lab.nano_2-b:p@h:1/hyperhive", "lab.nano_2-b"),
        ("mongodb://worker:p@h:1/hyperhive?authSource=hyperhive&tls=true", None),
        ("mongodb://worker:p@h:1/hyperhive", None),
        ("mongodb://me:p@h:1/hyperhive?authSource=admin", None),
        ("mongodb://me%40home:p@h:1/hyperhive", None),
        ("mongodb://h:1/hyperhive", None),
        (None, None),
    ],
)
def test_the_name_of_a_device_is_in_its_line(uri: str | None, device: str | None) -> None:
    """The line of ``invite`` names the device; a login that several machines share does not."""
    assert login.device_of(uri) == device


def test_the_invited_name_is_the_devices_name(home: Home, admin: Store, admin_uri: str) -> None:
    """``status`` shows the worker under the name by which it can be revoked."""
    join(home, with_login(admin_uri, "nano.lab", admin.roles.invite("nano.lab", WORKER)))
    worker = home.start("worker", "--device", "cpu", "--slots", "1")
    worker.says("connected to")
    (present,) = until(admin.workers.present, "the worker")
    assert present.id.startswith(f"nano.lab-{home.slots(worker)[0]}-")
    assert "nano.lab-" in home.call("status").stdout
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0


def test_who_can_be_revoked_is_told(home: Home, admin: Store, admin_uri: str) -> None:
    """A name that was misspelt is answered with those that were invited."""
    admin.roles.invite("nano")
    admin.roles.invite("studio", "coordinator")
    done = home.call("mongo", "revoke", "nan", HYPERHIVE_MONGO=admin_uri)
    assert done.returncode == 1
    assert "those invited are nano, studio" in done.stderr
    for name in ("nano", "studio"):
        assert home.call("mongo", "revoke", name, HYPERHIVE_MONGO=admin_uri).returncode == 0


def test_a_second_invitation_says_what_it_ends(home: Home, admin: Store, admin_uri: str) -> None:
    """Whoever invites a name again reads that the line before stops working."""
    first = home.call("mongo", "invite", "nano", HYPERHIVE_MONGO=admin_uri)
    assert "was invited before" not in first.stderr
    again = home.call("mongo", "invite", "nano", HYPERHIVE_MONGO=admin_uri)
    assert "nano was invited before: its old login has ended" in again.stderr


@pytest.mark.parametrize("name", ["worker", "coordinator", "viewer"])
def test_a_device_has_no_name_of_a_role(home: Home, name: str) -> None:
    """That user is compose.yaml's, whose password an invitation would change."""
    done = home.call("mongo", "invite", name, HYPERHIVE_MONGO="mongodb://a:b@h/x?authSource=admin")
    assert done.returncode == 2
    assert f"{name} is the name of a role" in done.stderr
