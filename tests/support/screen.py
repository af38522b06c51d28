"""A display of its own for tests of windows: Xvfb, and xdotool as the person before it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import Iterator

import pytest


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """Yield the name of a display; the test is skipped where there can be none."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("no Xvfb or xdotool: windows are not looked at")
    read, write = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x800x24"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(write)
        with os.fdopen(read) as told:
            name = ":" + told.readline().strip()
        try:
            yield name
        finally:
            server.terminate()


def press(key: str, display: str) -> bool:
    """Press a key in our window, once it is open."""
    return xdotool(display, "search", "--name", "predict-cam", "windowfocus", "key", key)


def xdotool(display: str, *steps: str) -> bool:
    """Do what a person does at a display; return whether it could be done."""
    done = subprocess.run(
        ["xdotool", *steps],
        env={**os.environ, "DISPLAY": display},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return done.returncode == 0
