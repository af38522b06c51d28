"""Who may do what: the roles of the coordinator, the workers and the viewers, and their users.

A device can be lost or stolen, and its login with it. So each has a user of its own, which can be
revoked, and which may do what its role needs and nothing else. docs/security.md says in words what
each may do, and tests try what it may not.
"""

from __future__ import annotations

import secrets
from typing import Any, Mapping, Tuple

from hyperhive.store.errors import BadAddress, NameTaken, NotFound
from hyperhive.store.server.mongo import Guard

COORDINATOR, WORKER, VIEWER = "coordinator", "worker", "viewer"
ROLES = (COORDINATOR, WORKER, VIEWER)

_Privileges = Mapping[str, Tuple[str, ...]]
PRIVILEGES: Mapping[str, _Privileges] = {
    # Studies, trials, data sets and weights, hyperopt's API included: posted, changed, deleted.
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
        "studies": ("find",),  # predict-cam --study, on a device with a camera
        "datasets": ("find",),
        "workers": ("find", "insert", "update"),
        "benchmarks": ("find", "insert", "update"),
        "uploads": ("insert", "update"),
        # PyMongo looks for GridFS's indexes before the first upload, and makes those it does not
        # see.
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
"""What a role does, by collection, in MongoDB's names of actions."""


def role_name(role: str) -> str:
    """Return the name that a role of ours has in the database."""
    return "hyperhive_" + role


class Roles:
    """The roles and users of a database. Every method needs an administrator's login."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._database = database
        self._guard = guard

    def ensure(self) -> None:
        """Make the roles, or bring them up to date; safe to call again."""
        self._require_own_database()
        with self._guard():
            for role in ROLES:
                self._ensure_role(role)

    def invite(self, name: str, role: str = WORKER) -> str:
        """Let a device work under this name; return its password, which nobody can ask for again.

        The role is brought up to date. Whoever has the name and this role already gets a new
        password, and what is connected with the old one is shut out. Raises ``NameTaken`` for the
        name of a user with another role.
        """
        self._require_own_database()
        with self._guard():
            self._ensure_role(role)
        password = secrets.token_urlsafe(24)
        self.admit(name, password, role)
        return password

    def admit(self, name: str, password: str, role: str) -> None:
        """Make a user anew, with this password; raises ``NameTaken`` as ``invite`` does."""
        self._require_own_database()
        with self._guard():
            known = self._roles_of(name)
            if known not in (None, [role_name(role)]):
                raise NameTaken(f"{name} is a user who is no {role}: choose another name")
            if known:
                # Not updateUser: connections made with the old password would live on.
                self._database.command("dropUser", name)
            self._database.command("createUser", name, pwd=password, roles=[role_name(role)])

    def revoke(self, name: str) -> None:
        """Shut a user out, at once; raises ``NotFound`` if nobody was invited under this name."""
        self._require_own_database()
        with self._guard():
            if self._roles_of(name) not in [[role_name(role)] for role in ROLES]:
                raise NotFound(f"nobody was invited under the name {name}")
            self._database.command("dropUser", name)

    def has(self, name: str, role: str) -> bool:
        """Return whether there is a user of this name with this role and no other."""
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
        known = self._database.command("rolesInfo", name)["roles"]
        self._database.command(
            "updateRole" if known else "createRole", name, privileges=privileges, roles=[]
        )

    def _roles_of(self, name: str) -> list[str] | None:
        """Return the names of a user's roles, None if there is no such user."""
        users = self._database.command("usersInfo", name)["users"]
        return [role["role"] for role in users[0]["roles"]] if users else None

    def _require_own_database(self) -> None:
        """Refuse to make users of ours among the administrators."""
        if self._database.name == "admin":
            raise BadAddress(
                "admin is not hyperhive's database: write the address as "
                "mongodb://ADMIN:PASSWORD@HOST:27017/hyperhive?authSource=admin"
            )
