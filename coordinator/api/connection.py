"""A server that stays up as long as a program uses it, and a store on it."""

from __future__ import annotations

import atexit
import contextlib
import time
from typing import Callable, TypeVar

from hyperhive.store.cli import address_of
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.server.choice import opened
from hyperhive.store.store import Store

_PATIENCE_S = 60.0
_PAUSE_S = 0.5
_T = TypeVar("_T")


class Connection:
    """A store on the server that a command would use, until ``close``.

    The private server of this machine is started if it does not run. The end of the program closes
    what is open.

    Args:
        given: a MongoDB URI, or the path of a file that contains one; None for what a command uses
            without ``--mongo``.
        begins: see ``hyperhive.store.server.choice.opened``.
    """

    def __init__(self, given: str | None, begins: bool) -> None:
        with contextlib.ExitStack() as opening:
            self.uri = opening.enter_context(opened(address_of(given), begins=begins))
            self.store = opening.enter_context(Store(self.uri))
            self.open = opening.pop_all()
        atexit.register(self.close)

    def close(self) -> None:
        """Close the store, and stop the private server unless others use it; safe to repeat."""
        atexit.unregister(self.close)
        self.open.close()


def fetching(given: str | None) -> Callable[[str], bytes]:
    """Return a function that gives a published data set, from the server that ``given`` names."""

    def fetch(content_hash: str) -> bytes:
        connection = Connection(given, begins=False)
        try:
            return connection.store.datasets.fetch(content_hash)
        finally:
            connection.close()

    return fetch


def patiently(step: Callable[[], _T]) -> _T:
    """Do a step that is safe to repeat, again and again for ``_PATIENCE_S``.

    Raises ``StoreUnavailable`` if the server has not answered by then.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return step()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
