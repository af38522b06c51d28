"""A server as compose.yaml runs it: TLS with a CA of its own, users, a replica set of one."""

import socket
import subprocess
from pathlib import Path
from typing import List

import pymongo
from home import until
from pymongo.errors import PyMongoError

from store.embedded import find_mongod

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
_PLAIN = ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]


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
        self._command = [str(find_mongod()), "--dbpath", str(data), *_PLAIN]
        self._command += ["--port", self.host.partition(":")[2]]
        self._make_admin()
        self._process = self._start(*self._closed())

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

    def _closed(self) -> List[str]:
        pem, ca, key = (str(self.secrets / name) for name in ("mongo.pem", "ca.pem", "replica.key"))
        options = ["--auth", "--replSet", "rs0", "--keyFile", key, "--noscripting"]
        options += ["--networkMessageCompressors", "disabled", "--logpath", str(self.log)]
        options += ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", pem, "--tlsCAFile", ca]
        return [*options, "--tlsAllowConnectionsWithoutCertificates"]

    def _make_admin(self) -> None:
        process = self._start()
        password = (self.secrets / "admin.password").read_text().strip()
        with pymongo.MongoClient("mongodb://{}/".format(self.host)) as client:
            client.admin.command("createUser", "admin", pwd=password, roles=["root"])
        process.terminate()
        process.wait()

    def _start(self, *options: str) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen([*self._command, *options], stdout=subprocess.DEVNULL)
        tls = {"tls": True, "tlsCAFile": str(self.secrets / "ca.pem")} if options else {}
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
