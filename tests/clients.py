"""What the clients of a store do in tests: single steps, and several at the same moment."""

import threading
from concurrent import futures
from typing import Any, Callable, Dict, List, Optional

from store.connection import Store
from store.errors import LeaseLost
from store.queue import new_token
from store.trial import SEARCH, Draft, Status, Trial


def post(store: Store, tid: int = 0, **fields: Any) -> bool:
    return store.trials.post(Draft("s", tid, {}, {}, **fields))


def claim(store: Store, worker: str = "w1", lease: float = 60.0) -> Trial:
    trial = store.trials.claim(worker, new_token(), ["lenet5"], lease=lease)
    assert trial is not None
    return trial


def try_claim(store: Store, worker: str = "w1") -> Optional[Trial]:
    return store.trials.claim(worker, new_token(), ["lenet5"])


def finish(store: Store, trial: Trial, loss: float = 0.25) -> bool:
    return store.trials.finish(trial.id, str(trial.token), {"loss": loss})


def only(store: Store, tid: int = 0) -> Trial:
    (trial,) = store.trials.find("s", tids=[tid])
    return trial


def raw(store: Store, tid: int = 0) -> Dict[str, Any]:
    document: Dict[str, Any] = store.client.hyperhive.jobs.find_one({"tid": tid})
    return document


def ended(store: Store) -> Dict[str, int]:
    """Return how many trials are done and failed; fail if one has not ended."""
    counts = store.trials.counts("s", SEARCH)
    assert (counts[Status.NEW], counts[Status.RUNNING]) == (0, 0)
    return {"done": counts[Status.DONE], "failed": counts[Status.ERROR]}


def at_once(*actions: Callable[[], Any]) -> List[Any]:
    """Run every action in a thread of its own, all let go together; return what each gave."""
    gate = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        gate.wait(30)
        return action()

    with futures.ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def happened(action: Callable[..., Any], *arguments: Any) -> bool:
    """Return whether an action went through, rather than being refused as no longer ours."""
    try:
        action(*arguments)
    except LeaseLost:
        return False
    return True
