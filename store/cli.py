"""The options of every command that needs a MongoDB server, and the server that they name."""

import contextlib
from typing import Any, Iterator, Optional

import typer

from hyperhive.store.server import login


def mongo_option(without: str) -> Any:
    """Return the option ``--mongo``.

    Args:
        without: what the command uses without the option, as the end of a sentence.
    """
    return _mongo_option(
        f"MongoDB URI, or the path of a file that contains it; without it, {without}."
    )


def _mongo_option(meaning: str) -> Any:
    return typer.Option(
        None,
        "--mongo",
        metavar="URI",
        envvar=login.VARIABLES,
        show_envvar=True,
        callback=_resolve,
        help=f"{meaning} Prefer a file or the variable: they keep the password out of the process "
        "list.",
    )


def _resolve(given: Optional[str]) -> Optional[str]:
    """Do what ``login.resolve`` does; typer cannot read its annotations on Python 3.8."""
    return login.resolve(given)


MONGO = mongo_option("a private server on this machine")
ADMIN = _mongo_option(
    "MongoDB URI with the login of an administrator, or the path of a file that contains it."
)
MONGOD = typer.Option(None, help="The mongod to run when --mongo is absent.", metavar="PATH")


@contextlib.contextmanager
def server(mongo: Optional[str], mongod: Optional[str]) -> Iterator[str]:
    """Give the URI in ``--mongo``, or start this machine's private server and give its URI."""
    from hyperhive.store.server.client import address
    from hyperhive.store.server.embedded import embedded_server

    if mongo is not None:
        address(mongo)
        yield mongo
    else:
        with embedded_server(mongod=mongod) as uri:
            yield uri
