"""What a machine tells of itself: whether it runs on its battery, and how hot it is.

On Linux the kernel's own files are read: of a Jetson Nano's sensors psutil sees one, the fan's
(giampaolo/psutil #1873), and on an Orin it fails (#2477). Elsewhere psutil is asked.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator, Protocol

SYS = Path("/sys")

_STUCK = ("PMIC-Die",)
"""A Jetson's thermal zone that says 100 degrees, always."""

_PROCESSORS = ("coretemp", "k10temp", "k8temp", "zenpower", "cpu_thermal", "amdgpu", "nouveau")
"""The drivers in hwmon that measure processors: others measure disks, radios, or nothing at all."""


class Sensors(Protocol):
    """What a machine tells; each answer is None where it does not."""

    def on_battery(self) -> bool | None:
        """Whether the machine runs on its battery now."""
        ...

    def temperature(self) -> float | None:
        """The temperature of the hottest processor, in degrees Celsius."""
        ...


class Linux:
    """Reads the files of the Linux kernel.

    Args:
        root: where they are.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def on_battery(self) -> bool | None:
        """See ``Sensors``. A mouse's battery is none of the machine's."""
        supplies = sorted(self._root.glob("class/power_supply/*"))
        kinds = {supply: _told(supply / "type") for supply in supplies}
        states = [
            _told(supply / "status")
            for supply in supplies
            if kinds[supply] in ("Battery", "UPS") and _told(supply / "scope") != "Device"
        ]
        if not any(states):
            return None
        mains = [supply for supply in supplies if kinds[supply] == "Mains"]
        if any(_told(supply / "online") == "1" for supply in mains):
            return False
        return "Discharging" in states

    def temperature(self) -> float | None:
        """See ``Sensors``."""
        told = [_told(path) for path in self._thermometers()]
        return max((int(degrees) / 1000 for degrees in told if degrees), default=None)

    def _thermometers(self) -> Iterator[Path]:
        for zone in self._root.glob("class/thermal/thermal_zone*"):
            if _told(zone / "type") not in _STUCK:
                yield zone / "temp"
        for chip in self._root.glob("class/hwmon/hwmon*"):
            if _told(chip / "name") in _PROCESSORS:
                yield from chip.glob("temp*_input")


class Others:
    """Asks psutil, which knows the batteries of macOS and Windows, and no temperatures there."""

    def on_battery(self) -> bool | None:
        """See ``Sensors``."""
        import psutil

        battery = psutil.sensors_battery()
        if battery is None or battery.power_plugged is None:
            return None
        return not battery.power_plugged

    def temperature(self) -> float | None:
        """See ``Sensors``."""
        return None


def sensors() -> Sensors:
    """Return the sensors of this machine."""
    return Linux(SYS) if sys.platform == "linux" else Others()


def _told(path: Path) -> str | None:
    """Return what a file of the kernel says, None where it says nothing."""
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:  # not there; or a sensor that is switched off, which is no error of ours
        return None
