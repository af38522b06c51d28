"""A shared server made ready for a fleet: its roles, indexes and users, and devices' logins."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator
from urllib.parse import quote

from hyperhive.common.errors import InputError, UsageError
from hyperhive.coordinator.publishing import key as keys
from hyperhive.coordinator.publishing.publisher import Publisher
from hyperhive.store.errors import LoginRefused
from hyperhive.store.server import login
from hyperhive.store.server.client import with_login
from hyperhive.store.server.privileges import COORDINATOR, ROLES, WORKER
from hyperhive.store.server.shared import SharedServer
from hyperhive.store.store import Store

_TIMEOUT_S = 60.0
"""A slow server may take this long to make the indexes."""

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?")
_EVERY_INTERFACE = re.compile(r"(0(?:\.0){0,3}|\[[0:]+\])(?::\d+)?(?=[/?,]|$)")
"""An address at which a server listens for everybody: a device that calls it calls itself."""
_LOCAL_NAME = re.compile(r"(?:[^@]*@)?(127\.[0-9.]+|\[::1\]|[A-Za-z0-9-]+)(?::\d+)?/")
"""An address of this machine only, or a name without a dot, which may be that of a container."""

COMMANDS = {
    "worker": "hyperhive worker --save-login",
    "viewer": "hyperhive status",
    "coordinator": "hyperhive coordinator",
}
"""The command with which a user of each role begins."""


class NoUsers(InputError):
    """The folder of the users' addresses lacks one."""


def prepare(uri: str, users: Path | None) -> Iterator[str]:
    """Make a server ready; give a line for each thing that is done. Safe to repeat.

    Args:
        uri: of the server, with an administrator's login.
        users: a folder with ``coordinator.uri``, ``worker.uri`` and ``viewer.uri``, whose users are
            made with the passwords in these files.

    Raises ``StoreError``, ``NoUsers``.
    """
    with Store(uri, _TIMEOUT_S) as store:
        store.roles.ensure()
        yield "roles: {}".format(", ".join(ROLES))
        store.ensure_indexes()
        store.ensure_hyperopt_indexes()
        yield f"indexes of {store.address}: made"
        if users is not None:
            for role in ROLES:
                yield "user {}: {}".format(*_admitted(store, uri, role, users))


def _admitted(store: Store, uri: str, role: str, folder: Path) -> tuple[str, str]:
    """Ensure the role's user exists with the password in its file.

    Returns the user's name and what was done. A client that is connected with the right password
    stays connected.
    """
    path = folder / f"{role}.uri"
    if not path.exists():
        raise NoUsers(f"there is no {path}: `make secrets` writes it")
    name, password = login.user_of(login.resolve(str(path)))
    if store.roles.has(name, role) and _is_known(
        with_login(uri, quote(name, safe=""), quote(password, safe=""))
    ):
        return name, f"as in {path}"
    store.roles.admit(name, password, role)
    return name, f"made with the password in {path}"


def _is_known(uri: str) -> bool:
    """Return whether the server accepts this login."""
    with Store(uri) as store:
        try:
            store.ping()
        except LoginRefused:
            return False
    return True


def make_ready(server: SharedServer) -> Iterator[str]:
    """Make a server that runs on this machine ready; give the lines that say how it is used.

    The commands of this machine get a login of their own, which may do what a coordinator and a
    worker may.
    """
    list(prepare(server.admin, None))
    name, password = login.user_of(server.own)
    with Store(server.admin) as store:
        if not (store.roles.has(name, COORDINATOR, WORKER) and _is_known(server.own)):
            store.roles.admit(name, password, COORDINATOR, WORKER)
        yield f"MongoDB {server.version} runs at {store.address}; Ctrl-C ends it and keeps its data"
    yield f"its files and its administrator's login are in {server.folder}"
    saved = login.save(server.own)
    yield f"the commands of this machine use it from now on ({saved})"
    yield (
        "studies of this machine's private server stay there: to go back to them, end this and "
        f"delete {saved}"
    )
    if server.is_local:
        yield "only this machine can reach it: pass --host with its address in your network"
    yield "to let a device in, for example one that you call nano: hyperhive mongo invite nano"


@dataclass(frozen=True)
class Invitation:
    """A device to be invited.

    Args:
        name: what the administrator calls the device.
        role: one of ``COMMANDS``.
        host: ``HOST`` or ``HOST:PORT`` by which the device reaches the server; None if that is the
            address in ``uri``.
        uri: of the server, with an administrator's login.
        makes_key: whether to make a key for this user, if there is none, for the device to trust.

    Raises ``UsageError`` for a name, a role or a host that cannot work.
    """

    name: str
    role: str
    host: str | None
    uri: str
    makes_key: bool = False

    def __post_init__(self) -> None:
        if self.name in ROLES:
            raise UsageError(
                f"{self.name} is the name of a role, which several machines may share: give the "
                "device a name of its own, for example nano"
            )
        if self.role not in COMMANDS:
            raise UsageError("--role must be one of {}".format(", ".join(COMMANDS)))
        if self.host is not None and _HOST.fullmatch(self.host) is None:
            raise UsageError("--host must be HOST or HOST:PORT, for example 192.168.1.10:27017")
        unreachable = _EVERY_INTERFACE.match(self.host or _hosts(self.uri))
        if unreachable is not None:
            raise UsageError(
                f"no device can reach a server as {unreachable.group(1)}: pass --host with the "
                f"name or address by which {self.name} reaches it, for example --host 192.168.1.10"
            )

    def send(self) -> tuple[str, list[str]]:
        """Make the device's login; return the line to paste there, and what to look out for."""
        portable = login.portable(self.uri)
        warnings: list[str] = []
        with Store(self.uri) as store:
            trust = self._trust(store, warnings.append)
            is_known = store.roles.has(self.name, self.role)
            password = store.roles.invite(self.name, self.role)
        device = with_login(portable, self.name, password, self._host_with_port())
        if is_known:
            warnings.append(f"{self.name} was invited before: its old login has ended")
        local = _LOCAL_NAME.match(device.partition("://")[2])
        if local is not None:
            warnings.append(
                f"the line says that the server is {local.group(1)}: if {self.name} reaches it by "
                "another name or address, pass --host"
            )
        return f"HYPERHIVE_MONGO={shlex.quote(device)} {COMMANDS[self.role]}{trust}", warnings

    def _trust(self, store: Store, warn: Callable[[str], None]) -> str:
        """Return the option with the key that a worker is to trust, this user's; "" if none is.

        Only the user whose machine shares the server gets a new key here. An administrator's login
        may be used where nothing is kept, as in a container.
        """
        identity = store.identity()
        if self.role != WORKER or not (self.makes_key or keys.existing(identity)):
            return ""
        return f" --trust {Publisher(store, warn).key().public}"

    def _host_with_port(self) -> str | None:
        """Return the host, with the port of the URI if it has none of its own."""
        if self.host is None or re.search(r":\d+$", self.host):
            return self.host
        port = re.match(r"[^/?,]*?(:\d+)?(?=[/?,]|$)", _hosts(self.uri))
        return self.host + ((port and port.group(1)) or "")


def _hosts(uri: str) -> str:
    """Return a URI from its hosts on, without the scheme and the login."""
    return uri.partition("://")[2].rpartition("@")[2]


def revoke(name: str, uri: str) -> None:
    """Take away a device's login."""
    with Store(uri) as store:
        store.roles.revoke(name)
