#!/usr/bin/env python3
"""The part of the official mongo image's entrypoint that compose.yaml relies on.

Started as root, it gives the folders to the user mongodb and becomes that user. If there are no
data, it runs mongod without authentication, on 127.0.0.1 only, to add the administrator. Then it
becomes mongod.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pymongo

DATA = Path("/data/db")
USER = pwd.getpwnam("mongodb")


def main() -> None:
    """Run ``mongod ARGUMENTS``."""
    command = sys.argv[1:]
    if os.getuid() == 0:
        for folder in (DATA, Path("/data/configdb")):
            os.chown(folder, USER.pw_uid, USER.pw_gid)
        os.setgroups([])
        os.setgid(USER.pw_gid)
        os.setuid(USER.pw_uid)
    name = os.environ.pop("MONGO_INITDB_ROOT_USERNAME")
    password = Path(os.environ.pop("MONGO_INITDB_ROOT_PASSWORD_FILE")).read_text().strip()
    if not (DATA / "WiredTiger").exists():
        make_administrator(command, name, password)
    os.execvp("mongod", [*command, "--bind_ip_all"])


def make_administrator(command: "list[str]", name: str, password: str) -> None:
    """Run mongod on 127.0.0.1, as the image does, and add the administrator."""
    own = [argument for argument in command if not argument.startswith(("--auth", "--tlsMode"))]
    mongod = subprocess.Popen([*own, "--tlsMode=allowTLS", "--bind_ip", "127.0.0.1"])
    with pymongo.MongoClient("127.0.0.1", serverSelectionTimeoutMS=30000) as client:
        client.admin.command("createUser", name, pwd=password, roles=["root"])
    mongod.terminate()
    mongod.wait()


if __name__ == "__main__":
    main()
