"""The commands ``hyperhive mongo invite`` and ``revoke``: which devices may work."""

import re
import shlex
from typing import Optional

import typer

from model.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names that stand in a URI and in a shell as they are."""

NAME = typer.Argument(help="What you call the device.")
ADMIN = typer.Option(
    None,
    "--mongo",
    envvar="HYPERHIVE_MONGO",
    show_envvar=True,
    help="MongoDB URI with the login of an administrator and the host as the devices reach it. "
    "Prefer the variable: it keeps the password out of the process list.",
)


def invite(name: str = NAME, mongo: Optional[str] = ADMIN) -> None:
    """Let a device work: print the one line to paste there.

    Its login is its own, and may do what a worker does and nothing else. Again, for a name that
    was invited before, it gets a new password.
    """
    uri = _require(name, mongo)
    from store.connection import Store
    from store.driver import with_login

    with Store(uri) as store:
        password = store.roles.invite(name)
    device = with_login(uri, name, password)
    typer.echo("HYPERHIVE_MONGO={} hyperhive worker".format(shlex.quote(device)))


def revoke(name: str = NAME, mongo: Optional[str] = ADMIN) -> None:
    """Shut a device out: its login is gone at once, and its trial goes to another worker."""
    uri = _require(name, mongo)
    from store.connection import Store

    with Store(uri) as store:
        store.roles.revoke(name)
    typer.echo("{} may work no more".format(name))


def _require(name: str, mongo: Optional[str]) -> str:
    """Return the server's URI, or say what is wrong with what was asked."""
    if _NAME.fullmatch(name) is None:
        raise UsageError("a device's name has letters, digits, '.', '_' and '-', 64 at most")
    if mongo is None:
        raise UsageError(
            "which server? Say --mongo with an administrator's login: this machine's private one "
            "is for this user and this machine only, and nobody can be invited to it"
        )
    return mongo
