"""Cameras that fail as real ones do, in place of OpenCV's."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

WIDTH, HEIGHT = 8, 6


class Device:
    """What ``cv2.VideoCapture`` gives: a picture every 10 ms, numbered in its pixels, as scripted.

    Args:
        there: whether it opens.
        empty: how many reads give nothing at first.
        dark: how many pictures are black after that.
        dies_after: reads until it gives nothing for ever.
        backlog: pictures that it had buffered when it was opened.
        hangs_after: reads until one does not come back before the device is unplugged.
        pixels: its pictures, instead of numbered ones.
        pixel_format: four characters, as V4L2 has them.
        fixed: whether it grants nothing that it is asked for.
    """

    def __init__(
        self,
        there: bool = True,
        empty: int = 0,
        dark: int = 0,
        dies_after: int = 10**6,
        backlog: int = 0,
        hangs_after: int = 10**6,
        pixels: np.ndarray | None = None,
        pixel_format: str = "YUYV",
        fixed: bool = False,
    ) -> None:
        self.there, self.empty, self.dark = there, empty, dark
        self.dies_after, self.backlog, self.hangs_after = dies_after, backlog, hangs_after
        self.pixels, self.fixed = pixels, fixed
        self.properties = {5: 30.0, 6: float(int.from_bytes(pixel_format.encode(), "little"))}
        self.reads, self.released = 0, False
        self.unplugged = threading.Event()
        self.opened_as: tuple[Any, ...] = ()
        self.opened_in: threading.Thread | None = None

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        """Say whether it is there."""
        return self.there

    def read(self) -> tuple[bool, np.ndarray | None]:
        """Give the next picture, or nothing."""
        assert not self.released, "read after its release"
        self.reads += 1
        if self.reads > self.hangs_after:
            self.unplugged.wait(60)
        if self.reads > self.backlog:
            time.sleep(0.01)
        if self.reads <= self.empty or self.reads > min(self.dies_after, self.hangs_after):
            return False, None
        if self.reads <= self.empty + self.dark:
            return True, np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        if self.pixels is not None:
            return True, self.pixels
        colour = (9, self.reads // 256, self.reads % 256)
        return True, np.full((HEIGHT, WIDTH, 3), colour, np.uint8)

    def grab(self) -> bool:
        """Read and throw away."""
        return self.read()[0]

    def get(self, what: int) -> float:
        """Tell a property."""
        return self.properties.get(what, 0.0)

    def set(self, what: int, value: float) -> bool:
        """Grant a property, or not."""
        if not self.fixed:
            self.properties[what] = value
        return not self.fixed

    def release(self) -> None:
        """Set the device free."""
        self.released = True


class Plug:
    """Stands in for ``cv2.VideoCapture``: gives one device after the other, the last one for ever.

    Args:
        devices: what is plugged in, in this order.
    """

    def __init__(self, *devices: Device) -> None:
        self.devices = list(devices)
        self.opened: list[Device] = []

    def __call__(self, *arguments: Any) -> Device:
        """Open the next device."""
        device = self.devices.pop(0) if len(self.devices) > 1 else self.devices[0]
        device.opened_as, device.opened_in = arguments, threading.current_thread()
        self.opened.append(device)
        return device
