"""From a frame to its label with each engine, one thread, a frame at a time.

    python benchmarks/engines.py [--data PATH]

trains and calibrates LeNet-5 on Simpsons-MNIST for some epochs, exports it to ONNX and TorchScript,
and prints the milliseconds that a camera's frame of 640x480 takes until its label is there (median
and 95th percentile), and how much of that its engine takes. It also counts the test images that
each form labels as PyTorch does.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

# torch before cv2: on a Jetson there is too little static TLS left for it afterwards.
import torch

# isort: split
import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import simpsons, simpsons_option
from benchmarks._models import make
from hyperhive.inference.models.file import from_file
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.timings import INFER, Timings
from hyperhive.model.card import WEIGHTS_FILE, read
from hyperhive.model.config import TrainConfig
from hyperhive.model.engines.export import export

EXPORTS = {"PyTorch, TorchScript": ".pt", "OpenCV, ONNX": ".onnx"}


def main() -> None:
    """Measure, and print a table for a Markdown page."""
    parser = simpsons_option(__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--frames", type=int, default=1000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    dataset = simpsons(asked.data)
    config = TrainConfig(
        "", learning_rate=0.05, epochs=asked.epochs, momentum=0.5, train_on_all=True
    )
    with tempfile.TemporaryDirectory() as folder:
        weights = make(dataset, config, Path(folder)) / WEIGHTS_FILE
        for suffix in EXPORTS.values():
            export(weights.with_suffix(suffix), *read(weights), dataset.test_images)
        predictors = {
            name: from_file(weights.with_suffix(suffix)).predictor
            for name, suffix in {"PyTorch": weights.suffix, **EXPORTS}.items()
        }
    frames = enlarged(dataset.test_images[: asked.frames])
    reference = labels(predictors["PyTorch"], dataset.test_images)
    print(f"torch {torch.__version__}, OpenCV {cv2.__version__}, one thread, frames of 640x480\n")
    print("| engine | frame to label, p50 | p95 | engine alone, p50 | labels as PyTorch gives |")
    print("|---|---|---|---|---|")
    for name, predictor in predictors.items():
        same = sum(a == b for a, b in zip(labels(predictor, dataset.test_images), reference))
        predictor.timings = Timings()  # without those of many at once
        p50, p95 = np.percentile(milliseconds(predictor, frames), [50, 95])
        alone = {part: median for part, median, _ in predictor.timings.rows()}[INFER]
        row = "| {} | {:.2f} ms | {:.2f} ms | {:.2f} ms | {:,} of {:,} |"
        print(row.format(name, p50, p95, alone, same, len(reference)))


def enlarged(images: np.ndarray) -> list[np.ndarray]:
    """Return images as a camera would give them: 640x480, the image in the middle."""
    frames = []
    for image in images:
        frame = np.full((480, 640, 3), 128, np.uint8)
        frame[:, 80:560] = Image.fromarray(image).resize((480, 480), Image.Resampling.BICUBIC)
        frames.append(frame)
    return frames


def labels(predictor: Predictor, images: np.ndarray) -> list[str]:
    """Return the likeliest class of each test image."""
    return [prediction.top[0][0] for prediction in predictor.predict(list(images))]


def milliseconds(predictor: Predictor, frames: list[np.ndarray]) -> list[float]:
    """Return how long each frame takes to its label; the first ten do not count."""
    taken = []
    for frame in frames[:10] + frames:
        begun = time.perf_counter()
        predictor.predict([frame])
        taken.append(1000 * (time.perf_counter() - begun))
    return taken[10:]


if __name__ == "__main__":
    main()
