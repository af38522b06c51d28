"""A worker's life: wait for the server, claim a trial, run it, deliver its result, repeat."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Mapping

from hyperhive.common.signals import StopRequest
from hyperhive.store.errors import LoginRefused, StoreUnavailable
from hyperhive.store.server.address import Place
from hyperhive.store.server.client import revoked
from hyperhive.store.server.embedded import running_uri
from hyperhive.store.store import Store
from hyperhive.worker.claiming import Claimer
from hyperhive.worker.heartbeat import Heartbeat
from hyperhive.worker.identity import Identity
from hyperhive.worker.objectives.api import Objective
from hyperhive.worker.objectives.lacking import Lacking
from hyperhive.worker.orders.reading import OrderReader
from hyperhive.worker.outbox import Outbox
from hyperhive.worker.pausing import PausePolicy, pause_without_trial
from hyperhive.worker.running.runner import Runner
from hyperhive.worker.settings import WorkerSettings

if TYPE_CHECKING:  # it loads what checks signatures
    from hyperhive.worker.signed.published import Published

log = logging.getLogger(__name__)

_RECONNECT_LIMIT_S = 5.0
_FIRST_POLL_S = 0.02
_POLL_LIMIT_S = 0.5


class Worker:
    """One process that runs one trial at a time, until it is stopped.

    When the server goes away, the session ends and the worker goes on: it waits for the server, and
    delivers first what it could not deliver before.

    Args:
        settings: the command line's choices; ``device`` is a device, not ``auto``.
        identity: what the worker says about itself.
        objectives: what it can run, by name; ``published`` adds to it and removes from it.
        outbox: keeps results until they are delivered.
        stop: the request to stop.
        policy: when to pause; by default what the settings say.
        find_server: returns the server's URI, or None while there is no server; by default what
            the settings say. It is asked before each connection.
        lacking: says what an idle worker cannot take; None if another slot says that.
        published: what keys that the worker was given have published; None without such a key.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        identity: Identity,
        objectives: Mapping[str, Objective],
        outbox: Outbox,
        stop: StopRequest,
        policy: PausePolicy | None = None,
        find_server: Callable[[], str | None] | None = None,
        lacking: Lacking | None = None,
        published: Published | None = None,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._objectives = objectives
        self._outbox = outbox
        self._stop = stop
        self._policy = policy or PausePolicy.of(settings)
        self._find_server = find_server or self._server_of_settings
        self._lacking = lacking
        self._published = published
        self._orders = OrderReader(identity.worker)
        self._claimer = Claimer(identity, objectives, settings.lease, settings.first_come)
        self._runner = Runner(settings, objectives, self._claimer, outbox, self._policy, stop)
        self._place: Place | None = None  # the server that accepted this worker's login

    def _server_of_settings(self) -> str | None:
        return self._settings.mongo or running_uri()

    def run(self) -> None:
        """Work until stopped. Raises ``StoreError`` if waiting cannot help."""
        with self._outbox:
            try:
                while not self._stop.asked.is_set():
                    uri = self._wait_for_server()
                    if uri is not None:
                        self._session(uri)
            except LoginRefused as error:
                if self._place is None:
                    raise
                raise revoked(self._place) from error

    # -- sessions -------------------------------------------------------------------------------

    def _wait_for_server(self) -> str | None:
        """Return the URI of a server that answers; None once stopped."""
        pause = 0.25
        has_warned = False
        while not self._stop.asked.is_set():
            uri = self._find_server()
            reason = (
                "no server runs on this machine: start `hyperhive coordinator` here, or paste the "
                "line of `hyperhive mongo invite`"
            )
            if uri is not None:
                try:
                    with Store(uri, timeout=_RECONNECT_LIMIT_S) as store:
                        store.ping()
                    log.info("connected to %s", store.address)
                    self._place = store.place
                    return uri
                except StoreUnavailable as error:
                    reason = str(error)
            if not has_warned:
                log.warning("%s; waiting for it", reason)
                has_warned = True
            self._stop.asked.wait(pause)
            pause = min(2 * pause, _RECONNECT_LIMIT_S)
        return None

    def _session(self, uri: str) -> None:
        """Deliver what waits, then run trials while the server is there."""
        try:
            with Store(uri) as store:
                heartbeat = Heartbeat(
                    connect=functools.partial(Store, uri, timeout=_RECONNECT_LIMIT_S),
                    identity=self._identity,
                    lease=self._settings.lease,
                    undelivered=self._outbox.waiting,
                    pace=lambda: self._claimer.pace,
                    orders=self._orders,
                )
                with heartbeat:
                    heartbeat.began.wait()
                    self._outbox.deliver(store, heartbeat.holding_again)
                    self._outbox.deliver_for_the_dead(store, heartbeat.holding_again)
                    self._work(store, heartbeat)
        except StoreUnavailable as error:
            if self._find_server() is None:  # it ends with the last command that uses it
                where = self._place.where if self._place else "its last address"
                reason = f"the private server at {where} has stopped"
            else:
                reason = str(error)
            log.warning("%s%s", reason, "" if self._stop.asked.is_set() else "; waiting for it")

    def _work(self, store: Store, heartbeat: Heartbeat) -> None:
        """Run trials until stopped; poll less and less often while there are none."""
        pause = _FIRST_POLL_S
        while not self._stop.asked.is_set():
            heartbeat.raise_failure()
            # A trial that may be this worker's already must not wait through a pause.
            if not self._claimer.may_hold_a_trial:
                # Raises if the server is away: that ends the session.
                read_order = functools.partial(self._orders.read, store)
                pause_without_trial(self._policy, heartbeat, self._stop, read_order)
            if self._stop.asked.is_set():
                return
            self._renew_objectives(store, heartbeat)
            if self.run_next(store, heartbeat):
                pause = _FIRST_POLL_S
            else:
                if self._lacking is not None:
                    self._lacking.look(store)
                self._stop.asked.wait(pause)
                pause = min(2 * pause, _POLL_LIMIT_S)

    def _renew_objectives(self, store: Store, heartbeat: Heartbeat) -> None:
        """Offer what is published now, and say so in the worker's record."""
        if self._published is not None and self._published.refresh(store):
            self._identity = replace(
                self._identity,
                objectives=tuple(self._objectives),
                refused=self._published.refused,
            )
            heartbeat.identify(self._identity)

    def run_next(self, store: Store, heartbeat: Heartbeat) -> bool:
        """Take a trial, or several short ones, from claim to delivery; False if there is none."""
        trials = self._claimer.next_trials(store, self._runner.times.expected())
        if not trials:
            return False
        store.identity()
        # The last reply that is needed before the run has arrived. If one had been lost, the next
        # call would find the trials by their tokens.
        self._claimer.confirm()
        if len(trials) == 1:
            self._runner.run(trials[0], store, heartbeat)
        else:
            self._runner.run_batch(trials, store, heartbeat)
        return True
