"""Writers that never wait, and the server that is killed under their load."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from hyperhive.store.errors import LeaseLost, StoreUnavailable
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.batches import Kind, ShortResult
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.updates import new_token
from support.fleet import answers, draft
from support.home import until

WRITERS = 4


class Writer(threading.Thread):
    """Posts, claims and finishes trials, and records what the server acknowledged."""

    def __init__(self, uri: str, number: int, ended: threading.Event) -> None:
        super().__init__()
        self._uri = uri
        self._number = number
        self._ended = ended
        self._name = f"study-{number}"
        self.posted: set[int] = set()
        self.won: dict[int, str] = {}
        self.disowned: list[str] = []

    def run(self) -> None:
        """Write until the event is set."""
        with Store(self._uri, timeout=2.0) as store:
            tid = 0
            while not self._ended.is_set():
                try:
                    self._one(store, tid)
                    self._two(store, tid + 1)
                    tid += 3
                except StoreUnavailable:
                    time.sleep(0.05)

    def _one(self, store: Store, tid: int) -> None:
        store.queue.post(draft(self._name, tid))  # posting again after a time-out is safe
        self.posted.add(tid)
        token = new_token()
        trial = store.queue.claim("w", token, ["quick"], self._name, lease=3600.0)
        if trial is None:
            return
        try:
            if store.queue.finish(trial.id, token, {"loss": 0.5}):
                self.won[trial.tid] = token
        except LeaseLost:
            self.disowned.append(f"claim of {trial.tid}")

    def _two(self, store: Store, tid: int) -> None:
        for each in (tid, tid + 1):
            store.queue.post(draft(self._name, each))
            self.posted.add(each)
        kind, tokens = Kind(self._name, "quick"), [new_token(), new_token()]
        trials = store.queue.claim_batch(kind, "w", tokens, ["quick"], self._name, 3600.0)
        won = {trial.tid: str(trial.token) for trial in trials}
        results = [ShortResult(trial.id, won[trial.tid], {"loss": 0.5}) for trial in trials]
        if results and store.queue.finish_batch(results):
            self.won.update(won)
        elif results:
            self.disowned.append(f"claims of {tid} and the next")

    def lost(self, store: Store) -> list[str]:
        """Return what was acknowledged and is missing."""
        trials = {trial.tid: trial for trial in store.trials.find(self._name)}
        posts = [f"post of {tid}" for tid in self.posted if tid not in trials]
        results = [
            f"result of {tid}"
            for tid, token in self.won.items()
            if tid in trials and (trials[tid].status, trials[tid].winner) != (Status.DONE, token)
        ]
        return posts + results + self.disowned


def kill_under_load(directory: Path, kills: int) -> int:
    """Kill mongod under load; raise ``AssertionError`` if a write that it acknowledged is missing.

    Returns how many writes were acknowledged.
    """
    done = threading.Event()
    with embedded_server(directory) as uri:
        with Store(uri) as store:
            store.ensure_indexes()
        writers = [Writer(uri, number, done) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(kills):
                counts = [len(writer.won) for writer in writers]
                until(
                    lambda before=counts: all(
                        len(writer.won) > count + 20 for writer, count in zip(writers, before)
                    ),
                    "results of every writer",
                )
                os.kill(int((directory / "data" / "mongod.lock").read_text()), signal.SIGKILL)
        finally:
            done.set()
            for writer in writers:
                writer.join()
        with Store(uri) as store:
            until(lambda: answers(store), "the server")
            lost = [loss for writer in writers for loss in writer.lost(store)]
    assert lost == [], "acknowledged and lost"
    return sum(len(writer.posted) + len(writer.won) for writer in writers)
