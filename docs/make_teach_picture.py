"""Makes docs/teach.png: three drawn things that predict-cam was taught, and one that it was not.

    python docs/make_teach_picture.py

Our own drawings are shown to a camera in bursts, each before a background, in a light and in a pose
that chance chooses (``benchmarks/_bursts.py``). Their pictures are put into class folders as
``predict-cam --teach`` does, and a real ``Learning`` learns them. Then each thing, and a fourth one
that was never shown, is held up once more: the picture has the first frame of the first new burst
of each, whatever the answer. All but the words above the pictures is drawn by ``predict-cam``'s own
code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Sequence

import cv2
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._bursts import STRANGER, THINGS, Random, burst, write
from benchmarks.teach import home_of_its_own, learned
from hyperhive.inference.collecting.collection import Collection
from hyperhive.inference.drawing.overlay import BACKGROUND, WHITE, annotate
from hyperhive.inference.drawing.panel import with_lines
from hyperhive.inference.drawing.text import Line, draw_text
from hyperhive.inference.predictor import Predictor
from hyperhive.inference.teaching.controls import Controls

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "teach.png"
BURSTS, EACH, TRIALS, SEED = 8, 12, 4, 0
"""96 pictures of each thing: 36 validate, which can say that there are enough."""
SIDE, SMALL, GAP, ROW = 360, 59, 18, 36
"""Pixels: of a frame, of a picture that was taken, between them, and of a line of words."""


def main() -> None:
    """Teach the things, show them again, and save the picture with 256 colours."""
    torch.set_num_threads(1)
    with home_of_its_own() as folder:
        write(folder / "things", BURSTS, EACH, Random(SEED))
        predictor, _, progress = learned(folder, TRIALS)
        with Collection(folder / "things") as collection:
            lines = Controls(collection).view(progress).lines()
        whole = with_lines(above(taken(folder / "things"), answers(predictor)), lines)
    whole.quantize(256).save(PICTURE, optimize=True)


def taken(things: Path) -> Image.Image:
    """Return a row with a picture of each burst of each thing."""
    groups = []
    for name in THINGS:
        first = sorted(things.glob(f"{name}/*.png"))[::EACH]
        small = [Image.open(path).resize((SMALL, SMALL), Image.Resampling.BOX) for path in first]
        groups.append(titled(f"taught: {name}, in {BURSTS} places", beside(small, 2)))
    return beside(groups, GAP)


def answers(predictor: Predictor) -> Image.Image:
    """Return a row with a new frame of each thing, and of the stranger, with its answer."""
    random = Random(SEED + 1)
    shown = []
    for name in (*THINGS, STRANGER):
        [frame] = burst(name, 1, random)
        [prediction] = predictor.predict([frame])
        small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        title = f"never taught: {name}" if name == STRANGER else f"held up: {name}"
        shown.append(titled(title, annotate(small, prediction, agrees=None)))
    return beside(shown, GAP)


def titled(title: str, picture: Image.Image) -> Image.Image:
    """Return a picture below a line of words."""
    canvas = Image.new("RGB", (picture.width, ROW + picture.height), BACKGROUND)
    draw_text(canvas, (0, 0, picture.width, ROW), Line(title, WHITE))
    canvas.paste(picture, (0, ROW))
    return canvas


def beside(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    """Return pictures of one height in a row."""
    width = sum(each.width for each in pictures) + gap * (len(pictures) - 1)
    canvas = Image.new("RGB", (width, pictures[0].height), BACKGROUND)
    left = 0
    for each in pictures:
        canvas.paste(each, (left, 0))
        left += each.width + gap
    return canvas


def above(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Return one picture above another."""
    size = (max(upper.width, lower.width) + 2 * GAP, upper.height + lower.height + 2 * GAP)
    canvas = Image.new("RGB", size, BACKGROUND)
    canvas.paste(upper, (GAP, 0))
    canvas.paste(lower, (GAP, upper.height + GAP))
    return canvas


if __name__ == "__main__":
    main()
