"""What commands share: a study's name, the options of a server, and the server that they name."""

import contextlib
import os
from typing import Any, Iterator, Optional

import typer

from hyperhive.common.errors import UsageError

VARIABLES = ["HYPERHIVE_MONGO", "HYPERHIVE_MONGO_FILE"]
"""The environment variables that may hold what ``--mongo`` takes; the first one wins."""


def _mongo_option(meaning: str, without: str) -> Any:
    return typer.Option(
        None,
        "--mongo",
        metavar="URI",
        envvar=VARIABLES,
        show_envvar=True,
        callback=_resolve,
        help=f"{meaning}, or the path of a file that contains it; without it, {without}. Prefer a "
        "file or the variable: they keep the password out of the process list.",
    )


def _resolve(given: Optional[str]) -> Optional[str]:
    """Return the standard URI; typer cannot read the annotations of ``login.resolve`` on 3.8."""
    return None if given is None else _uri(given, "--mongo")


def address_of(given: Optional[str]) -> Optional[str]:
    """Return for a program what ``--mongo`` is for a command: the given address, or a variable's.

    None if there is neither. Raises ``BadAddress``, ``UsageError``.
    """
    if given is not None:
        return _uri(given, "store")
    found = next(filter(None, map(os.environ.get, VARIABLES)), None)
    return None if found is None else _uri(found, "store")


def _uri(given: str, option: str) -> str:
    source = next((name for name in VARIABLES if os.environ.get(name) == given), option)
    if not given.strip():
        raise UsageError(f"{source} is empty: give it a MongoDB address, or omit it")
    from hyperhive.store.server import login

    return login.resolve(given, source)


STUDY = typer.Argument(help="The study's name, as `hyperhive status` shows it.")
MONGO = _mongo_option(
    "MongoDB URI",
    "the login that `hyperhive worker --save-login` or `hyperhive mongo share` saved, else the "
    "private server of this machine",
)
OWN = _mongo_option("MongoDB URI", "the private server of this machine")
ADMIN = _mongo_option(
    "MongoDB URI with the login of an administrator",
    "the administrator of this machine's `hyperhive mongo share`",
)
MONGOD = typer.Option(None, help="The mongod to run for the private server.", metavar="PATH")


@contextlib.contextmanager
def server(mongo: Optional[str], mongod: Optional[str], begins: bool = False) -> Iterator[str]:
    """Give the URI of the server to use: see ``hyperhive.store.server.choice``."""
    from hyperhive.store.server.choice import opened

    with opened(mongo, mongod, begins) as uri:
        yield uri
