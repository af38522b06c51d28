"""Consideration for the person who uses the machine: when a worker is to leave it alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from hyperhive.common.errors import UsageError
from hyperhive.worker.sensors import Sensors

COOLER_BY = 5.0
"""Degrees below the limit at which a worker that was too hot goes on: else it would flutter."""


@dataclass
class Courtesy:
    """Tells whether a worker may work now. By default, always.

    A sensor that falls silent later is a reason to pause too: the flag promised to heed it.

    Args:
        sensors: what the machine tells of itself.
        pause_on_battery: leave the machine alone while it runs on its battery.
        max_temp: leave it alone above this temperature, in degrees Celsius, until it is
            ``COOLER_BY`` below.
        every: seconds from one look at the sensors to the next, while paused.
        patience: seconds that a trial in hand is held while paused, before it is given back.

    Raises ``UsageError`` if it asks for what this machine does not tell.
    """

    sensors: Sensors | None = None
    pause_on_battery: bool = False
    max_temp: float | None = None
    every: float = 2.0
    patience: float = 300.0
    _was_hot: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.pause_on_battery and self._on_battery() is None:
            raise UsageError(
                "this machine tells of no battery that it could run on: leave --pause-on-battery "
                "away"
            )
        if self.max_temp is not None and self._temperature() is None:
            raise UsageError("this machine does not tell how hot it is: leave --max-temp away")

    def objection(self) -> str | None:
        """Return why the machine is to be left alone now, None if it need not be."""
        return (self.pause_on_battery and self._of_battery()) or self._of_heat()

    def _of_battery(self) -> str | None:
        on_battery = self._on_battery()
        if on_battery is None:
            return "the battery tells nothing any more"
        return "on battery" if on_battery else None

    def _of_heat(self) -> str | None:
        if self.max_temp is None:
            return None
        degrees = self._temperature()
        if degrees is None:
            return "the thermometer tells nothing any more"
        limit = self.max_temp - COOLER_BY if self._was_hot else self.max_temp
        self._was_hot = degrees > limit
        return f"too hot, {degrees:.0f} °C" if self._was_hot else None

    def _on_battery(self) -> bool | None:
        return None if self.sensors is None else self.sensors.on_battery()

    def _temperature(self) -> float | None:
        return None if self.sensors is None else self.sensors.temperature()
