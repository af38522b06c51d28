"""A worker as a service: the files for launchd and systemd, and that their command works."""

from __future__ import annotations

import configparser
import inspect
import os
import plistlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.home import REPOSITORY, Home, until

from hyperhive.store.store import Store
from hyperhive.worker.cli import worker

PLIST = REPOSITORY / "deploy" / "hyperhive-worker.plist"
UNIT = REPOSITORY / "deploy" / "hyperhive-worker.service"
GRACE = inspect.signature(worker).parameters["grace"].default.default
SPARE_S = 20.0
"""The time to give a trial back to a slow server, after the grace."""


@pytest.fixture
def agent() -> dict[str, Any]:
    """Return the content of the launchd agent's file."""
    content: dict[str, Any] = plistlib.loads(PLIST.read_bytes())
    return content


@pytest.fixture
def unit() -> configparser.ConfigParser:
    """Return the content of the systemd unit."""
    content = configparser.ConfigParser(interpolation=None, delimiters="=", comment_prefixes="#")
    content.optionxform = str  # type: ignore[assignment,method-assign]
    content.read(UNIT)
    return content


def test_launchd_starts_stops_and_restarts(agent: dict[str, Any]) -> None:
    """It starts at login, restarts after a crash but not after an exit code, and has its grace."""
    assert agent["Label"] == "org.hyperhive.worker"
    assert agent["RunAtLoad"] is True
    assert agent["KeepAlive"] == {"Crashed": True}
    assert agent["ExitTimeOut"] >= GRACE + SPARE_S
    assert agent["Umask"] == 0o077
    assert "AbandonProcessGroup" not in agent


def test_systemd_starts_stops_and_restarts(unit: configparser.ConfigParser) -> None:
    """It restarts a failed worker some times, not for wrong usage, and sends one SIGTERM."""
    service = unit["Service"]
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "2"
    assert (service["KillMode"], service["KillSignal"]) == ("mixed", "SIGTERM")
    assert float(service["TimeoutStopSec"]) >= GRACE + SPARE_S
    tries = int(unit["Unit"]["StartLimitBurst"])
    assert tries * int(service["RestartSec"]) < int(unit["Unit"]["StartLimitIntervalSec"])
    assert unit["Install"]["WantedBy"] == "default.target"


@pytest.mark.parametrize("path", [PLIST, UNIT], ids=lambda path: path.name)
def test_no_login_is_in_a_service(path: Path) -> None:
    """Everyone can read a service's file: the login is in the file of ``--save-login``."""
    text = path.read_text()
    assert "HYPERHIVE_MONGO" not in text
    assert "://" not in text.replace("http://www.apple.com/DTDs", "")


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """``systemd-analyze verify`` accepts the unit, and complains about a misspelt word."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    program = tmp_path / "hyperhive" / ".venv" / "bin" / "hyperhive"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    misspelt = tmp_path / "misspelt.service"
    misspelt.write_text(UNIT.read_text().replace("KillMode", "KilMode"))
    complaints = []
    for path in (UNIT, misspelt):
        checked = subprocess.run(
            [analyze, "--user", "verify", str(path)],
            env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        complaints.append(checked.stderr)
        assert (checked.returncode == 0) or path is misspelt, checked.stderr
    assert complaints[0] == ""
    assert "KilMode" in complaints[1]


@pytest.mark.long
def test_launchds_command_is_a_worker_that_stops_in_order(
    home: Home, store: Store, mongo_uri: str, agent: dict[str, Any]
) -> None:
    """The shell becomes the worker, which finds the saved login, is nice, and ends at SIGTERM.

    Neither a command line nor the log has the password. (The flag for a MacBook's battery is
    omitted: a machine without a battery refuses it.)
    """
    folder = Path(home.environment["HOME"])
    program = folder / "hyperhive" / ".venv" / "bin" / "hyperhive"
    log = folder / "Library" / "Logs" / "hyperhive-worker.log"
    login = Path(home.environment["XDG_CONFIG_HOME"]) / "hyperhive" / "login.uri"
    for path in (program, log, login):
        path.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m hyperhive "$@" --device cpu --slots 1\n'
    )
    program.chmod(0o755)
    login.write_text(mongo_uri)
    login.chmod(0o600)
    password = mongo_uri.partition("://")[2].partition("@")[0].partition(":")[2]
    command = [part.replace(" --pause-on-battery", "") for part in agent["ProgramArguments"]]
    assert command != agent["ProgramArguments"]
    running = subprocess.Popen(command, env=home.environment, cwd="/")
    try:
        until(lambda: log.exists() and "connected to" in log.read_text(), "a worker")
        (shown,) = [line for pid, line in home.processes().items() if pid == running.pid]
        assert " worker --nice 10" in shown
        niceness = [os.getpriority(os.PRIO_PROCESS, pid) for pid in home.processes()]
        assert len(niceness) >= 2
        assert set(niceness) == {min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)}
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.wait()
    assert store.workers.present() == []
    assert password not in log.read_text() + "".join(home.processes().values()) + shown
