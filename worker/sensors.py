"""The sensors of a machine: whether it runs on its battery, and how hot it is.

On Linux this reads the kernel's own files. psutil sees only one sensor of a Jetson Nano, the fan's
(giampaolo/psutil #1873), and it fails on an Orin (#2477). Other systems use psutil.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator, Protocol

SYS = Path("/sys")

_STUCK = ("PMIC-Die",)
"""A thermal zone of a Jetson that always reports 100 degrees."""

_PROCESSORS = ("coretemp", "k10temp", "k8temp", "zenpower", "cpu_thermal", "amdgpu", "nouveau")
"""The drivers in hwmon that measure processors; others measure disks, radios, or nothing."""


class Sensors(Protocol):
    """The sensors of a machine; each value is None if the machine does not report it."""

    def on_battery(self) -> bool | None:
        """Return whether the machine runs on its battery now."""
        ...

    def temperature(self) -> float | None:
        """Return the temperature of the hottest processor, in degrees Celsius."""
        ...


class Linux:
    """Reads the files of the Linux kernel.

    Args:
        root: the folder of these files, ``/sys``.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def on_battery(self) -> bool | None:
        """See ``Sensors``. The battery of a mouse does not count."""
        supplies = sorted(self._root.glob("class/power_supply/*"))
        kinds = {supply: _read(supply / "type") for supply in supplies}
        states = [
            _read(supply / "status")
            for supply in supplies
            if kinds[supply] in ("Battery", "UPS") and _read(supply / "scope") != "Device"
        ]
        if not any(states):
            return None
        mains = [supply for supply in supplies if kinds[supply] == "Mains"]
        if any(_read(supply / "online") == "1" for supply in mains):
            return False
        return "Discharging" in states

    def temperature(self) -> float | None:
        """See ``Sensors``."""
        readings = [_read(path) for path in self._thermometers()]
        return max((int(reading) / 1000 for reading in readings if reading), default=None)

    def _thermometers(self) -> Iterator[Path]:
        for zone in self._root.glob("class/thermal/thermal_zone*"):
            if _read(zone / "type") not in _STUCK:
                yield zone / "temp"
        for chip in self._root.glob("class/hwmon/hwmon*"):
            if _read(chip / "name") in _PROCESSORS:
                yield from chip.glob("temp*_input")


class Others:
    """Uses psutil, which reads batteries on macOS and Windows, but no temperatures there."""

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


def _read(path: Path) -> str | None:
    """Return the text of a file of the kernel, None if it is empty or cannot be read."""
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:  # missing, or a sensor that is switched off: then there is no value
        return None
