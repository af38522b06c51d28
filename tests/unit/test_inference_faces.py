"""Each face in a picture gets its own label, if this OpenCV can find faces."""

from __future__ import annotations

import csv
import json
import re
import threading
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import SourceError
from hyperhive.inference.drawing.overlay import GREY, YELLOW, annotated
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import NO_FACE, Answer, Result, label
from hyperhive.inference.outputs.folder import OutputFolder
from hyperhive.inference.outputs.report import Report
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.sight.square import Box
from hyperhive.inference.timings import Timings

cv2 = pytest.importorskip("cv2", reason="no OpenCV: no faces are found")
needs_cascades = pytest.mark.skipif(
    not hasattr(cv2, "CascadeClassifier"), reason="OpenCV 5 has no face detector"
)
BART = Prediction((("bart_simpson", 0.75), ("lisa_simpson", 0.25)))
LISA = Prediction((("lisa_simpson", 0.5), ("bart_simpson", 0.25)))
BIG, SMALL = Box(20, 60, 200, 200), Box(400, 5, 100, 100)


def hopper() -> np.ndarray:
    """Return Grace Hopper's portrait by the US Navy, which is in the public domain."""
    return np.asarray(Image.open(Path(__file__).with_name("grace_hopper.jpg")).convert("RGB"))


def scene() -> np.ndarray:
    """Return 640x480 with two faces: a large one on the left, a smaller one on the right."""
    portrait = Image.fromarray(hopper())
    canvas = np.full((480, 640, 3), 128, np.uint8)
    canvas[20:440, 10:368] = np.asarray(portrait.resize((358, 420)))
    canvas[200:434, 410:610] = np.asarray(portrait.resize((200, 234)))
    return canvas


class Model:
    """A stand-in for a predictor that answers by the width of what it is shown."""

    def __init__(self) -> None:
        self.timings = Timings()
        self.seen: list[int] = []

    def predict(self, images: list[np.ndarray]) -> list[Prediction]:
        """See ``Predictor.predict``."""
        self.seen += [image.shape[1] for image in images]
        return [BART if image.shape[1] > 150 else LISA for image in images]


class Frames:
    """A source of these pictures."""

    title, live = "pictures", False

    def __init__(self, *images: np.ndarray) -> None:
        self._images = images

    def frames(self, stop: threading.Event, left_out: Any) -> Iterator[Frame]:
        """See ``Source.frames``."""
        for index, image in enumerate(self._images):
            yield Frame(image, f"frame-{index}", f"bart_simpson/{index}.png", index)


def with_faces(*faces: Answer, index: int = 0) -> Result:
    frame = Frame(np.full((480, 640, 3), 90, np.uint8), "frame", "camera 0", index)
    return Result(frame, faces[0].prediction if faces else NO_FACE, faces=faces)


@needs_cascades
def test_each_face_is_labelled() -> None:
    """The largest comes first, the crops are squares around whole heads, and none is no error."""
    from hyperhive.inference.sight.faces import FaceFinder

    model: Any = Model()
    empty = np.full((480, 640, 3), 128, np.uint8)
    source: Any = Frames(scene(), empty)
    both, none = label(source, model, threading.Event(), print, sight=FaceFinder())
    (left, first), (right, second) = both.answers
    assert (first, second) == (BART, LISA)
    assert both.prediction == BART
    assert both.expected is None  # its folder names one class, and it shows two
    assert model.seen == [left.width, right.width]
    # The eyes' middle: at 260, 195 of 512x600 in the portrait.
    for box, x, y in ((left, 10 + 358 * 0.51, 20 + 420 * 0.33), (right, 512, 200 + 234 * 0.33)):
        assert box.width == box.height
        assert box.x + 0.3 * box.width < x < box.x + 0.7 * box.width
        assert box.y + 0.2 * box.height < y < box.y + 0.6 * box.height
    assert none.answers == ()
    assert none.prediction is NO_FACE
    assert [row[0] for row in model.timings.rows()] == ["capture", "find faces"]


@needs_cascades
@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (23, 23), (3000, 40)])
def test_pictures_too_small_for_a_face(shape: tuple[int, int]) -> None:
    """They have none."""
    from hyperhive.inference.sight.faces import FaceFinder

    assert FaceFinder().boxes(np.zeros((*shape, 3), np.uint8)) == []


@needs_cascades
def test_a_face_at_the_edge_has_its_square_inside() -> None:
    """The margin that the picture does not have is taken from the other side."""
    from hyperhive.inference.sight.faces import FaceFinder

    cut = hopper()[40:170, 70:200]
    [box] = FaceFinder().boxes(np.ascontiguousarray(cut))
    assert box.cut(cut).shape[:2] == (box.height, box.width) == (box.width, box.width)


def test_an_opencv_without_a_face_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what to install: for OpenCV 5, for a missing file, for a damaged one."""
    from hyperhive.inference.sight import faces

    monkeypatch.setattr(faces, "_places", lambda: iter([tmp_path / "none.xml"]))
    with pytest.raises(SourceError, match="pip install 'opencv-python<5'"):
        faces.FaceFinder()
    if not hasattr(cv2, "CascadeClassifier"):
        return
    (tmp_path / "none.xml").write_text("<?xml version='1.0'?><opencv_storage>")
    with pytest.raises(SourceError, match="install OpenCV's data again"):
        faces.FaceFinder()


def test_a_line_for_each_face(tmp_path: Path) -> None:
    """All lines have the same keys and types; without a face there is one, whose box is null."""
    with OutputFolder(tmp_path, "title") as outputs:
        outputs.add(with_faces(Answer(BIG, BART), Answer(SMALL, LISA)))
        outputs.add(with_faces(index=1))
    text = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["frame"], line["label"], line["box"]) for line in lines] == [
        (0, "bart_simpson", list(BIG)),
        (0, "lisa_simpson", list(SMALL)),
        (1, "unknown", None),
    ]
    none = lines[2]
    assert (none["known"], none["probability"], none["top3"]) == (False, 0.0, [])
    assert none["reason"] == "no face was found"
    with (tmp_path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label1"] for row in rows] == ["bart_simpson", "lisa_simpson", ""]
    assert [row["width"] for row in rows] == ["200", "100", ""]
    assert len(list((tmp_path / "annotated").iterdir())) == 2


def test_each_label_is_at_its_face() -> None:
    """A face has a frame, and its label above it, or inside where the picture ends."""
    doubtful = Prediction(LISA.top, NO_FACE.doubt)
    picture = np.asarray(annotated(with_faces(Answer(BIG, BART), Answer(SMALL, doubtful))))
    assert picture.shape == (480, 640, 3)  # no panel: it would name one face only
    yellow, grey = ((picture == colour).all(axis=2) for colour in (YELLOW, GREY))
    assert yellow[60, 20:220].all()
    assert yellow[40:60, 20:220].any()
    assert not yellow[:, 230:].any()
    assert grey[104, 400:500].all()
    assert grey[7:25, 403:497].any()


def test_what_is_printed_of_faces(capsys: pytest.CaptureFixture[str]) -> None:
    """A frame's line names all its faces; the table counts faces, not frames."""
    from rich.console import Console

    report = Report(Console(width=80), live=False, closer=lambda image: None)
    report.add(with_faces(Answer(BIG, BART), Answer(SMALL, LISA)), is_written=True)
    report.add(with_faces(index=1), is_written=True)
    outputs: Any = OutputFolder(Path("nowhere"), "title")
    report.conclude(Timings(), outputs)
    printed = capsys.readouterr().out
    assert "frame: bart simpson, lisa simpson\nframe: no face\n" in printed
    assert "no face was found in 1 of 2 frames" in printed
    assert re.search("label +faces +mean confidence", printed)
