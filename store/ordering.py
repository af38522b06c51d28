"""Orders as a person gives them: to whom, by whom, and what each worker does about them."""

from __future__ import annotations

import threading
from typing import Iterator

from hyperhive.common.person import this_person
from hyperhive.store.errors import NotFound, StoreUnavailable
from hyperhive.store.orders import Order, Wish, in_force
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ASK
from hyperhive.store.workers import KEPT_S, WorkerRecord, host_of

_LOOK_EVERY_S = 0.3


def withdraw(store: Store, name: str) -> str:
    """Let a device or a single worker take trials again; return what came of it, in a sentence.

    Raises ``NotFound`` for a name that nobody knows.
    """
    was_ordered = store.orders.withdraw(name)
    if not was_ordered:
        require_known(store, name)
    order = in_force(store.orders.all(), name)
    if order is not None and order.name != name:
        return f"{name} stays paused, as its device is: `hyperhive worker resume {order.name}`"
    return f"{name} {'takes trials again' if was_ordered else 'was not paused'}"


def require_known(store: Store, name: str) -> None:
    """Raise ``NotFound`` unless a worker of this name reported in the last day."""
    ids = [worker.id for worker in store.workers.recent(KEPT_S)]
    devices = {host_of(worker) or worker for worker in ids}
    if name not in devices.union(ids):
        known = f"those that have are {', '.join(sorted(devices))}" if devices else "none has"
        raise NotFound(f"no worker of {name!r} has reported in the last day: {known}")


class OrderCommand:
    """The command that gives an order, until all its workers obey.

    Args:
        store: where orders, workers and trials are.
        name: of a device, or the id of one worker.

    Raises ``NotFound`` for a name that nobody knows.
    """

    def __init__(self, store: Store, name: str) -> None:
        require_known(store, name)
        self._store = store
        self._name = name
        self._held: dict[str, str] = {}
        """The trial that each worker ran when it was last seen with one."""
        self._told: set[str] = set()
        self.is_obeyed = False
        """Whether all the workers that are here obey, once ``order`` has ended."""

    def give(self, wish: Wish) -> Order:
        """Give the order; it can be repeated."""
        return self._store.orders.give(self._name, wish, this_person())

    def order(self, wish: Wish, stop: threading.Event) -> Iterator[str]:
        """Give the order; yield what each worker does, in a sentence.

        Ends when all of them obey, or ``stop`` is set: the order holds in any case.
        """
        self._workers()  # for the trials that they run now
        order = self.give(wish)
        try:
            yield from self._until_obeyed(order, stop)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{error}; the order for {self._name} is in place, and holds until `hyperhive "
                f"worker resume {self._name}`"
            ) from error

    def _until_obeyed(self, order: Order, stop: threading.Event) -> Iterator[str]:
        waited_for: set[str] = set()
        while True:
            orders = self._store.orders.all()
            if not any(each.name == self._name for each in orders):
                yield f"{self._name} was resumed meanwhile"
                return
            workers = self._workers()
            yield from self._news(workers, orders)
            ids = {worker.id for worker in workers}
            for gone in sorted(waited_for - ids - self._told):
                yield f"{gone}: gone; if it comes back it obeys"
            open_ = ids - self._told
            if open_ and not waited_for:
                yield f"waiting for {', '.join(sorted(open_))}; Ctrl-C leaves the order in place"
            waited_for = open_
            if not open_ or stop.wait(_LOOK_EVERY_S):
                break
        self.is_obeyed = not open_ and all(worker.order is not None for worker in workers)
        if not ids:
            yield f"{order.name}: no worker is here now; those that start or come back obey"
        yield f"`hyperhive worker resume {order.name}` lets it take trials again"

    def _workers(self) -> list[WorkerRecord]:
        """Return the workers that are here and that the order is for, and note what they run."""
        present = self._store.workers.present()
        workers = [each for each in present if self._name in (each.id, host_of(each.id))]
        self._held.update({each.id: each.trial for each in workers if each.trial})
        return workers

    def _news(self, workers: list[WorkerRecord], orders: list[Order]) -> Iterator[str]:
        """Yield what those do that have begun to obey."""
        for worker in workers:
            does = self._does(worker, in_force(orders, worker.id))
            if does is not None and worker.id not in self._told:
                self._told.add(worker.id)
                yield f"{worker.id}: {does}"

    def _does(self, worker: WorkerRecord, order: Order | None) -> str | None:
        """Return what a worker does about its order, None if it does not obey yet."""
        if worker.order is None:
            if worker.objectives == frozenset([ASK]):
                return "a program that asks for its trials (study.ask): orders are not for it"
            return "reads no orders: update hyperhive there, and run `hyperhive mongo init` again"
        if order is None or worker.order != order.token:
            return None
        if order.wish is Wish.DRAIN:
            return (
                f"draining, runs {self._title(worker.trial)} to its end"
                if worker.trial
                else "drained"
            )
        if worker.trial:
            return None
        label = self._held.get(worker.id)
        if label is None:
            return "paused"
        trial = self._store.trials.labelled(label)
        became = "handed back" if trial is not None and not trial.is_final else "ended"
        return f"paused, {self._title(label)} {became}"

    def _title(self, label: str) -> str:
        """Return a trial's name for people: ``repeat 1 of trial 2 of digits``."""
        trial = self._store.trials.labelled(label)
        return label if trial is None else f"{trial.title} of {trial.study}"
