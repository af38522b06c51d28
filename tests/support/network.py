"""A server as compose.yaml runs it: TLS with a CA of its own, and a user for each login."""

from __future__ import annotations

import functools
import socket
import subprocess
from pathlib import Path

import pymongo
import yaml
from pymongo.errors import PyMongoError

from hyperhive.store.server.binary import find_mongod
from support.home import until

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
_PLAIN = ["--nounixsocket", "--wiredTigerCacheSizeGB=0.25"]
_TRIES = 5
_ANSWERS, _ENDED = "answers", "ended"
_COPIES = "/run/mongo"
"""Where compose.yaml's mongod finds what is in secrets/."""


def mongod_flags() -> list[str]:
    """Return the arguments that compose.yaml gives to mongod."""
    compose = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
    program, *flags = compose["services"]["mongo"]["command"]
    assert program == "mongod"
    return list(flags)


class Network:
    """The server and the folder of its secrets, which ``make secrets`` and ``make certs`` wrote.

    In their addresses stand the server's port and folder here, in place of compose.yaml's. The
    administrator is made as MongoDB's image does it: by a server that is not yet open to anybody.
    """

    def __init__(self, folder: Path) -> None:
        self.secrets = folder / "secrets"
        for script in ("make-secrets.sh", "make-certs.sh"):
            subprocess.run(["sh", str(DEPLOY / script)], cwd=folder, check=True)
        self.log = folder / "mongod.log"
        data = folder / "db"
        data.mkdir()
        self._command = [str(find_mongod()), "--dbpath", str(data), "--bind_ip", "127.0.0.1"]
        self._make_admin()
        flags = [flag.replace(_COPIES, str(self.secrets)) for flag in mongod_flags()]
        secure = ["--logpath", str(self.log), *flags]
        self.host, self._process = self._start(secure, encrypted=True)
        for file in self.secrets.glob("*.uri"):
            uri = file.read_text().replace("mongo:27017", self.host)
            file.write_text(uri.replace("/run/secrets/", f"{self.secrets}/"))

    def uri(self, name: str) -> str:
        """Return the URI of a login that ``make secrets`` made."""
        return (self.secrets / (name + ".uri")).read_text().strip()

    def passwords(self) -> list[str]:
        """Return the passwords that ``make secrets`` made."""
        names = ("admin", "coordinator", "worker", "viewer")
        return [self.uri(name).partition("@")[0].rpartition(":")[2] for name in names]

    def close(self) -> None:
        """End the server, however busy it is."""
        self._process.kill()
        self._process.wait()

    def _make_admin(self) -> None:
        host, process = self._start(_PLAIN, encrypted=False)
        try:
            password = (self.secrets / "admin.password").read_text().strip()
            with pymongo.MongoClient(f"mongodb://{host}/") as client:
                client.admin.command("createUser", "admin", pwd=password, roles=["root"])
        finally:
            process.terminate()
            process.wait()

    def _start(self, options: list[str], encrypted: bool) -> tuple[str, subprocess.Popen[bytes]]:
        """Start a server; return its address and process. A port may be gone before it has it."""
        for _ in range(_TRIES):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            host = f"127.0.0.1:{port}"
            command = [*self._command, "--port", str(port), *options]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            try:
                answer = functools.partial(self._answer, host, process, encrypted)
                if until(answer, "mongod") == _ANSWERS:
                    return host, process
            except BaseException:
                process.kill()
                process.wait()
                raise
        raise AssertionError(f"mongod ended, {_TRIES} times")

    def _answer(self, host: str, process: subprocess.Popen[bytes], encrypted: bool) -> str:
        """Return whether a server answers, or has ended; nothing while it does neither."""
        tls = {"tls": True, "tlsCAFile": str(self.secrets / "ca.pem")} if encrypted else {}
        options = {"directConnection": True, "serverSelectionTimeoutMS": 1000, **tls}
        with pymongo.MongoClient(host, **options) as client:
            try:
                client.admin.command("ping")
            except PyMongoError:
                return "" if process.poll() is None else _ENDED
        # Else another program's server has the port, and ours is about to end.
        return _ANSWERS if process.poll() is None else _ENDED
