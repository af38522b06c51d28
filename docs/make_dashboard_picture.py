"""Makes docs/dashboard.png: the dashboard of a study of scikit-learn's digits while it runs.

    python docs/make_dashboard_picture.py

It runs a real coordinator, a worker with two slots, and Chromium, which must be installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
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
from hyperhive.store.server.embedded import embedded_server

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "dashboard.png"
TRIALS, ENOUGH, SLOTS = 40, 24, 2
STUDY = ("coordinator", "--dataset", "digits", "--trials", str(TRIALS))
FLAGS = "--headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=3000"


def main() -> None:
    """Run a study, and save a picture of its dashboard once enough trials have ended."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("Chromium is not installed: this script needs it")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        uri = opened.enter_context(embedded_server(Path(folder) / "mongo"))
        work = Path(folder)
        opened.enter_context(running(work, uri, *STUDY))
        opened.enter_context(running(work, uri, "worker", "--slots", str(SLOTS)))
        log = opened.enter_context(running(work, uri, "dashboard", "--port", "0"))
        url = address(log)
        while not is_worth_a_picture(url):
            time.sleep(0.5)
        target = work / "dashboard.png"
        subprocess.run(
            [
                *(chromium, *FLAGS.split(), "--user-data-dir={}".format(work / "browser")),
                *("--window-size=1200,710", f"--screenshot={target}", url),
            ],
            stderr=subprocess.DEVNULL,
            check=True,
        )
        with Image.open(target) as picture:
            picture.convert("RGB").quantize(64).save(PICTURE, optimize=True)


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
    study, workers = fleet.get("study") or {}, fleet.get("workers", [])
    is_training = [": epoch" in worker["does"] for worker in workers]
    return study.get("ended", 0) >= ENOUGH and len(is_training) == SLOTS and all(is_training)


if __name__ == "__main__":
    main()
