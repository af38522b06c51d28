"""Pauses: when a worker leaves its machine to the person who uses it, and how it waits."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Callable

from hyperhive.common.errors import UsageError
from hyperhive.common.signals import StopRequest
from hyperhive.store.orders import Order
from hyperhive.worker.heartbeat import Heartbeat, Held
from hyperhive.worker.sensors import Sensors, sensors
from hyperhive.worker.settings import WorkerSettings

log = logging.getLogger(__name__)

COOLER_BY = 5.0
"""A worker that was too hot resumes this many degrees below the limit, so it does not flutter."""


@dataclass
class PausePolicy:
    """Decides whether a worker must pause now. By default, never.

    A sensor that stops answering is a reason to pause too: the user asked the worker to watch it.

    Args:
        sensors: reads this machine's battery and temperature.
        pause_on_battery: pause while the machine runs on its battery.
        max_temp: pause above this temperature, in degrees Celsius, until it is ``COOLER_BY`` below.
        check_every: seconds between two looks during a pause, at the sensors or for an order.
        hold_limit: seconds that a trial is held during a pause, before it is given back.

    Raises ``UsageError`` if this machine lacks a sensor that the policy needs.
    """

    sensors: Sensors | None = None
    pause_on_battery: bool = False
    max_temp: float | None = None
    check_every: float = 2.0
    hold_limit: float = 300.0
    _was_hot: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.pause_on_battery and self._on_battery() is None:
            raise UsageError("this machine reports no battery: omit --pause-on-battery")
        if self.max_temp is not None and self._temperature() is None:
            raise UsageError("this machine does not report its temperature: omit --max-temp")

    @classmethod
    def of(cls, settings: WorkerSettings) -> PausePolicy:
        """Return the policy that the command line asked for, with this machine's sensors."""
        return cls(sensors(), settings.pause_on_battery, settings.max_temp)

    def reason(self) -> str | None:
        """Return why the worker must pause now, None if it need not."""
        return (self.pause_on_battery and self._battery_reason()) or self._heat_reason()

    def _battery_reason(self) -> str | None:
        on_battery = self._on_battery()
        if on_battery is None:
            return "the battery no longer reports its state"
        return "on battery" if on_battery else None

    def _heat_reason(self) -> str | None:
        if self.max_temp is None:
            return None
        degrees = self._temperature()
        if degrees is None:
            return "the thermometer no longer reports a temperature"
        limit = self.max_temp - COOLER_BY if self._was_hot else self.max_temp
        self._was_hot = degrees > limit
        return f"too hot, {degrees:.0f} °C" if self._was_hot else None

    def _on_battery(self) -> bool | None:
        return None if self.sensors is None else self.sensors.on_battery()

    def _temperature(self) -> float | None:
        return None if self.sensors is None else self.sensors.temperature()


def pause_without_trial(
    policy: PausePolicy,
    heartbeat: Heartbeat,
    stop: StopRequest,
    read_order: Callable[[], Order | None],
) -> None:
    """Return at once if neither an order nor the machine is a reason to pause, else when none is.

    Returns too when the worker is asked to stop. ``read_order`` may raise.
    """
    said = None
    try:
        while not stop.asked.is_set():
            heartbeat.raise_failure()
            order, reason = read_order(), policy.reason()
            if order is None and reason is None:
                break
            heartbeat.pause(reason, order)
            if said != (order, reason is None):  # not each degree
                log.info("%s", order.effect(False) if order else f"paused: {reason}")
            said = order, reason is None
            stop.asked.wait(policy.check_every)
    finally:
        if said is not None:
            heartbeat.pause(None)
    if said is not None and not stop.asked.is_set():
        log.info("takes trials again")


def pause_holding(policy: PausePolicy, heartbeat: Heartbeat, stop: StopRequest, held: Held) -> None:
    """Pause with a trial in hand: its lease is kept, for ``hold_limit`` seconds at most.

    After that ``held.pause_expired`` is set, and the trial must be given back.
    """
    reason = policy.reason()
    if reason is None:
        return
    latest = time.monotonic() + policy.hold_limit
    log.info("paused: %s", reason)
    heartbeat.pause(reason)
    try:
        while policy.reason() and not stop.asked.wait(policy.check_every):
            held.pause_expired = time.monotonic() > latest
            must_end = held.lost.is_set() or held.cancelled.is_set() or held.pause is not None
            if held.pause_expired or must_end:
                return
    finally:
        heartbeat.pause(None)
    log.info("the pause is over")
