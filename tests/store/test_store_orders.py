"""Orders in the store: for whom they are, which one is in force, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from hyperhive.store.orders import Wish
from hyperhive.store.store import Store

FIRST, SECOND = "nano-12-abcdef", "nano-13-abcdef"
OTHER = "nano-2-14-abcdef"
"""A worker of the device nano-2."""


def wish(store: Store, worker: str) -> Wish | None:
    order = store.orders.of(worker)
    return None if order is None else order.wish


def test_an_order_is_for_all_workers_of_a_device_until_it_is_withdrawn(store: Store) -> None:
    """The last wish for a name counts; another device has nothing to do with it."""
    store.orders.give("nano", Wish.DRAIN, "anna@studio")
    order = store.orders.give("nano", Wish.PAUSE, "ben@mac")
    assert store.orders.of(FIRST) == store.orders.of(SECOND) == order
    assert store.orders.all() == [order]
    assert wish(store, OTHER) is None
    assert store.orders.withdraw("nano")
    assert wish(store, FIRST) is None
    assert not store.orders.withdraw("nano")


def test_the_stricter_order_is_in_force(store: Store) -> None:
    """One for a worker and one for its device: it pauses. To resume the device ends both."""
    store.orders.give(FIRST, Wish.PAUSE, "anna")
    store.orders.give("nano", Wish.DRAIN, "anna")
    store.orders.give(OTHER, Wish.DRAIN, "anna")
    assert (wish(store, FIRST), wish(store, SECOND)) == (Wish.PAUSE, Wish.DRAIN)
    assert store.orders.withdraw(FIRST)
    assert wish(store, FIRST) is Wish.DRAIN
    store.orders.give(FIRST, Wish.PAUSE, "anna")
    assert store.orders.withdraw("nano")
    assert (wish(store, FIRST), wish(store, OTHER)) == (None, Wish.DRAIN)


@pytest.mark.parametrize(
    "fields",
    [{}, {"wish": "explode"}, {"wish": ["pause"]}, {"wish": "pause", "token": 3}, {"wish": None}],
)
def test_rubbish_is_no_order(store: Store, fields: dict[str, Any]) -> None:
    """Nobody obeys it, and a real order takes its place."""
    store.database.orders.insert_one({"_id": "nano", "by": 3, **fields})
    store.database.orders.insert_one({"_id": 7, "by": "x", "wish": "pause", "token": "t"})
    assert store.orders.all() == []
    assert wish(store, FIRST) is None
    store.orders.give("nano", Wish.PAUSE, "anna")
    assert wish(store, FIRST) is Wish.PAUSE


def test_an_order_for_a_worker_whose_record_is_gone_is_forgotten(store: Store) -> None:
    """That for a device stays, though none of its workers is known."""
    store.workers.report(FIRST, None, "cpu", {}, None)
    for name in (FIRST, SECOND, "nano", "w"):
        store.orders.give(name, Wish.PAUSE, "anna")
    store.forget_orders()
    assert {order.name for order in store.orders.all()} == {FIRST, "nano", "w"}
