"""From labels to actions: each change that lasts goes to every way that was asked for."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Iterator, Sequence

from hyperhive.common.errors import DeviceError
from hyperhive.inference.acting.changes import LastingChanges
from hyperhive.inference.acting.courier import Courier, Way
from hyperhive.inference.acting.settings import ActingSettings, address_of
from hyperhive.inference.frames import Say
from hyperhive.inference.labelling import Result


class Actions:
    """Sends each change of the label; labelling never waits for it.

    Args:
        changes: finds the changes.
        couriers: deliver them; none if there is nothing to do.
    """

    def __init__(self, changes: LastingChanges, couriers: Sequence[Courier]) -> None:
        self._changes = changes
        self._couriers = couriers

    def see(self, result: Result) -> None:
        """Take a frame's result."""
        if not self._couriers:
            return
        event = self._changes.event(result, time.monotonic())
        if event is not None:
            text = json.dumps(event).encode("ascii")
            for courier in self._couriers:
                courier.send(text)


@contextlib.contextmanager
def opened_actions(settings: ActingSettings, say: Say, warn: Say) -> Iterator[Actions]:
    """Give the actions of a run; at its end, say how many changes each way delivered.

    Args:
        settings: what to do.
        say: is called with the summary of each way.
        warn: is called with a sentence about a failure.

    Raises ``UsageError`` for a command or an address that makes no sense, ``DeviceError`` for a
    program that this machine lacks, ``ModuleNotFoundError`` without paho-mqtt.
    """
    couriers = [Courier(way, warn) for way in _ways(settings)]
    try:
        with contextlib.ExitStack() as opened:
            for courier in couriers:
                opened.enter_context(courier)
            yield Actions(LastingChanges(settings.seconds_to_hold), couriers)
    finally:
        for courier in couriers:
            say(courier.summary())


def _ways(settings: ActingSettings) -> Iterator[Way]:
    if settings.command is not None:
        from hyperhive.inference.acting.program import Program

        yield Program(settings.command)
    if settings.mqtt is not None:
        from hyperhive.inference.acting.mqtt import Mqtt  # here: it needs paho-mqtt

        yield Mqtt(address_of(settings.mqtt, "--mqtt", "mqtt://HOST/TOPIC"))
    if settings.webhook is not None:
        try:
            from hyperhive.inference.acting.webhook import Webhook
        except ModuleNotFoundError as error:
            raise DeviceError(f"--webhook needs httpx ({error}): pip install httpx") from error

        yield Webhook(address_of(settings.webhook, "--webhook", "http://HOST/PATH"))
