"""Which server a command uses, by one rule for all commands.

1. the address that the command is given: ``--mongo`` or a variable
2. the login that ``hyperhive worker --save-login`` or ``hyperhive mongo share`` saved
3. the private server of this machine

Only a command that begins something makes the private server. All others use it while it runs, and
start it for as long as they read if it has run before: its files may hold studies.
"""

from __future__ import annotations

import contextlib
from typing import Iterator

from hyperhive.store.errors import NoServer
from hyperhive.store.server import login
from hyperhive.store.server.address import address
from hyperhive.store.server.embedded import embedded_server, has_run


def named(given: str | None) -> str | None:
    """Return the address that was given, else the saved one; None for the private server.

    Raises ``BadAddress`` for an address that cannot be used, ``ReadableByOthers``, ``OSError``.
    """
    uri = given or login.saved()
    if uri is not None:
        address(uri)
    return uri


@contextlib.contextmanager
def opened(given: str | None, mongod: str | None = None, begins: bool = False) -> Iterator[str]:
    """Give the URI of the server to use, login included.

    Raises ``NoServer`` if that is a private server that has never run, and what ``named`` and
    ``embedded_server`` raise.

    Args:
        given: the address that the command is given, if any.
        mongod: the program of the private server.
        begins: whether the command begins something, and so makes the private server.
    """
    uri = named(given)
    if uri is not None:
        yield uri
    elif begins or has_run():
        with embedded_server(mongod=mongod) as uri:
            yield uri
    else:
        raise NoServer(
            "there is nothing on this machine yet: start a study with `hyperhive coordinator`, "
            "join a fleet with the line of `hyperhive mongo invite`, or name a server with --mongo"
        )
