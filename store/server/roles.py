"""The roles of coordinators, workers and viewers, and the users that have them.

A device can be lost or stolen, and its login with it. So each device has a user of its own, which
can be revoked and may do only what its role needs. docs/security.md describes what each role may
do, and tests try what it may not.
"""

from __future__ import annotations

import secrets
from typing import Any

from bson import ObjectId
from pymongo.errors import PyMongoError

from hyperhive.store.errors import BadAddress, NameTaken, NotFound
from hyperhive.store.server.client import Guard
from hyperhive.store.server.privileges import PRIVILEGES, ROLES, WORKER


def role_name(role: str) -> str:
    """Return a role's name in the database."""
    return "hyperhive_" + role


class Roles:
    """The roles and users of a database. All but the first two need an administrator's login."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._database = database
        self._guard = guard

    def own(self) -> str | None:
        """Return the role of this login; None if it has several, none of ours, or is not known."""
        try:
            login = self._database.command("connectionStatus")["authInfo"]
        except PyMongoError:
            return None
        found = {each["role"] for each in login["authenticatedUserRoles"]}
        return next((role for role in ROLES if found == {role_name(role)}), None)

    def require_coordinator(self) -> None:
        """Raise ``NotAllowed`` unless this login may change what a coordinator's may.

        It asks the server for changes of documents that do not exist, so nothing changes.
        """
        nothing = {"_id": ObjectId()}
        with self._guard():
            for name in ("jobs", "studies"):
                self._database[name].update_one(nothing, {"$set": {"_": None}})
            for name in ("jobs", "orders", "notes"):
                self._database[name].delete_one(nothing)

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

    def admit(self, name: str, password: str, *roles: str) -> None:
        """Make a user with this password, also in place of an old one. Raises ``NameTaken``."""
        self._require_own_database()
        wanted = sorted(map(role_name, roles))
        with self._guard():
            existing = self._roles_of(name)
            if existing not in (None, wanted):
                raise NameTaken(f"the user {name} exists with another role: choose another name")
            if existing:
                # Not updateUser, which leaves connections made with the old password open.
                self._database.command("dropUser", name)
            self._database.command("createUser", name, pwd=password, roles=wanted)

    def revoke(self, name: str) -> None:
        """Delete a user, whose login then fails. Raises ``NotFound`` if it was never invited."""
        self._require_own_database()
        with self._guard():
            if self._roles_of(name) not in [[role_name(role)] for role in ROLES]:
                names = ", ".join(self._invited()) or "nobody"
                raise NotFound(
                    f"nobody was invited under the name {name}: those invited are {names}"
                )
            self._database.command("dropUser", name)

    def has(self, name: str, *roles: str) -> bool:
        """Return whether a user of this name has these roles and no other."""
        with self._guard():
            return self._roles_of(name) == sorted(map(role_name, roles))

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
        return sorted(role["role"] for role in users[0]["roles"]) if users else None

    def _invited(self) -> list[str]:
        """Return the names of the users who have one of our roles and no other."""
        users = self._database.command("usersInfo", 1)["users"]
        ours = [[role_name(role)] for role in ROLES]
        return [user["user"] for user in users if [r["role"] for r in user["roles"]] in ours]

    def _require_own_database(self) -> None:
        """Raise ``BadAddress`` for the database of the administrators."""
        if self._database.name == "admin":
            raise BadAddress(
                "the database admin is not hyperhive's database: write the address as "
                "mongodb://ADMIN:PASSWORD@HOST:27017/hyperhive?authSource=admin"
            )
