"""A shared server made ready for a fleet: its roles, indexes and users."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator
from urllib.parse import quote

from hyperhive.common.errors import InputError
from hyperhive.store.errors import LoginRefused
from hyperhive.store.server import login
from hyperhive.store.server.mongo import with_login
from hyperhive.store.server.roles import ROLES
from hyperhive.store.store import Store

_TIMEOUT_S = 60.0
"""A slow server may take this long to make the indexes."""


class NoUsers(InputError):
    """The folder of the users' addresses lacks one."""


def prepare(uri: str, users: Path | None) -> Iterator[str]:
    """Make a server ready; give a line for each thing that holds now. Safe to do again.

    Args:
        uri: of the server, with an administrator's login.
        users: a folder with ``coordinator.uri``, ``worker.uri`` and ``viewer.uri``, whose users
            are made, with the passwords that stand there.

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
    """Have a role's user be there with the password of its file; return the name and what was done.

    Whoever is connected with the right password already stays connected.
    """
    path = folder / f"{role}.uri"
    if not path.exists():
        raise NoUsers(f"there is no {path}: `make secrets` writes it")
    name, password = login.user_of(login.resolve(str(path)) or "")
    if store.roles.has(name, role) and _is_known(
        with_login(uri, quote(name, safe=""), quote(password, safe=""))
    ):
        return name, f"as in {path}"
    store.roles.admit(name, password, role)
    return name, f"made with the password in {path}"


def _is_known(uri: str) -> bool:
    """Return whether the server takes this login."""
    with Store(uri) as store:
        try:
            store.ping()
        except LoginRefused:
            return False
    return True
