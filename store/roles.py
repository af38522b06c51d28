"""Who may do what: the role of a worker's user, and the users that have it.

A device can be lost or stolen, and a worker's login with it. So each device has a user of its own,
which can be revoked, and which may do what a worker does and nothing else: it cannot post a trial,
delete anything, make an index or a user, or reach another database.
"""

import secrets
from typing import Any, List, Mapping, Optional, Tuple

from store.driver import Guard
from store.errors import BadAddress, NameTaken, NotFound

WORKER_ROLE = "hyperhive_worker"
WORKER_PRIVILEGES: Mapping[str, Tuple[str, ...]] = {
    "jobs": ("find", "update"),
    "meta": ("find",),
    "studies": ("find",),  # predict-cam --study, on a device with a camera
    "datasets": ("find",),
    "workers": ("find", "insert", "update"),
    "uploads": ("insert", "update"),
    # PyMongo looks for GridFS's indexes before the first upload, and makes those it does not see.
    "fs.files": ("find", "insert", "listIndexes"),
    "fs.chunks": ("find", "insert", "listIndexes"),
}
"""What a worker does, by collection, in MongoDB's names of actions."""


class Roles:
    """The workers' users of a database. Every method needs an administrator's login."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._database = database
        self._guard = guard

    def invite(self, name: str) -> str:
        """Let a device work under this name; return its password, which nobody can ask for again.

        The role is brought up to date. A worker that is there already gets a new password. Raises
        ``NameTaken`` for the name of a user who is no worker.
        """
        self._require_own_database()
        password = secrets.token_urlsafe(24)
        with self._guard():
            self._ensure_role()
            known = self._roles_of(name)
            if known not in (None, [WORKER_ROLE]):
                raise NameTaken("{} is a user who is no worker: choose another name".format(name))
            self._database.command(
                "updateUser" if known else "createUser", name, pwd=password, roles=[WORKER_ROLE]
            )
        return password

    def revoke(self, name: str) -> None:
        """Shut a device out, at once; raises ``NotFound`` if no worker has this name."""
        self._require_own_database()
        with self._guard():
            if self._roles_of(name) != [WORKER_ROLE]:
                raise NotFound("no worker was invited under the name {}".format(name))
            self._database.command("dropUser", name)

    def _ensure_role(self) -> None:
        privileges = [
            {
                "resource": {"db": self._database.name, "collection": collection},
                "actions": list(actions),
            }
            for collection, actions in WORKER_PRIVILEGES.items()
        ]
        known = self._database.command("rolesInfo", WORKER_ROLE)["roles"]
        self._database.command(
            "updateRole" if known else "createRole", WORKER_ROLE, privileges=privileges, roles=[]
        )

    def _roles_of(self, name: str) -> Optional[List[str]]:
        """Return the names of a user's roles, None if there is no such user."""
        users = self._database.command("usersInfo", name)["users"]
        return [role["role"] for role in users[0]["roles"]] if users else None

    def _require_own_database(self) -> None:
        """Refuse to make workers' users among the administrators."""
        if self._database.name == "admin":
            raise BadAddress(
                "admin is not hyperhive's database: write the address as "
                "mongodb://ADMIN:PASSWORD@HOST:27017/hyperhive?authSource=admin"
            )
