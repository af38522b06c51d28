"""A replica set of three on this machine, whose primary can be killed."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pymongo
from pymongo.errors import PyMongoError

from hyperhive.store.server.binary import find_mongod
from hyperhive.store.server.mongod import free_port
from support.home import until

_NAME = "hive"
_ELECTION_MS = 2000
"""In place of ten seconds, which a test would mostly wait for."""


class ReplicaSet:
    """Three members, each with files of its own; ``uri`` is what a user would be given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._members: dict[int, subprocess.Popen[bytes]] = {}
        while len(self._members) < 3:
            self._launch(free_port())
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._members)
        self.uri = f"mongodb://{hosts}/?replicaSet={_NAME}"
        members = [{"_id": n, "host": host} for n, host in enumerate(hosts.split(","))]
        settings = {"electionTimeoutMillis": _ELECTION_MS}
        config = {"_id": _NAME, "members": members, "settings": settings}
        until(
            lambda: self._asked(next(iter(self._members)), "replSetInitiate", config), "its start"
        )
        self.primary()

    def _launch(self, port: int) -> None:
        data = self._folder / str(port)
        data.mkdir(parents=True, exist_ok=True)
        command = [str(find_mongod()), "--replSet", _NAME, "--dbpath", str(data)]
        command += ["--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--logpath", str(data / "log")]
        self._members[port] = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def _asked(self, port: int, command: str, argument: Any = 1) -> dict[str, Any] | None:
        """Return a member's answer, or None."""
        options: dict[str, Any] = {"serverSelectionTimeoutMS": 500, "directConnection": True}
        with pymongo.MongoClient("127.0.0.1", port, **options) as client:
            try:
                answer: dict[str, Any] = client.admin.command(command, argument)
            except PyMongoError:
                return None
            return answer

    def primary(self) -> int:
        """Wait for a primary; return its port."""

        def found() -> int | None:
            answers = {port: self._asked(port, "hello") for port in self._members}
            primaries = (p for p, each in answers.items() if each and each["isWritablePrimary"])
            return next(primaries, None)

        port: int = until(found, "a primary")
        return port

    def kill_primary(self) -> None:
        """Kill the primary, and start it again when another has taken its place."""
        port = self.primary()
        killed = self._members.pop(port)
        killed.kill()
        killed.wait()
        self.primary()
        self._launch(port)

    def close(self) -> None:
        """End all members."""
        for member in self._members.values():
            member.kill()
            member.wait()


@contextlib.contextmanager
def replica_set(folder: Path) -> Iterator[ReplicaSet]:
    """Run a replica set while the context is open."""
    members = ReplicaSet(folder)
    try:
        yield members
    finally:
        members.close()
