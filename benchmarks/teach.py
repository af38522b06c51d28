"""Evidence: of 30 pictures each of three things, a model learns to know 95 to 98 % of new frames.

It answers 34 to 49 s after the last picture (seeds 0 to 2; 2 cores, load 5).

    python benchmarks/teach.py [--bursts 6] [--each 5] [--trials 6] [--seed 0]

Three drawn things are shown to a camera in bursts, each before another background, in another light
and pose (``_bursts.py``), and their pictures are put into a folder as ``predict-cam`` does. A
``Learning`` learns them with a private server and this machine's cores, in a home of its own. The
model answers bursts that it has never seen, and a fourth thing. The seconds count from the folder's
last picture.

Then ``predict-cam --teach`` looks at a camera of 30 frames a second, and learns the same folder in
another home. Printed is how many of these frames it labels until the version is learned.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Iterator

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._bursts import STRANGER, THINGS, Random, burst, write
from benchmarks._mjpeg import jpeg, serve
from hyperhive.inference.predictor import UNKNOWN, Predictor
from hyperhive.inference.teaching.learning import Learning, LearningSettings
from hyperhive.inference.teaching.settings import DEFAULT_TRIALS
from hyperhive.inference.teaching.states import DONE, FAILED, Progress

ROOT = Path(__file__).resolve().parents[1]
FPS = 30
COMMAND = [sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"]
_PATIENCE_S = 3000.0
_SHOWN = 8
"""Bursts of each thing that the model answers, of five frames each."""


def shares(predictor: Predictor, seed: int) -> dict[str, float]:
    """Return how often new bursts, and a stranger, are answered as they should be, 0 to 1."""
    random = Random(10_000 + seed)
    shown = [(name, f) for name in THINGS for _ in range(_SHOWN) for f in burst(name, 5, random)]
    answers = predictor.predict([frame for _, frame in shown])
    strange = [frame for _ in range(_SHOWN) for frame in burst(STRANGER, 5, random)]
    labels = [each.label for each in predictor.predict(strange)]
    right = sum(answer.label == name for answer, (name, _) in zip(answers, shown))
    likeliest = sum(answer.top[0][0] == name for answer, (name, _) in zip(answers, shown))
    return {
        "frames of held-out bursts right": right / len(shown),
        "their likeliest class right": likeliest / len(shown),
        "frames of a fourth thing unknown": labels.count(UNKNOWN) / len(labels),
    }


@contextlib.contextmanager
def home_of_its_own() -> Iterator[Path]:
    """Give an empty folder, in which all that is learned, and the private server, has its data."""
    with tempfile.TemporaryDirectory() as place:
        os.environ.update(XDG_DATA_HOME=place, XDG_CACHE_HOME=str(Path(place) / "cache"))
        for name in ("HYPERHIVE_MONGO", "HYPERHIVE_MONGO_FILE"):
            os.environ.pop(name, None)
        yield Path(place)


def learned(folder: Path, trials: int) -> tuple[Predictor, dict[str, float], Progress]:
    """Learn ``things/`` of a folder; return the model, the seconds until what, and the end."""
    began, seconds, changed = time.monotonic(), {}, threading.Event()

    def say(sentence: str) -> None:
        seconds.setdefault("the first model", time.monotonic() - began)
        print(f"{time.monotonic() - began:.0f} s: {sentence}", file=sys.stderr, flush=True)

    settings = LearningSettings(folder / "things", trials=trials, models=folder / "models")
    with Learning(settings, say, say, lambda progress: changed.set()) as learning:
        while learning.progress.enough is None:
            changed.wait(_PATIENCE_S)
            changed.clear()
            if learning.progress.phase == FAILED or time.monotonic() - began > _PATIENCE_S:
                sys.exit(f"not learned: {learning.progress.sentence}")
            if learning.progress.phase == DONE:
                seconds.setdefault("the last model", time.monotonic() - began)
        seconds["the answer whether it is enough"] = time.monotonic() - began
        predictor, progress = learning.predictor, learning.progress
    if predictor is None:
        sys.exit("learned, and there is no model")
    return predictor, seconds, progress


def pace(folder: Path, trials: int) -> str:
    """Return how many frames a second predict-cam labels while it learns a folder."""
    home = folder / "home"
    random = Random(1)
    frames = [jpeg(frame) for name in THINGS for frame in burst(name, 8, random)]
    places = {"XDG_DATA_HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    environment = {**os.environ, **places, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    teach = ["--teach", str(folder / "things"), "--trials", str(trials)]
    with serve(frames, FPS) as address:
        command = [*COMMAND, *teach, "--no-show", "--serve", "0", address]
        with subprocess.Popen(
            command, env=environment, cwd=str(folder), stdout=subprocess.PIPE, text=True
        ) as process:
            said = ""
            for line in process.stdout or ():
                if "is learned" in line and "is learned" not in said:
                    process.send_signal(signal.SIGINT)
                said += line
    return said.splitlines()[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what a folder of collected pictures teaches")
    parser.add_argument("--bursts", type=int, default=6)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--trials", type=int, default=DEFAULT_TRIALS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with home_of_its_own() as folder:
        write(folder / "things", options.bursts, options.each, Random(options.seed))
        predictor, seconds, progress = learned(folder, options.trials)
        found = shares(predictor, options.seed)
        labelled = pace(folder, options.trials)
    print(f"{len(THINGS)} things, {options.bursts} bursts of {options.each} pictures of each\n")
    print("| | |\n|---|---:|")
    for name, share in found.items():
        print(f"| {name} | {100 * share:.0f} % |")
    for name, each in seconds.items():
        print(f"| seconds until {name} | {each:.0f} |")
    print(f"\n{progress.enough}")
    print(f"of a camera of {FPS} frames a second while it learns: {labelled}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
