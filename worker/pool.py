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
_SIGNALS_TO_KILL = 3  # the first lets a trial finish, the second gives it back, the third kills


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
        self._signals = 0

    def run(self) -> bool:
        """Run until stopped by SIGINT or SIGTERM; return False if a slot met an expected error."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        requests_passed_on = 0
        failed = False
        while True:
            # The failure of one slot ends the others, as one signal would.
            requests = self._signals + (1 if failed else 0)
            if requests > requests_passed_on:
                requests_passed_on = requests
                self._end_slots(kill=self._signals >= _SIGNALS_TO_KILL)
            if not requests:
                self._start_due()
            alive = [slot for slot in self._slots if slot.process is not None]
            if not alive and requests:
                return not failed
            self._wait(alive)
            for slot in alive:
                if slot.process is not None and slot.process.exitcode is not None:
                    failed = self._reap(slot, stopping=requests > 0) or failed

    def _on_signal(self, *_: object) -> None:
        self._signals += 1

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
        """Note the end of a slot's process; return whether it met an expected error."""
        process, slot.process = slot.process, None
        code = process.exitcode if process is not None else None
        if stopping or code == EXPECTED_ERROR:
            return code == EXPECTED_ERROR
        steady = time.monotonic() - slot.started_at > _STEADY_S
        slot.failures = 1 if steady else slot.failures + 1
        pause = min(2.0 ** (slot.failures - 1), _RESTART_LIMIT_S)
        slot.start_at = time.monotonic() + pause
        log.error("slot %d ended (%s); a new one starts in %.0f s", slot.number, _why(code), pause)
        return False

    def _end_slots(self, kill: bool) -> None:
        for slot in self._slots:
            if slot.process is not None:
                slot.process.kill() if kill else slot.process.terminate()


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
