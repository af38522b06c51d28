"""The commands ``hyperhive mongo init``, ``invite`` and ``revoke``: who may work on a server."""

import re
import shlex
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.errors import UsageError
from hyperhive.store.cli import mongo_option
from hyperhive.store.server import login

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names that stand in a URI and in a shell as they are."""
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:]+\](:\d+)?")
_ANYWHERE = re.compile(r"(0(?:\.0){0,3}|\[[0:]+\])(?::\d+)?(?=[/?,]|$)")
"""Where a server listens for everybody, which is no address to call: a device would call itself."""
_NOT_EVERYWHERE = re.compile(r"(?:[^@]*@)?(127\.[0-9.]+|\[::1\]|[A-Za-z0-9-]+)(?::\d+)?/")
"""An address of this machine alone, or a name without a dot, which may be one of a container's."""

COMMANDS = {
    "worker": "hyperhive worker --save-login",
    "viewer": "hyperhive status",
    "coordinator": "hyperhive coordinator",
}
"""What whoever has a role begins with."""

NAME = typer.Argument(help="What you call the device.")
ADMIN = mongo_option("the command ends with an error", " with the login of an administrator")


def init(
    users: Optional[Path] = typer.Option(
        None,
        metavar="FOLDER",
        help="Also make the users of coordinator.uri, worker.uri and viewer.uri in this folder, "
        "with the passwords that stand there.",
    ),
    mongo: Optional[str] = ADMIN,
) -> None:
    """Make a shared server ready: roles, indexes and users. Safe to run again."""
    uri = _require_server(mongo)
    from hyperhive.coordinator.server_setup import prepare

    for line in prepare(uri, users):
        typer.echo(line)


def invite(
    name: str = NAME,
    role: str = typer.Option("worker", help="worker, viewer (looks on) or coordinator."),
    host: Optional[str] = typer.Option(
        None,
        envvar="HYPERHIVE_HOST",
        show_envvar=True,
        metavar="HOST[:PORT]",
        help="The server as that device reaches it; by default as --mongo does.",
    ),
    mongo: Optional[str] = ADMIN,
) -> None:
    """Let a device work: print the one line to paste there.

    Its login is its own, and may do what a worker does and nothing else. The certificate of the
    server's CA is in the line. Again, for a name that was invited before, it gets a new password,
    and whoever uses the old one is shut out.
    """
    uri = _require(name, mongo)
    if role not in COMMANDS:
        raise UsageError("--role is one of {}".format(", ".join(COMMANDS)))
    if host is not None and _HOST.fullmatch(host) is None:
        raise UsageError("--host is HOST or HOST:PORT, as in 192.168.1.10:27017")
    anywhere = _ANYWHERE.match(host or uri.partition("://")[2].rpartition("@")[2])
    if anywhere is not None:
        raise UsageError(
            f"no device reaches a server as {anywhere.group(1)}: say --host with the name "
            f"or address by which {name} "
            "does, as in --host 192.168.1.10"
        )
    from hyperhive.store.server.mongo import with_login
    from hyperhive.store.store import Store

    portable = login.portable(uri)
    with Store(uri) as store:
        password = store.roles.invite(name, role)
    device = with_login(portable, name, password, _with_port(host, uri))
    near = _NOT_EVERYWHERE.match(device.partition("://")[2])
    if near is not None:
        typer.echo(
            f"the line says that the server is {near.group(1)}: if {name} reaches it by "
            "another name or address, "
            "say --host",
            err=True,
        )
    typer.echo(f"HYPERHIVE_MONGO={shlex.quote(device)} {COMMANDS[role]}")


def revoke(name: str = NAME, mongo: Optional[str] = ADMIN) -> None:
    """Shut a device out: its login is gone at once, and its trial goes to another worker."""
    uri = _require(name, mongo)
    from hyperhive.store.store import Store

    with Store(uri) as store:
        store.roles.revoke(name)
    typer.echo(f"{name} may work no more")


def _with_port(host: Optional[str], uri: str) -> Optional[str]:
    """Return a host with the port of a URI's, where it has none of its own."""
    if host is None or re.search(r":\d+$", host):
        return host
    port = re.match(r"[^/?,]*?(:\d+)?(?=[/?,]|$)", uri.partition("://")[2].rpartition("@")[2])
    return host + ((port and port.group(1)) or "")


def _require(name: str, mongo: Optional[str]) -> str:
    """Return the server's URI, or say what is wrong with what was asked."""
    if _NAME.fullmatch(name) is None:
        raise UsageError("a device's name has letters, digits, '.', '_' and '-', 64 at most")
    return _require_server(mongo)


def _require_server(mongo: Optional[str]) -> str:
    if mongo is None:
        raise UsageError(
            "which server? Say --mongo with an administrator's login: this machine's private one "
            "is for this user and this machine only, and nobody can be invited to it"
        )
    return mongo
