"""Orders: that a device's workers take no trial until they are resumed. Coordinators give them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Any, Iterable, Mapping

from hyperhive.common.values import text
from hyperhive.store.server.client import Guard
from hyperhive.store.workers import host_of


class Wish(Enum):
    """What an order wants of a worker, the stricter one first: it takes no trial in either case."""

    PAUSE = "pause"
    """It ends the trial that it runs soon, or hands it back."""
    DRAIN = "drain"
    """It runs its trial to the end."""


_EFFECTS = {Wish.PAUSE: ("pausing", "paused"), Wish.DRAIN: ("draining", "drained")}


@dataclass(frozen=True)
class Order:
    """An order, which holds until it is withdrawn or another one takes its place.

    Args:
        name: of a device, as its workers' ids begin: the order is for all of them, those that start
            later too; or the whole id of one worker.
        wish: what is wanted.
        by: who gave it, for people.
        token: of this order alone. A worker reports it when it obeys.
    """

    name: str
    wish: Wish
    by: str
    token: str

    def is_for(self, worker: str) -> bool:
        """Return whether a worker has to obey it."""
        return self.name in _names(worker)

    def effect(self, holds: bool) -> str:
        """Return what a worker does about it, for its record; ``holds``: it still runs a trial."""
        pausing, paused = _EFFECTS[self.wish]
        return f"{pausing if holds else paused}, by {self.by}"


class Orders:
    """The orders of a database: one document for each name, with the last wish."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._orders = database["orders"]
        self._guard = guard

    def give(self, name: str, wish: Wish, by: str) -> Order:
        """Give an order, in place of the last one for this name; it can be repeated."""
        order = Order(name, wish, by, uuid.uuid4().hex)
        fields = {"wish": wish.value, "by": by, "token": order.token}
        with self._guard():
            self._orders.update_one({"_id": name}, {"$set": fields}, upsert=True)
        return order

    def withdraw(self, name: str) -> bool:
        """Delete the order for a device and those for single workers of it, or that for a worker.

        Returns whether there was one; it can be repeated.
        """
        with self._guard():
            count = self._orders.delete_one({"_id": name}).deleted_count
            workers = [order.name for order in self.all() if host_of(order.name) == name]
            if workers:
                count += self._orders.delete_many({"_id": {"$in": workers}}).deleted_count
        return bool(count)

    def forget(self, known: Iterable[str]) -> None:
        """Delete the orders for single workers of which none is among those that are known."""
        names = {order.name for order in self.all() if host_of(order.name)}
        gone = names.difference(*map(_names, known))
        if gone:
            with self._guard():
                self._orders.delete_many({"_id": {"$in": sorted(gone)}})

    def all(self) -> list[Order]:
        """Return all orders."""
        return self._found({})

    def of(self, worker: str) -> Order | None:
        """Return the order that a worker has to obey now."""
        return in_force(self._found({"_id": {"$in": _names(worker)}}), worker)

    def _found(self, which: Mapping[str, Any]) -> list[Order]:
        with self._guard():
            found = [_from_document(document) for document in self._orders.find(which)]
        return [order for order in found if order is not None]


def in_force(orders: Iterable[Order], worker: str) -> Order | None:
    """Return the order that a worker has to obey: the strictest of those for it."""
    wishes = list(Wish)
    its = [order for order in orders if order.is_for(worker)]
    return min(its, key=lambda order: (wishes.index(order.wish), order.name), default=None)


def _names(worker: str) -> list[str]:
    """Return the names under which orders are for a worker."""
    return [name for name in (worker, host_of(worker)) if name is not None]


def _from_document(document: Mapping[str, Any]) -> Order | None:
    """Return an order; None for a document that is none, or one of a later version."""
    name, by, token = (text(document.get(field)) for field in ("_id", "by", "token"))
    wish = next((wish for wish in Wish if wish.value == document.get("wish")), None)
    if name is None or wish is None or not token:
        return None
    return Order(name, wish, by or "somebody", token)
