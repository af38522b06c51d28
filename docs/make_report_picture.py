"""Makes docs/report.png: the report of a study of scikit-learn's digits.

    python docs/make_report_picture.py

It runs a real study with two local workers, and Chromium, which must be installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from hyperhive.store.server.embedded import embedded_server

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "report.png"
TRIALS, SLOTS = 40, 2
STUDY = ("coordinator", "--dataset", "digits", "--trials", str(TRIALS), "--pruner", "median")
FLAGS = "--headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=5000"


def main() -> None:
    """Run a study to its end, and save a picture of its report."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("Chromium is not installed: this script needs it")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with embedded_server(work / "mongo") as uri:
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "HYPERHIVE_MONGO": uri}
            hyperhive = [sys.executable, "-m", "hyperhive"]
            workers = [*hyperhive, "worker", "--slots", str(SLOTS)]
            worker = subprocess.Popen(workers, cwd=folder, env=environment)
            try:
                subprocess.run([*hyperhive, *STUDY], cwd=folder, env=environment, check=True)
            finally:
                worker.terminate()
                worker.wait()
        report, target = work / "models" / "digits" / "report.html", work / "report.png"
        subprocess.run(
            [
                *(chromium, *FLAGS.split(), f"--user-data-dir={work / 'browser'}"),
                *("--window-size=1200,1960", f"--screenshot={target}", report.as_uri()),
            ],
            stderr=subprocess.DEVNULL,
            check=True,
        )
        with Image.open(target) as picture:
            small = picture.convert("RGB").quantize(128, Image.Quantize.FASTOCTREE)
            small.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
