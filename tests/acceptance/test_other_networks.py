"""A network of torchvision's on colour pictures of 64x64: search, card, predict-cam, exports."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support.home import Home

import hyperhive
from hyperhive import cli

NETWORK = "torchvision:resnet18"
STUDY = f"""
name = "shapes"
trials = 2
batch_size = 4
network = "{NETWORK}"
[dataset]
name = "folder"
data = "shapes"
image_size = 64
[space]
learning_rate = {{ distribution = "uniform", low = 0.01, high = 0.03 }}
epochs = 4
momentum = 0.8
"""


def draw(folder: Path, each: int = 20) -> None:
    """Draw discs and crosses in any dark colour on any light one, 90x70."""
    random = np.random.RandomState(0)
    for name in ("cross", "disc"):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            paper, ink = (tuple(map(int, random.randint(low, low + 80, 3))) for low in (170, 0))
            picture = Image.new("RGB", (90, 70), paper)
            x, y = (int(centre + random.randint(-4, 5)) for centre in (45, 35))
            pen = ImageDraw.Draw(picture)
            if name == "disc":
                pen.ellipse((x - 22, y - 22, x + 22, y + 22), fill=ink)
            else:
                pen.line((x - 22, y - 22, x + 22, y + 22), fill=ink, width=7)
                pen.line((x - 22, y + 22, x + 22, y - 22), fill=ink, width=7)
            picture.save(folder / name / f"{number:02}.png")


@pytest.mark.long
@pytest.mark.usefixtures("store")
def test_a_network_of_torchvision_s_from_search_to_opencv(home: Home, mongo_uri: str) -> None:
    """Every form of the model gives the same labels, and the card says what it is."""
    pytest.importorskip("torchvision")
    draw(home.work / "shapes")
    (home.work / "shapes.toml").write_text(STUDY)
    where = {"HYPERHIVE_MONGO": mongo_uri}
    worker = home.start("worker", "--slots", "1", "--device", "cpu", **where)
    done = home.call("coordinator", "shapes.toml", **where)
    assert (done.returncode, done.stderr) == (0, "")
    assert "data set shapes: 2 classes, 40 images in colour of 64x64\n" in done.stdout
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    card, folder = home.card("shapes"), home.work / "models" / "shapes"
    assert (card["architecture"], card["image_size"]) == (NETWORK, 64)
    assert card["config"]["network"] == NETWORK
    assert card["calibration"]["members"]["images"] == 32
    assert (folder / "report.png").exists()
    forms = ["model.safetensors"]
    for form in ("model.onnx", "model.pt"):
        made = home.call("best", "shapes", "--export", f"models/shapes/{form}", **where)
        assert (made.returncode, made.stderr) == (0, ""), form
        assert "same label on all 8 test images" in made.stdout
        forms.append(form)
    pictures = [np.asarray(Image.open(file)) for file in sorted(home.work.glob("shapes/*/*.png"))]
    labels = [
        [each.top[0][0] for each in hyperhive.load_model(folder / form).predict(pictures)]
        for form in forms
    ]
    assert labels[0] == labels[1] == labels[2]
    assert set(labels[0]) == {"cross", "disc"}
    for form in forms:
        camera = ("--model", f"models/shapes/{form}", "shapes/disc/00.png", "--output", form[6:])
        seen = home.call(*camera, program=cli.predict_cam)
        assert seen.returncode == 0, seen.stderr
        assert re.search(r"^00: (disc|cross|unknown)", seen.stdout, re.MULTILINE), seen.stdout
    home.is_empty()
