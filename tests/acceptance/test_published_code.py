"""Code that is published once and runs on a device that has nothing but hyperhive.

Coordinator and device have homes of their own; the device gets one pasted line, and no file.
"""

from __future__ import annotations

import shlex
import signal
from pathlib import Path
from typing import Iterator

import pytest
from support.fleet import ended
from support.home import Home, Program, until

from hyperhive.store.server.mongod import free_port
from hyperhive.store.store import Store

PARABOLA = """
from hyperhive import hp

def train(config, trial):
    trial.report(1, seen=config["x"])
    return {{"loss": (config["x"] - 1) ** 2, "version": {version}}}

space = {{"x": hp.uniform("x", -5, 5)}}
"""


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Home]:
    """Give the empty home of another machine."""
    device = Home(tmp_path / "nano")
    yield device
    device.close()


def paste(device: Home, line: str) -> Program:
    """Run the line of ``invite`` on a device."""
    variable, *command = shlex.split(line)
    name, _, uri = variable.partition("=")
    return device.start(*command[1:], "--slots", "1", "--device", "cpu", **{name: uri})


def test_a_device_with_one_line_runs_published_code(
    home: Home, device: Home, mongo_uri: str, admin_uri: str, store: Store
) -> None:
    """A study runs the version it began with; a changed file must be published, and is another."""
    where, file = {"HYPERHIVE_MONGO": mongo_uri}, home.work / "parabola.py"
    file.write_text(PARABOLA.format(version=1))
    published = home.call("objectives", "publish", "parabola.py", **where)
    assert published.returncode == 0, published.stderr
    objective = published.stdout.split("its objective is ")[1].partition(";")[0]
    key = published.stdout.split("trust key ")[1].split()[0]
    invited = home.call("mongo", "invite", "nano", "--mongo", admin_uri)
    assert invited.stdout.endswith(f" hyperhive worker --save-login --trust {key}\n")
    mistyped = device.call("worker", "--trust", key[:-1])
    assert mistyped.returncode == 2
    assert "typing error" in mistyped.stderr
    worker = paste(device, invited.stdout)
    worker.says(f"objective {objective} is published")

    study = ("coordinator", "parabola.py", "--trials", "2")
    done = home.run(*study, **where)
    assert done.returncode == 0, done.stderr
    trials = ended(store, "parabola")
    assert {trial.objective for trial in trials} == {objective}
    assert {str(trial.owner).split("-")[0] for trial in trials} == {"nano"}

    file.write_text(PARABOLA.format(version=2))
    refused = home.call(*study, "--name", "another", **where)
    assert refused.returncode == 2
    assert "parabola.py is not what was published as parabola.py@" in refused.stderr
    again = home.call("objectives", "publish", "parabola.py", **where)
    title = again.stdout.split(" as ")[1].partition(":")[0]
    worker.says(f"objective parabola.py:train@{title[-12:]} is published")
    assert home.call("objectives", "withdraw", title, **where).returncode == 0
    listed = home.call("objectives", "list", **where).stdout
    where, whose, entry = listed.splitlines()
    assert (where, whose) == (f"on {store.address}:", f"key {key}, this user's:")
    assert entry.startswith(f"  parabola.py@{objective[-12:]} (20")
    assert entry.endswith(f"): {objective}")
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert not list(device.work.iterdir())
    assert home.call("mongo", "revoke", "nano", "--mongo", admin_uri).returncode == 0


@pytest.mark.long
def test_a_device_of_a_shared_server_trusts_a_key_before_anything_is_published(
    home: Home, device: Home
) -> None:
    """Over TLS: the line has the key, the saved login keeps it, and a revocation reaches it.

    The same bytes under a new key let the study go on.
    """
    server = home.start("mongo", "share", "--host", "127.0.0.1", "--port", str(free_port()))
    server.says("to let a device in")
    first = paste(device, home.call("mongo", "invite", "nano").stdout)
    first.says("connected to")
    first.signal(signal.SIGTERM)
    assert first.end() == 0
    worker = device.start("worker", "--slots", "2", "--device", "cpu")

    file = home.work / "parabola.py"
    file.write_text(PARABOLA.format(version=1))
    published = home.call("objectives", "publish", "parabola.py")
    assert published.returncode == 0, published.stderr
    worker.says("is published")
    done = home.run("coordinator", "parabola.py", "--trials", "4")
    assert done.returncode == 0, done.stderr

    asked = home.call("objectives", "revoke")
    assert (asked.returncode, "pass --yes" in asked.stderr) == (2, True)
    revoked = home.call("objectives", "revoke", "--yes")
    assert "start each worker with a new line of `hyperhive mongo invite`" in revoked.stdout
    worker.says("it was revoked")
    until(lambda: "refuses key" in home.call("status").stdout, "the refusal in status")
    again = home.call("mongo", "invite", "nano").stdout
    old = published.stdout.split("trust key ")[1].split()[0]
    assert "--trust ed25519:" in again
    assert old not in again
    worker.signal(signal.SIGTERM)
    worker.end()

    assert home.call("objectives", "publish", "parabola.py").returncode == 0
    worker = paste(device, again)
    worker.says("is published")
    done = home.run("coordinator", "parabola.py", "--trials", "6")  # of the version it began with
    assert done.returncode == 0, done.stderr
    worker.signal(signal.SIGTERM)
    worker.end()
    server.signal(signal.SIGINT)
    assert server.end() == 0
