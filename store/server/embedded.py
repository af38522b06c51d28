"""A private mongod for one person's machine: no container, no installation, no set-up.

It keeps its files in the user's data directory, listens on 127.0.0.1 only, and has two users whose
passwords are made here. All of that person's commands share it: the first one that needs it starts
it, the last one stops it; if that one is killed, ``keeper`` does. Its port stays the same while
anything uses it, through crashes and stops, because clients keep the address. For a fleet, run a
server of your own (compose.yaml): the mongod of the ``mongod`` extra is old, and is never opened to
the network.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Iterator

from portalocker import unlock
from pymongo import errors as mongo

from hyperhive.common import files, paths
from hyperhive.common.locks import ALONE, AT_ONCE, LOCK_IS_HELD, SHARED, is_unlocked, locked
from hyperhive.store.errors import ServerFailed, StoreError
from hyperhive.store.server import mongod as process
from hyperhive.store.server.address import DEFAULT_DATABASE
from hyperhive.store.server.binary import find_mongod
from hyperhive.store.server.embedded_files import ADMIN, USER, Login, Note
from hyperhive.store.server.mongod import Mongod, client, free_port, require_free

log = logging.getLogger(__name__)

_RELEASE_S = 2.0
_WATCH_EVERY_S, _WATCH_LIMIT_S = 1.0, 60.0
_PORTS = range(20000, 32000)
"""Below the ports that systems give to outgoing connections: ours must be free again after a stop,
and a client that asks for it meanwhile must not be given it as its own."""


def default_directory() -> Path:
    """Return the directory of the embedded server's files."""
    return paths.data_directory() / "mongo"


def has_run(directory: Path | None = None) -> bool:
    """Return whether the embedded server has run on these files, so that they may hold a study."""
    return ((directory or default_directory()) / "login.json").exists()


def running_uri(directory: Path | None = None) -> str | None:
    """Return the URI of the embedded server, login included; None if it does not run.

    Raises ``ServerFailed`` if its files are damaged or cannot be read. Writes nothing.
    """
    server = _Server(directory or default_directory())
    return server.uri() if server.answers() else None


def _warn_of_stop() -> None:
    log.warning("the private MongoDB server was stopped: `hyperhive mongo start` starts it again")


@contextlib.contextmanager
def embedded_server(
    directory: Path | None = None,
    mongod: str | None = None,
    port: int | None = None,
    on_stop: Callable[[], None] = _warn_of_stop,
) -> Iterator[str]:
    """Run the embedded server while the context is open, and give its URI, login included.

    If it runs already, it is shared. Raises ``NoServerBinary``, ``ServerFailed``, or
    ``OutputError`` if its directory cannot be written.

    Args:
        directory: of its files; by default in the user's data directory.
        mongod: the executable, see ``find_mongod``.
        port: the TCP port on 127.0.0.1; by default the one it had before, or a free one.
        on_stop: is called, in another thread, if ``stop`` stops it meanwhile.
    """
    server = _Server(directory or default_directory())
    server.make_directory()
    with contextlib.ExitStack() as using:
        with locked(server.start_lock, ALONE):
            is_used = not is_unlocked(server.users_lock)
            # All users share one lock; the last one to leave finds it unlocked, stops the server.
            users = using.enter_context(locked(server.users_lock, SHARED))
            server.run(mongod, port, is_used)
        try:
            with _bringing_back(server, mongod, on_stop):
                yield server.uri()
        finally:
            with locked(server.start_lock, ALONE):
                unlock(users)
                if is_unlocked(server.users_lock):
                    if threading.main_thread().is_alive():
                        server.stop()
                    else:  # Python ends: from 3.12 on, PyMongo can start no thread any more
                        server.end_unused()


def stop(directory: Path | None = None) -> bool:
    """Stop the embedded server even if other processes use it; return whether it ran."""
    server = _Server(directory or default_directory())
    if not server.start_lock.exists():
        return False  # none ever ran here
    server.make_directory()
    with locked(server.start_lock, ALONE):
        if server.answers():
            server.stop()
            return True
        if server.was_killed():
            server.forget()  # or a process that uses it would bring it back
    return False


def keep(directory: Path) -> None:
    """Wait until nobody uses the server, then stop it if it still runs: its users were killed.

    Returns if another process does this already. Makes no file: its directory may be deleted.
    """
    server = _Server(directory)
    try:
        with locked(server.keeper_lock, AT_ONCE, create=False) as keeper:
            while server.users_lock.exists():
                time.sleep(_WATCH_EVERY_S)
                with locked(server.start_lock, ALONE, create=False):
                    if is_unlocked(server.users_lock):
                        server.end_unused()
                        unlock(keeper)  # before the next user can look for a keeper
                        return
    except (FileNotFoundError, *LOCK_IS_HELD):
        return


@contextlib.contextmanager
def _bringing_back(
    server: _Server, mongod: str | None, on_stop: Callable[[], None]
) -> Iterator[None]:
    """While this is open, start the server again if it is killed, for example to free memory."""
    ended = threading.Event()

    def watch() -> None:
        pause, was_stopped = _WATCH_EVERY_S, False
        while not ended.wait(pause):
            try:
                with locked(server.start_lock, ALONE):
                    if server.was_killed():
                        log.warning("mongod was killed and is being started again")
                        server.start(find_mongod(mongod), None, is_used=True)
                    is_stopped = server.is_stopped()
                if is_stopped and not was_stopped:
                    on_stop()
                was_stopped = is_stopped
                pause = _WATCH_EVERY_S
            except (StoreError, OSError, *LOCK_IS_HELD) as error:
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
        self._directory = directory
        self.start_lock = directory / "start.lock"
        self.users_lock = directory / "users.lock"
        self.keeper_lock = directory / "keeper.lock"
        self._mongod = Mongod(directory)
        self._login = Login(directory / "login.json")
        self._note = Note(directory / "server.json")  # while it runs: others find it by this
        self._last = Note(directory / "port.json")  # stays when the server stops
        self._keeper: subprocess.Popen[bytes] | None = None

    def make_directory(self) -> None:
        """Make the directory of its files; only this user may look into it.

        Raises ``OutputError``.
        """
        purpose, advice = "the private MongoDB server", paths.advice("data")
        files.require_writable(self._directory, purpose, advice, may_be_full=True)
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def uri(self) -> str:
        """Return the URI of its everyday user. Raises ``ServerFailed`` if it was stopped."""
        return self._uri(USER, DEFAULT_DATABASE)

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

    def run(self, mongod: str | None, port: int | None, is_used: bool) -> None:
        """Start the server unless it runs. Raises ``ServerFailed`` if it is to run elsewhere.

        Args:
            mongod: the executable, see ``find_mongod``.
            port: the one to use; None for the last one if that is free.
            is_used: whether other processes use the server: they must find it on its last port.
        """
        last = self._last.port()
        if is_used and last is not None and port not in (None, last):
            raise ServerFailed(
                f"running commands use the private MongoDB server on port {last}: omit --port, or "
                "end them first"
            )
        if self.answers():
            self._have_keeper()
        else:
            self.start(find_mongod(mongod), port, is_used)

    def start(self, mongod: Path, port: int | None, is_used: bool) -> None:
        """Start the server, or wait for one that runs but does not answer yet; see ``run``."""
        self._have_keeper()
        if not self._login.is_ready():
            self._end_half_made()
            self._initialise(mongod)
        elif self._mongod.is_running() and self._note.port() is not None:
            # It is slow, or recovering from a crash: a second one could not start.
            self._wait_until_it_answers()
            return
        # The exception that allowed the first user to be made is closed for good.
        chosen = self._usual_port(is_used) if port is None else require_free(port)
        self._launch(mongod, chosen, "--setParameter", "enableLocalhostAuthBypass=false")

    def is_stopped(self) -> bool:
        """Return whether ``stop`` stopped the server, and nobody started it again."""
        return self._note.port() is None and not self._mongod.is_running()

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
            with client(self._uri(ADMIN, "admin")) as server:
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

    def end_unused(self) -> None:
        """End the server, if it runs, also one that was never finished."""
        if self._mongod.is_running():
            self._mongod.terminate()
        self.forget()

    def _have_keeper(self) -> None:
        """Start the process that stops the server when its users were killed, unless it runs."""
        if is_unlocked(self.keeper_lock):
            self.keeper_lock.touch()
            directory = str(self._directory.absolute())
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "hyperhive.store.server.keeper", directory],
                cwd=directory,  # it must not occupy the folder that the user works in
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

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
        self._launch(mongod, self._usual_port(is_used=False))
        try:
            with client(f"mongodb://127.0.0.1:{self._port()}/") as server:
                password = self._login.password(ADMIN)
                server.admin.command("createUser", ADMIN, pwd=password, roles=["root"])
            with client(self._uri(ADMIN, "admin")) as server:
                password = self._login.password(USER)
                server[DEFAULT_DATABASE].command(
                    "createUser", USER, pwd=password, roles=["readWrite"]
                )
        except (mongo.AutoReconnect, mongo.OperationFailure) as error:
            self.end_unused()
            raise ServerFailed(f"mongod did not start: {self._mongod.last_words()}") from error
        self.stop()
        self._login.mark_ready()

    def _launch(self, mongod: Path, port: int, *options: str) -> None:
        port_before = self._note.port()
        # Written first: nobody would find a server that runs without a note.
        self._note.write(port)
        try:
            self._mongod.launch(mongod, port, *options)
        except BaseException:
            if port_before is None:
                self._note.remove()
            else:  # a killed server must still be brought back, on its port
                self._note.write(port_before)
            raise
        self._last.write(port)

    def _usual_port(self, is_used: bool) -> int:
        """Return the last port, which clients may still use, or any free one.

        Raises ``ServerFailed`` if the last one is taken and processes wait for the server on it.
        """
        last = self._last.port()
        if last is not None:
            try:
                return _released(last)
            except ServerFailed as error:
                if is_used and not self._mongod.is_running():
                    raise ServerFailed(
                        f"port {last} is taken by another program, and running commands wait there "
                        "for the private MongoDB server: end that program, or end those commands "
                        "and start them again"
                    ) from error
        for _ in _PORTS:
            with contextlib.suppress(ServerFailed):
                return require_free(secrets.choice(_PORTS))
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


def _released(port: int) -> int:
    """Return a port once it is free: a mongod that ends gives up its files before its port.

    Raises ``ServerFailed`` if another program keeps it.
    """
    until = time.monotonic() + _RELEASE_S
    while True:
        try:
            return require_free(port)
        except ServerFailed:
            if time.monotonic() > until:
                raise
            time.sleep(_RELEASE_S / 20)
