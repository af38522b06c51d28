"""The commands ``hyperhive mongo``: the private server, and access to a shared one."""

import logging
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import tell
from hyperhive.common.errors import UsageError
from hyperhive.common.signals import StopSignals
from hyperhive.common.streams import log_handler
from hyperhive.store.cli import ADMIN

NAME = typer.Argument(help="What you call the device; `hyperhive status` shows it under this name.")
USERS = typer.Option(
    None,
    metavar="FOLDER",
    help="Also make the users of coordinator.uri, worker.uri and viewer.uri in this folder, with "
    "the passwords in these files.",
)
ROLE = typer.Option("worker", help="worker, viewer (only reads) or coordinator.")
HOST = typer.Option(
    None,
    envvar="HYPERHIVE_HOST",
    show_envvar=True,
    metavar="HOST[:PORT]",
    help="The server's address as that device reaches it. [the address in --mongo]",
)
PORT = typer.Option(
    None, min=1, max=65535, help="The server's port. [the last one, or any free one]"
)
SHARED_HOST = typer.Option(
    None,
    "--host",
    metavar="ADDRESS",
    help="This machine's name or address, as other machines reach it. [that of the last time]",
)
SHARED_PORT = typer.Option(
    None, "--port", min=1, max=65535, help="The server's port. [that of the last time, else 27017]"
)
MONGOD = typer.Option(None, metavar="PATH", help="The mongod to run. [the one that is installed]")

mongo_app = typer.Typer(
    no_args_is_help=True,
    help="The private MongoDB server of this machine, and access to a shared one.",
)


@mongo_app.command()
def init(users: Optional[Path] = USERS, mongo: Optional[str] = ADMIN) -> None:
    """Make a shared server ready: roles, indexes and users. Safe to repeat."""
    uri = _require_server(mongo)
    from hyperhive.coordinator.server_setup import prepare

    for line in prepare(uri, users):
        tell(line)


@mongo_app.command()
def invite(
    name: str = NAME,
    role: str = ROLE,
    host: Optional[str] = HOST,
    mongo: Optional[str] = ADMIN,
) -> None:
    """Give a device access: print the one line to paste there.

    The device gets a login of its own, which may do what its role needs and nothing else. The line
    contains the certificate of the server's CA and, for a worker, the key with which you publish
    (`hyperhive objectives`). If you invite the same name again, it gets a new
    password, and the old one stops working.
    """
    uri = _require(name, mongo)
    from hyperhive.coordinator.server_setup import Invitation

    line, warnings = Invitation(name, role, host, uri, makes_key=mongo is None).send()
    for warning in warnings:
        typer.echo(warning, err=True)
    typer.echo(line)


@mongo_app.command()
def revoke(name: str = NAME, mongo: Optional[str] = ADMIN) -> None:
    """Take a device's access away at once; its trial goes to another worker."""
    uri = _require(name, mongo)
    from hyperhive.coordinator import server_setup

    server_setup.revoke(name, uri)
    tell(f"access for {name} revoked")


@mongo_app.command()
def share(
    host: Optional[str] = SHARED_HOST,
    port: Optional[int] = SHARED_PORT,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Run a server for other machines until Ctrl-C: with TLS, an administrator and roles.

    It needs MongoDB 7.0 or newer, and no Docker. All other commands on this machine use it from
    then on; `hyperhive mongo invite NAME` lets a device in. The next `share` goes on with its data.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[log_handler()])
    from hyperhive.coordinator.server_setup import make_ready
    from hyperhive.store.server.shared import shared_server

    with StopSignals() as signals, shared_server(host, port, mongod) as server:
        for line in make_ready(server):
            tell(line)
        server.keep_running(signals.stop)


@mongo_app.command()
def start(port: Optional[int] = PORT, mongod: Optional[str] = MONGOD) -> None:
    """Run the private server until Ctrl-C; coordinators and workers here find it by themselves."""
    from hyperhive.store.server.address import address
    from hyperhive.store.server.embedded import default_directory, embedded_server

    with StopSignals() as signals:
        with embedded_server(mongod=mongod, port=port, on_stop=signals.stop.set) as uri:
            tell(f"MongoDB runs at {address(uri)}; Ctrl-C ends it")
            tell(f"its files and its login are in {default_directory()}")
            signals.stop.wait()
        if not signals.signal_number:
            tell("MongoDB was stopped by another command")


@mongo_app.command()
def stop() -> None:
    """Stop the private server, even if something uses it."""
    from hyperhive.store.server import embedded

    tell("stopped" if embedded.stop() else "no server runs here")


def _require(name: str, mongo: Optional[str]) -> str:
    """Return the server's URI; raise ``UsageError`` for a name that cannot be a device's."""
    from hyperhive.store.server.login import DEVICE_NAME

    if DEVICE_NAME.fullmatch(name) is None:
        raise UsageError(
            "a device's name must be 1 to 64 letters, digits, '.', '_' or '-', and start with a "
            "letter or digit"
        )
    return _require_server(mongo)


def _require_server(mongo: Optional[str]) -> str:
    from hyperhive.store.server.shared import administrator

    uri = mongo or administrator()
    if uri is None:
        raise UsageError(
            "which server? Pass --mongo with an administrator's login, or make a server with "
            "`hyperhive mongo share`: the private server of this machine lets no other in"
        )
    return uri
