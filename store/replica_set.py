"""A replica set of one: a server that can be backed up at one moment, and get more members later.

Nothing of hyperhive depends on it: its transitions can be repeated, so its client retries no write.
"""

from __future__ import annotations

import time
from typing import Any

from pymongo import errors as mongo

from hyperhive.store.errors import ServerFailed, StoreUnavailable
from hyperhive.store.server.mongo import Guard

_PRIMARY_S = 60.0
_NOT_YET_INITIALIZED = 94


def ensure(client: Any, guard: Guard, member: str) -> str:
    """Make a server the only member of its replica set; return the set's name. Safe to call again.

    Waits until the server is primary, which takes writes.

    Args:
        client: a ``MongoClient`` of that server alone, with an administrator's login.
        guard: that of its store.
        member: ``HOST:PORT``, by which the server reaches itself.

    Raises ``ServerFailed`` if it was not started for a replica set, is in one of other members, or
    does not become primary.
    """
    with guard():
        name = _name(client)
        members = _members(client)
        if members is None:
            only = {"_id": name, "members": [{"_id": 0, "host": member}]}
            client.admin.command("replSetInitiate", only)
        elif members != [member]:
            raise ServerFailed(
                "the server's replica set {} is of {} already, not of {}".format(
                    name, ", ".join(members), member
                )
            )
    _wait_for_primary(client, guard)
    return name


def _name(client: Any) -> str:
    """Return the name of the set that the server was started for."""
    options = client.admin.command("getCmdLineOpts")["parsed"].get("replication", {})
    name = options.get("replSet") or options.get("replSetName")
    if name is None:
        raise ServerFailed("the server was not started for a replica set: give it --replSet rs0")
    return str(name)


def _members(client: Any) -> Any:
    """Return the addresses of the set's members; None if it has not been initiated."""
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except mongo.OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        return None
    return [member["host"] for member in config["members"]]


def _wait_for_primary(client: Any, guard: Guard) -> None:
    deadline = time.monotonic() + _PRIMARY_S
    while not _is_primary(client, guard):
        if time.monotonic() > deadline:
            raise ServerFailed(
                "the server does not become the primary of its replica set: see its log"
            )
        time.sleep(0.1)


def _is_primary(client: Any, guard: Guard) -> bool:
    try:
        with guard():
            # Not "hello", which servers before 4.4.2 do not know.
            return bool(client.admin.command("isMaster")["ismaster"])
    except StoreUnavailable:  # it hangs up on everybody when it changes its state
        return False
