"""Workers that are threads of the test: they deliver losses that nothing was trained for."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import Any, Callable, Iterator

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import LENET5
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

Act = Callable[[Store, Trial], None]


def loss_of(trial: Trial) -> float:
    """Return a loss that the trial's configuration decides, all different."""
    return min(0.99, abs(math.log10(trial.config["learning_rate"]) + 1.5) / 3)


def deliver(store: Store, trial: Trial, weights: bytes | None = None, **result: Any) -> None:
    """Finish a trial as a worker does."""
    loss = loss_of(trial)
    found = {"status": "ok", "loss": loss, "validation_accuracy": 1 - loss, "trained_on": {}}
    artifact = None if weights is None else store.blobs.put(weights, "w").as_document()
    store.queue.finish(trial.id, str(trial.token), {**found, **result}, artifact)


def claim(
    store: Store, worker: str = "w", lease: float = 60.0, objective: str = LENET5
) -> Trial | None:
    return store.queue.claim(worker, new_token(), [objective], lease=lease)


def claimed(store: Store, lease: float = 60.0) -> Trial:
    trial = claim(store, lease=lease)
    assert trial is not None
    return trial


def report(store: Store, *workers: str) -> None:
    for worker in workers:
        store.workers.report(worker, None, "cpu", {}, None)


@contextlib.contextmanager
def working(
    uri: str, act: Act = deliver, workers: int = 1, objective: str = LENET5
) -> Iterator[None]:
    """Have that many workers claim trials and do ``act`` with each, while the context is open."""
    ended = threading.Event()

    def work(name: str) -> None:
        with Store(uri) as store:
            while not ended.wait(0.01):
                report(store, name)
                trial = claim(store, name, objective=objective)
                if trial is not None:
                    with contextlib.suppress(LeaseLost):  # the search ended, and withdrew it
                        act(store, trial)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
