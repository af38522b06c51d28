#!/usr/bin/env python3
"""What compose.yaml relies on of the official mongo image's entrypoint, for the stand-in image.

As root it gives mongod its folders and becomes the user mongodb. In an empty folder it first runs
mongod without authentication, on 127.0.0.1 alone, to make the administrator. Then it is mongod.
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
    """Run mongod for its own machine, as the image does, until it has an administrator."""
    own = [argument for argument in command if not argument.startswith(("--auth", "--tlsMode"))]
    mongod = subprocess.Popen([*own, "--tlsMode=allowTLS", "--bind_ip", "127.0.0.1"])
    with pymongo.MongoClient("127.0.0.1", serverSelectionTimeoutMS=30000) as client:
        client.admin.command("createUser", name, pwd=password, roles=["root"])
    mongod.terminate()
    mongod.wait()


if __name__ == "__main__":
    main()
