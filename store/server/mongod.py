"""A mongod process on a directory of its own: started, waited for, ended; and what its log says."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pymongo
from pymongo import errors as mongo

from hyperhive.common.locks import is_unlocked
from hyperhive.store.errors import ServerFailed

START_TIMEOUT_S = 60.0
_LITTLE_ROOM = 1 << 20
"""With less free disk space than this, in bytes, mongod cannot even write its log."""


_OPTIONS = ["--auth", "--noscripting", "--networkMessageCompressors", "disabled"]
_OPTIONS += ["--wiredTigerCacheSizeGB", "0.25"]
_OPTIONS += ["--nounixsocket"] if sys.platform != "win32" else []


class Mongod:
    """The mongod of a directory, whichever process started it."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self._lock = self.data / "mongod.lock"
        self._log = directory / "mongod.log"
        self._process: subprocess.Popen[bytes] | None = None

    def is_running(self) -> bool:
        """Return whether a mongod uses these files: it locks its lock file while it lives."""
        if self._process is not None:
            self._process.poll()  # a child that was killed remains a zombie until it is polled
        return not is_unlocked(self._lock)

    def process_id(self) -> str:
        """Return the process id of the mongod that is running."""
        return self._lock.read_text().strip()

    def launch(
        self,
        binary: Path,
        port: int,
        *options: str,
        addresses: tuple[str, ...] = (),
        query: str = "",
    ) -> None:
        """Start mongod on a port of 127.0.0.1 and wait until it answers.

        Raises ``ServerFailed``; no process is left then.

        Args:
            binary: the executable.
            port: the TCP port.
            options: further ones of mongod.
            addresses: further ones of this machine to listen on.
            query: the options with which a client must connect, as the end of a URI.
        """
        self.data.mkdir(exist_ok=True)
        self._log.unlink(missing_ok=True)  # mongod would keep the log of every run
        command = [str(binary), "--dbpath", str(self.data), "--port", str(port)]
        command += ["--bind_ip", ",".join(("127.0.0.1", *addresses)), *_OPTIONS]
        command += ["--logpath", str(self._log), *options]
        # A session of its own: Ctrl-C in the terminal reaches us, and we stop it in good order.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_for_start(self._process, f"mongodb://127.0.0.1:{port}/{query}")
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _wait_for_start(self, process: subprocess.Popen[bytes], uri: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with client(uri) as server:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise ServerFailed(f"mongod did not start: {self.last_words()}")
                try:
                    server.admin.command("ping")
                    return
                except mongo.AutoReconnect:
                    time.sleep(0.05)
        raise ServerFailed(
            f"mongod did not answer within {START_TIMEOUT_S:.0f} s: see its log ({self._log})"
        )

    def terminate(self) -> None:
        """End the mongod that is running, without a login for it."""
        os.kill(int(self.process_id()), signal.SIGTERM)
        self.wait_for_end()

    def wait_for_end(self) -> None:
        """Wait until the mongod has ended. Raises ``ServerFailed``."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.is_running():
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"mongod did not stop within {START_TIMEOUT_S:.0f} s: end process "
                    f"{self.process_id()} yourself (its files: {self.data})"
                )
            time.sleep(0.02)
        if self._process is not None:
            self._process.wait()

    def last_words(self) -> str:
        """Return the reason for its end that mongod's log gives, and where the log is."""
        reasons = []
        for line in self._log_lines():  # one JSON object per line
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("s") in ("E", "F"):
                    reason = entry.get("attr", {}).get("error") or entry.get("msg")
                    # WiredTiger gives the system's error number, or a negative one of its own.
                    is_errno = isinstance(reason, int) and reason > 0
                    reasons.append(os.strerror(reason) if is_errno else str(reason))
        if not reasons and shutil.disk_usage(self.data).free < _LITTLE_ROOM:
            reasons = [os.strerror(errno.ENOSPC)]  # then the log is empty too
        reason = reasons[0] if reasons else "it ended at once"
        return f"{reason} (log: {self._log})"

    def _log_lines(self) -> list[str]:
        if not self._log.exists():
            return []
        return self._log.read_text(errors="replace").splitlines()


def client(uri: str) -> Any:
    """Return a client of a server on this machine."""
    # Two seconds are plenty on loopback, and enough to tell a dead server from a slow one.
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=2000, socketTimeoutMS=10000)


def free_port() -> int:
    """Return a free TCP port on 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def require_free(port: int) -> int:
    """Return the port; raises ``ServerFailed`` if another program uses it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerFailed(
                f"port {port} is used by another program ({error.strerror}): choose another with "
                "--port, or omit --port and hyperhive finds a free one"
            ) from error
    return port
