"""How long a frame takes to its label, and whether live mode keeps up with a camera.

    python benchmarks/live.py [--minutes 0.5] [--frames 2000]

First, frames of 640x480 as OpenCV gives them go to their label, in one thread. Then predict-cam
labels an MJPEG stream of 30 frames a second on loopback, with a page and a viewer of it, for some
minutes; what it says at its end, and its memory in each tenth of that time, is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch

from benchmarks._mjpeg import jpeg, serve
from hyperhive.inference.frames import Frame
from hyperhive.inference.models.file import from_file
from hyperhive.model import checkpoint
from hyperhive.model.card import Card
from hyperhive.model.lenet import LeNet5

ROOT = Path(__file__).resolve().parents[1]
FPS = 30
COMMAND = [sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="frame to label, and live mode for some minutes")
    parser.add_argument("--minutes", type=float, default=0.5)
    parser.add_argument("--frames", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        save_model(model)
        frame_to_label(model, options.frames)
        with serve([jpeg(picture(number)) for number in range(60)], FPS) as address:
            live(model, address, Path(folder), 60 * options.minutes)


def save_model(directory: Path) -> None:
    """Save an untrained model: what it says costs the same."""
    packed = checkpoint.pack_weights(LeNet5(3, 10))
    card = Card(
        classes=[str(number) for number in range(10)],
        channels=3,
        mean=[0.5] * 3,
        std=[0.25] * 3,
        weights_sha256=hashlib.sha256(packed).hexdigest(),
        dataset={},
        config={},
    )
    checkpoint.save(directory, packed, card)


def picture(number: int) -> np.ndarray:
    """Return a frame of 640x480 with soft shapes, as a camera's have."""
    small = np.random.RandomState(number).randint(0, 256, (12, 16, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC))


def frame_to_label(model: Path, frames: int) -> None:
    """Print percentiles of the time from OpenCV's pixels to a prediction."""
    torch.set_num_threads(1)
    predictor = from_file(model).predictor
    pictures = [picture(number) for number in range(20)]
    times, computed = [], []
    for number in range(frames):
        begun, used = time.perf_counter(), time.thread_time()
        frame = Frame.from_bgr(pictures[number % 20], "name", "camera 0", number, None)
        predictor.predict([frame.image])
        times.append(1000 * (time.perf_counter() - begun))
        computed.append(1000 * (time.thread_time() - used))
    print(f"frame to label, {frames} frames of 640x480, one thread:")
    for what, taken in (("passed", times), ("of the processor", computed)):
        print("  p50 {:.2f}, p95 {:.2f} ms {}".format(*np.percentile(taken, (50, 95)), what))


def live(model: Path, address: str, folder: Path, seconds: float) -> None:
    """Run live mode with a viewer for so long; print its memory, and what it says at its end."""
    command = [*COMMAND, "--live", "--source", address, "--model", str(model), "--no-show"]
    command += ["--serve", "0", "--output", str(folder / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "pixels" in line:
                break
        page = next(line.split()[-1] for line in said if line.startswith("watch at"))
        threading.Thread(target=watch, args=(page,), daemon=True).start()
        reader = threading.Thread(target=lambda: said.extend(process.stdout), daemon=True)
        reader.start()
        memory = [megabytes(process.pid)]
        for _ in range(10):
            time.sleep(seconds / 10)
            memory.append(megabytes(process.pid))
        process.send_signal(signal.SIGINT)
        process.wait(30)
        reader.join()
    print(f"live, {seconds / 60:.1f} minutes of {FPS} frames a second, one viewer:")
    print("  MB of memory: " + " ".join(f"{megabyte:.1f}" for megabyte in memory))
    print("".join(line for line in said[-14:] if not line.startswith("written")))


def watch(page: str) -> None:
    """Look at the page's pictures until they end."""
    with contextlib.suppress(OSError), urllib.request.urlopen(page + "viewfinder.mjpg") as stream:
        while stream.read(65536):
            pass


def megabytes(process: int) -> float:
    """Return a process's resident memory."""
    said = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process)], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(said.stdout) / 1024


if __name__ == "__main__":
    main()
