"""A window, on a device that has a display."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import Any, Mapping

import cv2
import numpy as np
from PIL import Image

from hyperhive.inference.collecting.name_field import ESCAPE
from hyperhive.inference.views.grip import Grip

_TITLE = "predict-cam"
_CONTROLS = {0xFF08: 0x08, 0xFF0D: 0x0D, 0xFF8D: 0x0D, 0xFF1B: 0x1B}
"""Backspace, both Enters and Escape as X11 numbers them (keysymdef.h), and their characters."""
_PATIENCE_S = 20.0
_OPEN_ONE = (
    # The alarm ends it if we are killed while the display does not answer.
    f"import signal; signal.alarm({2 * _PATIENCE_S:.0f}); "
    f"import cv2; cv2.namedWindow('{_TITLE}'); cv2.waitKey(1)"
)


def hindrance(environment: Mapping[str, str]) -> str | None:
    """Return why no window can be opened, or None.

    Without a display, Qt and GTK end the process, which cannot be caught. So on Linux another
    process tries first.
    """
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        return "this OpenCV was built without windows"
    if sys.platform.startswith("linux"):
        if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
            return "there is no display"
        if not _opens_elsewhere(environment):
            return "the display does not answer"
    return None


class Window:
    """Shows one picture at a time."""

    def __init__(self) -> None:
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def follow(self, grip: Grip) -> None:
        """Tell a grip from now on what the mouse does; it is told when a picture is shown."""
        actions = {
            cv2.EVENT_LBUTTONDOWN: grip.press,
            cv2.EVENT_MOUSEMOVE: grip.move,
            cv2.EVENT_LBUTTONUP: grip.release,
        }

        def act(event: int, x: int, y: int, *_: Any) -> None:
            if event in actions:
                actions[event](x, y)

        cv2.setMouseCallback(_TITLE, act)

    def show(self, picture: Image.Image) -> str | None:
        """Show an RGB picture; return the key that was pressed, as it is, or None.

        Closing the window counts as Escape.
        """
        if not self._is_open():
            return ESCAPE
        cv2.imshow(_TITLE, np.asarray(picture)[..., ::-1].copy())
        return _pressed(1)

    def ask(self, picture: Image.Image, wait_ms: int, stop: threading.Event) -> str | None:
        """Show an RGB picture until a key is pressed; return the key as it is, one character.

        It is None if the window was closed, or ``stop`` is set. ``wait_ms`` is how often both are
        looked at.
        """
        cv2.imshow(_TITLE, np.asarray(picture)[..., ::-1].copy())
        while not stop.is_set():
            key = _pressed(wait_ms)
            if key is not None:
                return key
            if not self._is_open():
                return None
        return None

    def wait(self, stop: threading.Event) -> None:
        """Keep the last picture until a key is pressed, the window closes, or ``stop`` is set."""
        while not stop.is_set() and self._is_open():
            if cv2.waitKey(50) != -1:
                return

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()

    @staticmethod
    def _is_open() -> bool:
        return bool(cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1)


def _pressed(wait_ms: int) -> str | None:
    """Wait for a key; return its character, None for Shift, arrows and others that have none."""
    pressed = cv2.waitKeyEx(wait_ms)
    code = _CONTROLS.get(pressed & 0xFFFF, pressed & 0xFFFF)
    return chr(code) if pressed != -1 and 0 < code < 0x100 else None


def _opens_elsewhere(environment: Mapping[str, str]) -> bool:
    command = [sys.executable, "-c", _OPEN_ONE]
    with subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            return process.wait(timeout=_PATIENCE_S) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            return False
