"""predict-cam on real Simpsons, enlarged to full size: as good as on the test split itself."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from support.lenets import save_model, trained

from hyperhive.model import checkpoint
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, load
from hyperhive.model.metrics import evaluate
from hyperhive.model.model_files import CARD_FILE
from hyperhive.model.normalise import to_tensor
from hyperhive.model.training import TrainingData

pytestmark = pytest.mark.long

IMAGES = 400
TOLERANCE = 0.02
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(simpsons_zip: Path) -> Dataset:
    return load(DatasetRequest("simpsons", simpsons_zip), lambda done, total: None).dataset


@pytest.fixture(scope="module")
def shown(dataset: Dataset) -> np.ndarray:
    """Indices of the test images that are shown to predict-cam."""
    return np.sort(np.random.RandomState(0).permutation(len(dataset.test_labels))[:IMAGES])


@pytest.fixture(scope="module")
def model(dataset: Dataset, shown: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for a few epochs, its accuracy on the shown images in its card."""
    data = TrainingData(dataset, CPU)
    config = TrainConfig(dataset.content_hash, 0.07, 6, 0.35, train_on_all=True)
    packed, card = trained(data, config)
    labels = torch.from_numpy(dataset.test_labels[shown])
    evaluation = evaluate(
        checkpoint.unpack_weights(packed, card, CPU),
        to_tensor(dataset.test_images[shown], CPU),
        labels,
        data.normalise,
    )
    card = dataclasses.replace(card, test_accuracy=evaluation.accuracy)
    return save_model(tmp_path_factory.mktemp("model"), packed, card)


def _accuracy_on_split(model: Path) -> float:
    card = json.loads((model / CARD_FILE).read_text())
    return float(card["test_accuracy"])


def _enlarged(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def _predict(model: Path, source: Path, output: Path, *flags: str) -> list[str]:
    """Run predict-cam; return the labels it gave, in order."""
    command = [sys.executable, "-c", "from hyperhive import cli; cli.predict_cam()"]
    command += ["--model", str(model), "--source", str(source), "--output", str(output)]
    subprocess.run([*command, "--quiet", *flags], check=True, timeout=120)
    lines = (output / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["label"] for line in lines]


def test_it_learned_something(model: Path) -> None:
    """The model that the other tests judge by is far better than chance."""
    assert _accuracy_on_split(model) > 0.5


def test_a_folder_of_enlarged_images_is_named_as_well_as_the_split(
    model: Path, dataset: Dataset, shown: np.ndarray, tmp_path: Path
) -> None:
    """Test images at 480x480 in a folder lose at most two points against the pixels themselves."""
    (tmp_path / "frames").mkdir()
    for index in shown:
        image = Image.fromarray(_enlarged(dataset.test_images[index], 480))
        image.save(tmp_path / "frames" / f"{index:05d}.png", compress_level=1)
    labels = _predict(model, tmp_path / "frames", tmp_path / "out")
    truth = [dataset.classes[label] for label in dataset.test_labels[shown]]
    right = np.mean([said == true for said, true in zip(labels, truth)])
    assert len(labels) == IMAGES
    assert right >= _accuracy_on_split(model) - TOLERANCE


def test_a_video_of_enlarged_images_is_named_as_well_as_the_split(
    model: Path, dataset: Dataset, shown: np.ndarray, tmp_path: Path
) -> None:
    """The same in the middle of a 640x480 video, a frame an image."""
    video = tmp_path / "simpsons.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 25, (640, 480))
    for index in shown:
        frame = np.full((480, 640, 3), 90, dtype=np.uint8)
        frame[:, 80:560] = _enlarged(dataset.test_images[index], 480)[..., ::-1]
        writer.write(frame)
    writer.release()
    labels = _predict(model, video, tmp_path / "out", "--all-frames")
    truth = [dataset.classes[label] for label in dataset.test_labels[shown]]
    right = np.mean([said == true for said, true in zip(labels, truth)])
    assert len(labels) == IMAGES
    assert right >= _accuracy_on_split(model) - TOLERANCE
