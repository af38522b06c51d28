"""How a worker learns of the order that it has to obey."""

from __future__ import annotations

import logging
import math
import time

from hyperhive.store.errors import NotAllowed
from hyperhive.store.orders import Order
from hyperhive.store.store import Store

log = logging.getLogger(__name__)

_ASK_AGAIN_S = 60.0
"""So long a worker whose login may not read orders waits until it tries again: mongod logs each."""

_FRESH_S = 0.5
"""So long it counts that there is no order: a worker whose trials are shorter asks once for some of
them. An idle worker asks before each claim."""


class OrderReader:
    """Reads a worker's order from the store, if the worker's login may.

    The roles of a server that was made ready by an older hyperhive have no such right. The worker
    then says once what to do, and works as it would without orders.

    Args:
        worker: its id.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self.may_read = True
        """Whether the login may, as far as is known."""
        self._refused_at = 0.0
        self._none_at = -math.inf

    def read_if_due(self, store: Store) -> Order | None:
        """Do what ``read`` does, unless there was none a moment ago."""
        is_fresh = time.monotonic() - self._none_at < _FRESH_S
        return None if is_fresh else self.read(store)

    def read(self, store: Store) -> Order | None:
        """Return the order in force. Raises ``StoreUnavailable``."""
        asked_at = time.monotonic()
        if not self.may_read and time.monotonic() - self._refused_at < _ASK_AGAIN_S:
            return None
        try:
            order = store.orders.of(self._worker)
        except NotAllowed:
            if self.may_read:
                log.warning(
                    "this worker cannot be paused from another machine, as its login may not read "
                    "orders: run `hyperhive mongo init` again, or restart `hyperhive mongo share`"
                )
            self.may_read, self._refused_at = False, time.monotonic()
            return None
        self.may_read = True
        self._none_at = asked_at if order is None else -math.inf
        return order
