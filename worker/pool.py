"""A process for each slot, and a parent that starts them, restarts them and passes signals on."""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.connection
import signal
import time
from dataclasses import dataclass
from typing import Any, Callable

log = logging.getLogger(__name__)

EXPECTED_ERROR = 3
"""A slot's exit code after an error that is reported in words and that a restart cannot fix."""
_RESTART_LIMIT_S = 60.0
_STEADY_S = 60.0  # after this, a failure counts as the first again
_TICK_S = 0.2
_STOPPING = (
    "stopping: each slot finishes its trial if that can be done soon, else gives it back; a second "
    "signal gives it back at once",
    "giving trials back at once; a third signal kills slots that do not end",
    "killing slots: their trials go to other workers when their leases are over",
)
"""What the first, second and third request to stop do."""


@dataclass
class _Slot:
    number: int
    process: Any | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    failures: int = 0


class Pool:
    """Runs ``target(*args, slot number)`` in a process for each slot.

    The processes are spawned, not forked (CUDA and threads do not survive a fork), and get their
    arguments through a pipe: a password in them is not in the process list.
    """

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], slots: int) -> None:
        self._target = target
        self._args = args
        self._slots = [_Slot(number) for number in range(1, slots + 1)]
        self._requests = 0

    def stop(self, *_: object) -> None:
        """Request a stop, as a signal handler or from a thread; see ``_STOPPING``."""
        self._requests += 1

    def run(self) -> bool:
        """Run until stopped by SIGINT, SIGTERM or ``stop``; return whether all slots ended well."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.stop)
        passed_on = 0
        failed = False
        while True:
            if self._requests > passed_on:
                passed_on += 1
                self._end_slots(passed_on)
            if not passed_on:
                self._start_due()
            alive = [slot for slot in self._slots if slot.process is not None]
            if not alive and passed_on:
                return not failed
            self._wait(alive)
            for slot in alive:
                if slot.process is not None and slot.process.exitcode is not None:
                    failed = self._reap(slot, stopping=passed_on > 0) or failed
            if failed and not self._requests:
                self.stop()  # the failure of one slot ends the others

    def _start_due(self) -> None:
        context = multiprocessing.get_context("spawn")
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is None and slot.start_at <= now:
                slot.process = context.Process(
                    target=self._target, args=(*self._args, slot.number), name="slot"
                )
                slot.process.start()
                slot.started_at = now

    def _wait(self, alive: list[_Slot]) -> None:
        """Wait until a slot ends, but only briefly: a signal may arrive meanwhile."""
        sentinels = [slot.process.sentinel for slot in alive if slot.process is not None]
        if sentinels:
            multiprocessing.connection.wait(sentinels, timeout=_TICK_S)
        else:
            time.sleep(_TICK_S)

    def _reap(self, slot: _Slot, stopping: bool) -> bool:
        """Note the end of a slot's process; return whether it failed in a way that ends the pool.

        A slot that does not end as it was asked to cannot say what it lost.
        """
        process, slot.process = slot.process, None
        code = process.exitcode if process is not None else None
        if code == EXPECTED_ERROR:
            return True
        if stopping:
            ended_well = code in (0, -signal.SIGTERM)  # the signal may come before its handler
            if not ended_well:
                log.error("slot %d did not end in good order (%s)", slot.number, _why(code))
            return not ended_well
        steady = time.monotonic() - slot.started_at > _STEADY_S
        slot.failures = 1 if steady else slot.failures + 1
        pause = min(2.0 ** (slot.failures - 1), _RESTART_LIMIT_S)
        slot.start_at = time.monotonic() + pause
        log.error("slot %d ended (%s); a new one starts in %.0f s", slot.number, _why(code), pause)
        return False

    def _end_slots(self, request: int) -> None:
        """Pass on the request to stop of this number."""
        number = min(request, len(_STOPPING))
        if any(slot.process is not None for slot in self._slots):
            log.info("%s", _STOPPING[number - 1])
        for slot in self._slots:
            if slot.process is not None:
                slot.process.kill() if number == len(_STOPPING) else slot.process.terminate()


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
