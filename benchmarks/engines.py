"""Evidence: a 640x480 frame gets its label in 1.57 ms with PyTorch, 1.14 ms with OpenCV and ONNX.

TorchScript takes 1.42 ms. All three give the same label to each of the 2,000 test images of
Simpsons-MNIST. The times are medians, for one frame at a time in one thread of a CPU.

    python benchmarks/engines.py [--data simpsons-mnist.zip] [--epochs 6] [--frames 1000]

This trains and calibrates LeNet-5 on Simpsons-MNIST and exports it. It prints the milliseconds from
a camera's frame to its label (median and 95th percentile), how many of them the engine takes, and
how many test images get the label that PyTorch gives.
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
from benchmarks._common import loaded, simpsons_option
from benchmarks._models import make
from hyperhive.inference.models.file import from_file
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.timings import INFER, Timings
from hyperhive.model.config import TrainConfig
from hyperhive.model.engines.export import export
from hyperhive.model.model_files import WEIGHTS_FILE, read

EXPORTS = {"PyTorch, TorchScript": ".pt", "OpenCV, ONNX": ".onnx"}


def main() -> None:
    """Measure, and print a table for a Markdown page."""
    parser = simpsons_option("time from a frame to its label, with each engine")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--frames", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    dataset = loaded("simpsons", options.data)
    config = TrainConfig(
        "", learning_rate=0.05, epochs=options.epochs, momentum=0.5, train_on_all=True
    )
    with tempfile.TemporaryDirectory() as folder:
        weights = make(dataset, config, Path(folder)) / WEIGHTS_FILE
        for suffix in EXPORTS.values():
            export(weights.with_suffix(suffix), *read(weights), dataset.test_images)
        predictors = {
            name: from_file(weights.with_suffix(suffix)).predictor
            for name, suffix in {"PyTorch": weights.suffix, **EXPORTS}.items()
        }
    frames = enlarged(dataset.test_images[: options.frames])
    reference = labels(predictors["PyTorch"], dataset.test_images)
    print(f"torch {torch.__version__}, OpenCV {cv2.__version__}, one thread, frames of 640x480\n")
    print("| engine | frame to label, p50 | p95 | engine alone, p50 | same label as PyTorch |")
    print("|---|---|---|---|---|")
    for name, predictor in predictors.items():
        same = sum(a == b for a, b in zip(labels(predictor, dataset.test_images), reference))
        predictor.timings = Timings()  # without the times of the test images above
        p50, p95 = np.percentile(milliseconds(predictor, frames), [50, 95])
        alone = {part: median for part, median, _ in predictor.timings.rows()}[INFER]
        row = "| {} | {:.2f} ms | {:.2f} ms | {:.2f} ms | {:,} of {:,} |"
        print(row.format(name, p50, p95, alone, same, len(reference)))


def enlarged(images: np.ndarray) -> list[np.ndarray]:
    """Return 640x480 frames, each with an image in its middle."""
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
    """Return the time from each frame to its label; ten frames before them warm up the engine."""
    times = []
    for frame in frames[:10] + frames:
        started_at = time.perf_counter()
        predictor.predict([frame])
        times.append(1000 * (time.perf_counter() - started_at))
    return times[10:]


if __name__ == "__main__":
    main()
