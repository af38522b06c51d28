"""Makes docs/dashboard*.png: the live page of a study of scikit-learn's digits while it runs.

    python docs/make_dashboard_picture.py

They are light and dark, of a wide window and of a phone.

It runs a real coordinator, a worker with two slots, and Chromium, which must be installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Iterator

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.browser import CHROMIUM, browsing
from support.home import until

from hyperhive.store.server.embedded import embedded_server

ROOT = Path(__file__).resolve().parents[1]
TRIALS, ENOUGH, SLOTS = 40, 24, 2
STUDY = ("coordinator", "--dataset", "digits", "--trials", str(TRIALS))
WINDOWS = {"": (1366, 1180), "-phone": (390, 844)}
"""What is added to the name of a picture, by the size of its window in CSS pixels."""


def main() -> None:
    """Run a study, and save pictures of its page once enough trials have ended."""
    if CHROMIUM is None:
        raise SystemExit("Chromium is not installed: this script needs it")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        uri = opened.enter_context(embedded_server(Path(folder) / "mongo"))
        work = Path(folder)
        opened.enter_context(running(work, uri, *STUDY))
        opened.enter_context(running(work, uri, "worker", "--slots", str(SLOTS)))
        url = address(opened.enter_context(running(work, uri, "dashboard", "--port", "0")))
        browser = opened.enter_context(browsing(url, work / "browser"))
        while not is_worth_a_picture(url):
            time.sleep(0.5)
        for name, (width, height) in WINDOWS.items():
            for theme in ("", "-dark"):
                browser.look(width, height, dark=bool(theme), is_phone=bool(name))
                until(lambda: browser.count("#running .spark path.now"), "a curve")
                time.sleep(2.0)  # the figures below are drawn one after the other
                picture = work / "picture.png"
                browser.screenshot(picture)
                with Image.open(picture) as taken:
                    small = taken.convert("RGB").quantize(128, Image.Quantize.FASTOCTREE)
                    small.save(ROOT / "docs" / f"dashboard{name}{theme}.png", optimize=True)


@contextlib.contextmanager
def running(work: Path, uri: str, *command: str) -> Iterator[Path]:
    """Run a hyperhive command while the context is open; give the file of its output."""
    log = work / f"{command[0]}.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HYPERHIVE_MONGO": uri}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "hyperhive", *command],
            cwd=str(work),
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def address(log: Path) -> str:
    """Wait until the dashboard prints its address; return it."""
    while True:
        line = re.search(r"the dashboard is at (\S+)\n", log.read_text())
        if line:
            return line.group(1)
        time.sleep(0.1)


def is_worth_a_picture(url: str) -> bool:
    """Return whether enough trials have ended, and each worker has trained an epoch of its own."""
    with urllib.request.urlopen(url + "fleet.json") as answer:  # noqa: S310 - our own server
        fleet: dict[str, Any] = json.load(answer)["fleet"] or {}
    ended = [study["ended"] for study in fleet.get("studies", [])]
    is_training = [": epoch" in worker["does"] for worker in fleet.get("workers", [])]
    return ended[:1] >= [ENOUGH] and len(is_training) == SLOTS and all(is_training)


if __name__ == "__main__":
    main()
