"""A server for a fleet on this machine, without Docker: ``hyperhive mongo share``.

It has TLS with a CA of its own, an administrator, and a login for the commands of this machine. Its
files stay in the user's data directory, so that the next run goes on with the same ones.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import re
import secrets
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator
from urllib.parse import quote

from hyperhive.common import files, paths
from hyperhive.common.errors import UsageError
from hyperhive.common.locks import AT_ONCE, LOCK_IS_HELD, locked
from hyperhive.store.errors import NoServerBinary, ServerFailed
from hyperhive.store.server import login
from hyperhive.store.server.address import DEFAULT_DATABASE, Address, address
from hyperhive.store.server.binary import find_mongod
from hyperhive.store.server.mongod import START_TIMEOUT_S, Mongod, client, free_port

log = logging.getLogger(__name__)

DEFAULT_PORT = 27017
_OLDEST = (7, 0)
"""The oldest MongoDB that still gets security fixes: https://www.mongodb.com/legal/support-policy."""
_INSTALL = "install MongoDB 7.0 or newer, or pass the path of its mongod with --mongod"
_WATCH_EVERY_S, _TRY_AGAIN_S = 1.0, 10.0


def default_directory() -> Path:
    """Return the directory of the shared server's files."""
    return paths.data_directory() / "shared"


def administrator() -> Address | None:
    """Return the login of the shared server's administrator; None if there is no such server."""
    path = default_directory() / "admin.uri"
    return login.resolve(str(path)) if path.exists() else None


@dataclass(frozen=True)
class Listen:
    """Where a shared server listens.

    Args:
        host: this machine's name or address, as the devices use it.
        port: the TCP port.
        addresses: those of this machine that ``host`` means.
    """

    host: str
    port: int
    addresses: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return all(ipaddress.ip_address(each).is_loopback for each in self.addresses)

    @property
    def hosts(self) -> str:
        """Host and port as in a URI."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen(host: str | None, port: int | None) -> Listen:
    """Return where to listen; what is not given is as in the run before.

    Raises ``UsageError`` for an address that is not this machine's, or is used.
    """
    last_host, last_port = _of_the_last_run()
    host = (host or last_host).strip("[]")
    port = port or last_port
    if not host:
        raise UsageError(
            "which address? Pass --host with this machine's name or address in your network, for "
            "example --host 192.168.1.10"
        )
    addresses = _own_addresses(host, port)
    listening = Listen(host, port, addresses)
    if listening.is_local and host != "localhost" and host not in addresses:
        raise UsageError(
            f"on this machine {host} means {', '.join(addresses)}, which no other can reach: pass "
            "--host with its address in your network"
        )
    return listening


def _of_the_last_run() -> tuple[str, int]:
    """Return the host and port in the administrator's login, or none and the default."""
    found = re.search(r"@\[?([^/\]]+?)\]?:(\d+)/", administrator() or "")
    return (found[1], int(found[2])) if found else ("", DEFAULT_PORT)


def _own_addresses(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of this machine that a name means. Raises ``UsageError``."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise UsageError(f"--host {host} is no name or address that this machine knows") from None
    own = []
    for family, _, _, _, place in found:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    raise UsageError(
                        f"port {port} of {place[0]} cannot be used ({error.strerror}): choose "
                        "another with --port"
                    ) from error
                continue  # another machine's, or a kind that this one lacks
        own.append(str(place[0]))
    if not own or ipaddress.ip_address(own[0]).is_unspecified:
        raise UsageError(
            f"--host {host} is not this machine's address: pass the one by which other machines "
            "reach it, for example --host 192.168.1.10"
        )
    return tuple(dict.fromkeys(own))


def current_mongod(given: str | None, is_local: bool) -> tuple[Path, str]:
    """Return the mongod to share, and its version.

    Raises ``NoServerBinary`` if there is none, or none that may be opened to a network.
    """
    if not is_local and given is None and shutil.which("mongod") is None:
        raise NoServerBinary(
            "no mongod is installed that may be opened to a network (that of the extra mongod is "
            f"too old): {_INSTALL}"
        )
    binary = find_mongod(given)
    version = version_of(binary)
    if not is_local and tuple(map(int, version.split(".")[:2])) < _OLDEST:
        raise NoServerBinary(
            f"{binary} is MongoDB {version}, which is too old to be opened to a network: {_INSTALL}"
        )
    return binary, version


def version_of(mongod: Path) -> str:
    """Return the version of a mongod, such as ``8.0.4``. Raises ``NoServerBinary``."""
    said = subprocess.run([str(mongod), "--version"], capture_output=True, text=True).stdout
    found = re.search(r"db version v(\d+\.\d+\.\d+)", said)
    if found is None:
        raise NoServerBinary(f"{mongod} does not say its version: {_INSTALL}")
    return found[1]


def own_password(folder: Path) -> str:
    """Return the password of the commands of this machine, the same in every run."""
    path = folder / "owner.password"
    if not path.exists():
        files.write_private(path, secrets.token_urlsafe(24))
    return files.read_private(path).strip()


class SharedServer:
    """The server while it runs.

    Args:
        folder: of its files.
        binary: its mongod.
        version: of that.
        listening: where it listens.
    """

    def __init__(self, folder: Path, binary: Path, version: str, listening: Listen) -> None:
        self.folder = folder
        self.is_local = listening.is_local
        self.version = version
        self._binary = binary
        self._listening = listening
        self._mongod = Mongod(folder)
        self._admin = folder / "admin.uri"
        self._ca, self._certificate = folder / "ca.pem", folder / "mongo.pem"
        self._tls = f"tls=true&tlsCAFile={quote(str(self._ca))}"

    @property
    def admin(self) -> Address:
        """The address with the administrator's login."""
        return login.resolve(str(self._admin))

    @property
    def own(self) -> str:
        """The address with the login of this machine's commands; its user is not made here."""
        return self._uri("hyperhive", own_password(self.folder), DEFAULT_DATABASE)

    def start(self) -> None:
        """Start it; the administrator's login is kept for the next run. Raises ``ServerFailed``."""
        from hyperhive.store.server import certificates  # of the extra share

        names = ("localhost", "127.0.0.1", self._listening.host)
        certificates.ensure(self._ca, self._certificate, names)
        if not self._mongod.data.exists():
            self._make_administrator()
        elif not self._admin.exists():
            raise ServerFailed(
                f"{self._admin} is missing, and the data beside it cannot be used without its "
                "password: put the file back, or move the folder away to start with an empty "
                "database"
            )
        _, password = login.user_of(self.admin)
        files.write_private(self._admin, self._uri("admin", password, "admin") + "\n")
        self._launch()

    def _uri(self, user: str, password: str, source: str) -> str:
        where = f"{self._listening.hosts}/{DEFAULT_DATABASE}"
        return f"mongodb://{user}:{password}@{where}?authSource={source}&{self._tls}"

    def keep_running(self, stop: threading.Event) -> None:
        """Wait for ``stop``; meanwhile start the server again if it is killed."""
        pause = _WATCH_EVERY_S
        while not stop.wait(pause):
            pause = _WATCH_EVERY_S
            if not self._mongod.is_running():
                log.warning("mongod was killed and is being started again")
                try:
                    self._launch()
                except (ServerFailed, OSError) as error:
                    log.error("%s", error)
                    pause = _TRY_AGAIN_S

    def stop(self) -> None:
        """End the server in good order. Raises ``ServerFailed``."""
        if self._mongod.is_running():
            self._mongod.terminate()

    def _make_administrator(self) -> None:
        """Make the data with their only user, before anybody can reach the server.

        They get their place at the end: a process that dies before has made nothing.
        """
        shutil.rmtree(self.folder / "new", ignore_errors=True)
        (self.folder / "new").mkdir()
        fresh, port = Mongod(self.folder / "new"), free_port()
        password = secrets.token_urlsafe(24)
        fresh.launch(self._binary, port)
        try:
            with client(f"mongodb://127.0.0.1:{port}/") as server:
                server.admin.command("createUser", "admin", pwd=password, roles=["root"])
        finally:
            fresh.terminate()
        files.write_private(self._admin, self._uri("admin", password, "admin"))
        fresh.data.replace(self._mongod.data)
        shutil.rmtree(self.folder / "new")

    def _launch(self) -> None:
        addresses = tuple(each for each in self._listening.addresses if each != "127.0.0.1")
        options = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(self._certificate)]
        options += ["--tlsCAFile", str(self._ca), "--tlsAllowConnectionsWithoutCertificates"]
        options += ["--setParameter", "enableLocalhostAuthBypass=false"]
        options += ["--ipv6"] if any(":" in each for each in addresses) else []
        self._mongod.launch(
            self._binary,
            self._listening.port,
            *options,
            addresses=addresses,
            query=f"?{self._tls}",
        )


@contextlib.contextmanager
def shared_server(host: str | None, port: int | None, mongod: str | None) -> Iterator[SharedServer]:
    """Run the shared server while the context is open.

    Raises ``UsageError``, ``NoServerBinary``, ``ServerFailed``.

    Args:
        host: this machine's name or address, as the devices use it; None for that of the last run.
        port: the TCP port; None for that of the last run, or ``DEFAULT_PORT``.
        mongod: the executable; by default the one that is installed.
    """
    folder = default_directory()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(folder):
        _end_what_is_left(folder)
        _require_no_other_login(folder)
        listening = listen(host, port)
        server = SharedServer(folder, *current_mongod(mongod, listening.is_local), listening)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _end_what_is_left(folder: Path) -> None:
    """End the mongod of a command that was killed. It gives up its lock before its port."""
    left = Mongod(folder)
    if left.is_running():
        left.terminate()
        _, port = _of_the_last_run()
        deadline = time.monotonic() + START_TIMEOUT_S
        while _listens(port) and time.monotonic() < deadline:
            time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _require_no_other_login(folder: Path) -> None:
    """Raise ``UsageError`` if the commands of this machine use another server."""
    saved = login.saved()
    if saved is not None and login.user_of(saved)[1] != own_password(folder):
        raise UsageError(
            f"this machine belongs to the fleet of {address(saved)}: move its login, "
            f"{login.saved_file()}, away to share a server of its own"
        )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises ``ServerFailed`` if another process has it."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder / "share.lock", AT_ONCE))
        except LOCK_IS_HELD:
            raise ServerFailed(
                f"`hyperhive mongo share` runs already (its files: {folder})"
            ) from None
        yield
