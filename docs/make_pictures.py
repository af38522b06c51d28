"""Makes docs/contact_sheet.png: predict-cam's snapshots of scikit-learn's digits on cards.

    python docs/make_pictures.py

A real MJPEG server on this machine is the camera, and shows one digit per second. The model has
never seen these digits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import torch

from benchmarks._mjpeg import jpeg, serve
from benchmarks._models import trained
from benchmarks.live import COMMAND, ROOT
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import digits
from hyperhive.model.model_files import WEIGHTS_FILE, write
from hyperhive.model.training import TrainingData

FPS = 10
SHEET = ROOT / "docs" / "contact_sheet.png"


def main() -> None:
    """Train a model, show it the digits, and save the contact sheet with 64 colours."""
    data = digits()
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder) / "digits", data)
        scenes = [scene(image, seed) for seed, image in enumerate(one_of_each(data))]
        stream = [jpeg(each) for each in scenes for _ in range(FPS)]
        with serve(stream, FPS) as address:
            subprocess.run(
                [*COMMAND, address, "--model", "digits", "--count", "10", "--every", "1"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=True,
            )
        with Image.open(Path(folder) / "predictions" / "contact_sheet.png") as sheet:
            sheet.quantize(64).save(SHEET, optimize=True)


def save_model(directory: Path, data: Dataset) -> None:
    """Train a model on the digits and save it."""
    training = TrainingData(data, torch.device("cpu"))
    config = TrainConfig(data.content_hash, learning_rate=0.05, epochs=10, momentum=0.9)
    write(directory / WEIGHTS_FILE, *trained(training, config))


def one_of_each(data: Dataset) -> list[np.ndarray]:
    """Return a test image of each digit."""
    return [data.test_images[np.flatnonzero(data.test_labels == digit)[1]] for digit in range(10)]


def scene(image: np.ndarray, seed: int) -> np.ndarray:
    """Return a frame of 640x480: a card with this digit, slightly rotated, on a table."""
    random = np.random.RandomState(seed)
    grain = random.randint(90, 130, (480, 8)).astype(np.uint8)
    wood = Image.fromarray(grain).resize((640, 480)).filter(ImageFilter.GaussianBlur(3))
    table = Image.merge(
        "RGB", [wood.point(lambda level, k=k: int(level * k)) for k in (1.3, 1, 0.7)]
    )
    card = Image.fromarray(image[..., 0]).resize((440, 440), Image.Resampling.BICUBIC)
    angle = random.uniform(-7, 7)
    mask = Image.new("L", card.size, 255).rotate(angle, expand=True)
    turned = card.convert("RGB").rotate(angle, Image.Resampling.BICUBIC, expand=True)
    table.paste(turned, ((640 - mask.width) // 2, (480 - mask.height) // 2), mask)
    light = np.linspace(0.75, 1.1, 640)[None, :, None]
    noisy = np.asarray(table) * light + random.normal(0, 4, (480, 640, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
