"""The roles of coordinators, workers and viewers, and the users that have them.

A device can be lost or stolen, and its login with it. So each device has a user of its own, which
can be revoked and may do only what its role needs. docs/security.md describes what each role may
do, and tests try what it may not.
"""

from __future__ import annotations

import secrets
from typing import Any, Mapping, Tuple

from hyperhive.store.errors import BadAddress, NameTaken, NotFound
from hyperhive.store.server.client import Guard

COORDINATOR, WORKER, VIEWER = "coordinator", "worker", "viewer"
ROLES = (COORDINATOR, WORKER, VIEWER)

_Privileges = Mapping[str, Tuple[str, ...]]
PRIVILEGES: Mapping[str, _Privileges] = {
    # Posts, changes and deletes studies, trials, data sets and weights, also by hyperopt's API.
    COORDINATOR: {
        "jobs": ("find", "insert", "update", "remove"),
        "job_ids": ("find", "insert", "update"),  # hyperopt's counter
        "meta": ("find",),
        "studies": ("find", "insert", "update", "remove"),
        "datasets": ("find", "insert"),
        "workers": ("find",),
        "benchmarks": ("find",),
        "uploads": ("find", "insert", "update", "remove"),
        "fs.files": ("find", "insert", "remove", "listIndexes"),
        "fs.chunks": ("find", "insert", "remove", "listIndexes"),
    },
    WORKER: {
        "jobs": ("find", "update"),
        "meta": ("find",),
        "studies": ("find",),  # for predict-cam --study on a device with a camera
        "datasets": ("find",),
        "workers": ("find", "insert", "update"),
        "benchmarks": ("find", "insert", "update"),
        "uploads": ("insert", "update"),
        # PyMongo lists GridFS's indexes before the first upload, and makes those that are missing.
        "fs.files": ("find", "insert", "listIndexes"),
        "fs.chunks": ("find", "insert", "listIndexes"),
    },
    VIEWER: {
        "jobs": ("find",),
        "meta": ("find",),
        "studies": ("find",),
        "datasets": ("find",),
        "workers": ("find",),
        "benchmarks": ("find",),
        "fs.files": ("find",),
        "fs.chunks": ("find",),
    },
}
"""The actions that each role may do in each collection, by MongoDB's names."""


def role_name(role: str) -> str:
    """Return a role's name in the database."""
    return "hyperhive_" + role


class Roles:
    """The roles and users of a database. Every method needs an administrator's login."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._database = database
        self._guard = guard

    def ensure(self) -> None:
        """Make the roles, or bring them up to date; safe to repeat."""
        self._require_own_database()
        with self._guard():
            for role in ROLES:
                self._ensure_role(role)

    def invite(self, name: str, role: str = WORKER) -> str:
        """Make a user for a device; return its password, which is not stored anywhere.

        The role is brought up to date. A user who has this name and role already gets a new
        password, and connections made with the old one are refused from then on. Raises
        ``NameTaken`` if a user of this name has another role.
        """
        self._require_own_database()
        with self._guard():
            self._ensure_role(role)
        password = secrets.token_urlsafe(24)
        self.admit(name, password, role)
        return password

    def admit(self, name: str, password: str, role: str) -> None:
        """Make a user with this password, also in place of an old one. Raises ``NameTaken``."""
        self._require_own_database()
        with self._guard():
            existing = self._roles_of(name)
            if existing not in (None, [role_name(role)]):
                raise NameTaken(f"the user {name} exists with another role: choose another name")
            if existing:
                # Not updateUser, which leaves connections made with the old password open.
                self._database.command("dropUser", name)
            self._database.command("createUser", name, pwd=password, roles=[role_name(role)])

    def revoke(self, name: str) -> None:
        """Delete a user, whose login then fails. Raises ``NotFound`` if it was never invited."""
        self._require_own_database()
        with self._guard():
            if self._roles_of(name) not in [[role_name(role)] for role in ROLES]:
                raise NotFound(f"nobody was invited under the name {name}: check its spelling")
            self._database.command("dropUser", name)

    def has(self, name: str, role: str) -> bool:
        """Return whether a user of this name has this role and no other."""
        with self._guard():
            return self._roles_of(name) == [role_name(role)]

    def _ensure_role(self, role: str) -> None:
        privileges = [
            {
                "resource": {"db": self._database.name, "collection": collection},
                "actions": list(actions),
            }
            for collection, actions in PRIVILEGES[role].items()
        ]
        name = role_name(role)
        exists = self._database.command("rolesInfo", name)["roles"]
        self._database.command(
            "updateRole" if exists else "createRole", name, privileges=privileges, roles=[]
        )

    def _roles_of(self, name: str) -> list[str] | None:
        """Return the names of a user's roles; None if the user does not exist."""
        users = self._database.command("usersInfo", name)["users"]
        return [role["role"] for role in users[0]["roles"]] if users else None

    def _require_own_database(self) -> None:
        """Raise ``BadAddress`` for the database of the administrators."""
        if self._database.name == "admin":
            raise BadAddress(
                "the database admin is not hyperhive's database: write the address as "
                "mongodb://ADMIN:PASSWORD@HOST:27017/hyperhive?authSource=admin"
            )
