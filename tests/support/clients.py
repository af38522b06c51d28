"""What the clients of a store do in tests: single steps, and several at the same moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent import futures
from typing import Any, Callable, Sequence

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import SEARCH, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token


def here(
    store: Store,
    *workers: str,
    objectives: Sequence[str] | None = ("lenet5",),
    study: str | None = None,
    **record: Any,
) -> None:
    """Report workers that have these objectives, and do nothing unless the record says so."""
    for worker in workers:
        report = {"trial": None, **record}
        store.workers.report(worker, study, "cpu", {}, objectives=objectives, **report)


def post(store: Store, tid: int = 0, **fields: Any) -> bool:
    return store.queue.post(Draft("s", tid, {}, {}, **{"objective": "lenet5", **fields}))


def claim(store: Store, worker: str = "w1", lease: float = 60.0) -> Trial:
    trial = store.queue.claim(worker, new_token(), ["lenet5"], lease=lease)
    assert trial is not None
    return trial


def try_claim(store: Store, worker: str = "w1") -> Trial | None:
    return store.queue.claim(worker, new_token(), ["lenet5"])


def finish(store: Store, trial: Trial, loss: float = 0.25) -> bool:
    return store.queue.finish(trial.id, str(trial.token), {"loss": loss})


def only(store: Store, tid: int = 0) -> Trial:
    (trial,) = store.trials.find("s", tids=[tid])
    return trial


def raw(store: Store, tid: int = 0) -> dict[str, Any]:
    document: dict[str, Any] = store.client.hyperhive.jobs.find_one({"tid": tid})
    return document


def counts_of(store: Store, study: str = "s") -> dict[Status, int]:
    """Return how many of a study's search trials are in each state."""
    states = [trial.status for trial in store.trials.find(study, SEARCH)]
    return {status: states.count(status) for status in Status}


def ended(store: Store) -> dict[str, int]:
    """Return how many trials are done and failed; fail if one has not ended."""
    counts = counts_of(store)
    assert (counts[Status.NEW], counts[Status.RUNNING]) == (0, 0)
    return {"done": counts[Status.DONE], "failed": counts[Status.ERROR]}


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Run every action in a thread of its own, all let go together; return what each gave."""
    gate = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        gate.wait(60)
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


class Gate:
    """A TCP relay to the test's mongod that can be shut: a server that goes and comes back."""

    def __init__(self, uri: str) -> None:
        login, _, rest = uri.rpartition("@")
        self._target = int(rest.partition("/")[0].rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.uri = "{}@127.0.0.1:{}/{}".format(login, port, rest.partition("/")[2])
        self._open = True
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def shut(self) -> None:
        """Break every connection and refuse new ones."""
        self._open = False
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Let connections through again."""
        self._open = True

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if not self._open:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=pair, daemon=True).start()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
