"""A server as compose.yaml runs it: TLS with a CA of its own, users, a replica set of one."""

import socket
import subprocess
from pathlib import Path
from typing import List

import pymongo
import yaml
from home import until
from pymongo.errors import PyMongoError

from store.embedded import find_mongod

REPOSITORY = Path(__file__).resolve().parents[1]
DEPLOY = REPOSITORY / "deploy"
_PLAIN = ["--nounixsocket", "--wiredTigerCacheSizeGB=0.25"]
_COPIES = "/run/mongo"
"""Where compose.yaml's mongod finds what is in secrets/."""


def mongod_flags() -> List[str]:
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
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            self.host = "127.0.0.1:{}".format(reserved.getsockname()[1])
        for script in ("make-secrets.sh", "make-certs.sh"):
            subprocess.run(["sh", str(DEPLOY / script)], cwd=folder, check=True)
        for file in self.secrets.glob("*.uri"):
            uri = file.read_text().replace("mongo:27017", self.host)
            file.write_text(uri.replace("/run/secrets/", "{}/".format(self.secrets)))
        self.log = folder / "mongod.log"
        data = folder / "db"
        data.mkdir()
        self._command = [str(find_mongod()), "--dbpath", str(data), "--bind_ip", "127.0.0.1"]
        self._command += ["--port", self.host.partition(":")[2]]
        self._make_admin()
        flags = [flag.replace(_COPIES, str(self.secrets)) for flag in mongod_flags()]
        # The image adds --auth, where there is an administrator to make.
        self._process = self._start(["--auth", "--logpath", str(self.log), *flags], True)

    def uri(self, name: str) -> str:
        """Return the URI of a login that ``make secrets`` made."""
        return (self.secrets / (name + ".uri")).read_text().strip()

    def passwords(self) -> List[str]:
        """Return the passwords that ``make secrets`` made."""
        names = ("admin", "coordinator", "worker", "viewer")
        return [self.uri(name).partition("@")[0].rpartition(":")[2] for name in names]

    def close(self) -> None:
        """End the server, however busy it is."""
        self._process.kill()
        self._process.wait()

    def _make_admin(self) -> None:
        process = self._start(_PLAIN, False)
        password = (self.secrets / "admin.password").read_text().strip()
        with pymongo.MongoClient("mongodb://{}/".format(self.host)) as client:
            client.admin.command("createUser", "admin", pwd=password, roles=["root"])
        process.terminate()
        process.wait()

    def _start(self, options: List[str], encrypted: bool) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([*self._command, *options], stdout=subprocess.DEVNULL)
        tls = {"tls": True, "tlsCAFile": str(self.secrets / "ca.pem")} if encrypted else {}
        with pymongo.MongoClient(self.host, directConnection=True, **tls) as client:

            def answers() -> bool:
                assert process.poll() is None, "mongod ended"
                try:
                    client.admin.command("ping")
                except PyMongoError:
                    return False
                return True

            until(answers, "mongod")
        return process
