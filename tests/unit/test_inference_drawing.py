"""Labels are legible on pictures of any size, and every result is written down."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import OutputError
from hyperhive.inference.drawing.overlay import (
    BACKGROUND,
    GREEN,
    GREY,
    LARGEST,
    RED,
    SMALLEST,
    TRACK,
    YELLOW,
    annotate,
    share_of,
)
from hyperhive.inference.drawing.text import Line, draw_text
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import Result, expected_class
from hyperhive.inference.outputs.contact_sheet import MOST, ContactSheet
from hyperhive.inference.outputs.folder import OutputFolder
from hyperhive.inference.outputs.report import Tally
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.wording import percent, pretty
from hyperhive.model.calibration import Doubt

LONG = "Ünïcode Ω Бендер 霸王龙 " * 20
SURE = Prediction((("bart_simpson", 0.75), ("lisa_simpson", 0.25), (LONG, 0.0)))
UNSURE = Prediction(SURE.top, Doubt("membership", 0.012, 0.05))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (height, width, 3)).astype(np.uint8)


def result(name: str = "frame", index: int = 0, expected: str | None = None) -> Result:
    image = np.full((28, 28, 3), (index // 10, 100, index % 10), np.uint8)
    return Result(Frame(image, name, f"folder/{name}.png", index), SURE, expected)


def pixels(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(picture) == colour).all(axis=2).sum())


@pytest.mark.parametrize("text", ["", "i", "bart simpson", "\n\t", LONG])
@pytest.mark.parametrize("box", [(10, 20, 150, 50), (10, 20, 30, 22), (0, 0, 200, 100)])
@pytest.mark.parametrize("to_right", [False, True])
def test_text_stays_in_its_box(text: str, box: Any, to_right: bool) -> None:
    """No text in any script changes a pixel outside the box."""
    canvas = Image.new("RGB", (200, 100), BACKGROUND)
    draw_text(canvas, box, Line(text, YELLOW, to_right=to_right))
    canvas.paste(BACKGROUND, box)
    assert pixels(canvas, BACKGROUND) == 200 * 100


def test_text_is_drawn_in_its_colour_and_place() -> None:
    """A short text begins at the left of its box, or ends at its right, and is not shortened."""
    boxes = []
    for to_right in (False, True):
        canvas = Image.new("RGB", (400, 40), BACKGROUND)
        draw_text(canvas, (20, 0, 380, 40), Line("bart", YELLOW, to_right))
        assert pixels(canvas, YELLOW) > 20
        marks = np.flatnonzero((np.asarray(canvas) != BACKGROUND).any(axis=(0, 2)))
        boxes.append((marks[0], marks[-1]))
    (left, left_end), (right_start, right) = boxes
    assert 20 <= left < 30
    assert 370 < right < 380
    assert left_end - left == right - right_start


@pytest.mark.parametrize(
    "shape", [(1, 1), (28, 28), (10, 15), (1, 3000), (3000, 1), (480, 640), (3000, 4000)]
)
def test_a_picture_of_any_size_is_annotated_legibly(shape: tuple[int, int]) -> None:
    """The annotated picture is 320 to 1280 wide, and its panel has the label and its bar."""
    annotated = annotate(noise(*shape), SURE, None)
    assert SMALLEST <= annotated.width <= LARGEST
    assert annotated.height <= LARGEST + 400
    panel = np.asarray(annotated)[-annotated.width // 5 :]
    assert (panel == BACKGROUND).all(axis=2).mean() > 0.4
    assert pixels(annotated, YELLOW) > 500


def test_a_small_picture_grows_in_whole_pixels() -> None:
    """The 28x28 pixels that the model sees are shown as squares of one colour each."""
    image = noise(28, 28)
    annotated = np.asarray(annotate(image, SURE, None))
    assert annotated.shape[1] == 28 * 12
    assert (annotated[: 28 * 12] == image.repeat(12, axis=0).repeat(12, axis=1)).all()


def test_what_the_model_does_not_see_is_dark() -> None:
    """A frame is unchanged inside the centred square, and darkened outside."""
    image = np.full((480, 640, 3), 200, np.uint8)
    annotated = np.asarray(annotate(image, SURE, None))
    assert (annotated[:480, 80:560] == 200).all()
    assert (annotated[:480, :70] == 80).all()
    assert (annotated[:480, -70:] == 80).all()


def test_bars_are_as_long_as_probabilities() -> None:
    """The bar for 75 % has three times the pixels of the bar for 25 %."""
    annotated = np.asarray(annotate(np.zeros((320, 320, 3), np.uint8), SURE, None))
    bars = annotated[(annotated == TRACK).all(axis=2).any(axis=1)]
    first, second = ((bars == colour).all(axis=2).sum(axis=1).max() for colour in (YELLOW, GREY))
    assert first / second == pytest.approx(3.0, rel=0.05)


def test_the_colour_tells_whether_it_is_right() -> None:
    """Green is right, red is wrong, yellow has no expected class."""
    image = np.zeros((64, 64, 3), np.uint8)
    for agrees, colour in ((True, GREEN), (False, RED), (None, YELLOW)):
        annotated = annotate(image, SURE, agrees)
        found = {c for c in (GREEN, RED, YELLOW) if pixels(annotated, c)}
        assert found == {colour}


def test_unknown_is_grey_and_bears_no_probability() -> None:
    """For ``unknown``, no word or bar has the colour of an answer."""
    image = np.zeros((64, 64, 3), np.uint8)
    for agrees in (False, None):
        annotated = annotate(image, UNSURE, agrees)
        assert not any(pixels(annotated, colour) for colour in (GREEN, RED, YELLOW))
        assert pixels(annotated, GREY) > pixels(annotate(image, SURE, None), GREY)
    assert share_of(SURE) == "75 %"
    assert share_of(UNSURE) == ""
    assert pixels(annotate(image, UNSURE, True), GREEN) > 0  # a class may be called so


def test_the_reason_stands_beside_unknown() -> None:
    """The right of the label's row has the reason, and the label keeps the left."""
    canvas = np.asarray(annotate(np.zeros((480, 480, 3), np.uint8), UNSURE, None))
    row = (canvas[490:520] != BACKGROUND).any(axis=(0, 2))
    assert row[:190].any()
    assert row[192:470].sum() > 50
    assert not row[470:].any()


def test_unknown_is_a_label_of_its_own() -> None:
    """``unknown`` is counted as a label, agrees with no class, and keeps the likeliest classes."""
    tally = Tally()
    for prediction in (SURE, UNSURE):
        tally.add(Result(result().frame, prediction, "bart_simpson"))
    assert tally.rows() == [("bart_simpson", 1, 0.75), ("unknown", 1, 0.75)]
    assert (tally.agreeing, tally.expected) == (1, 2)
    line = Result(result().frame, UNSURE).to_json()
    assert (line["label"], line["known"], line["probability"]) == ("unknown", False, 0.75)
    assert line["top3"] == Result(result().frame, SURE).to_json()["top3"]


def test_a_class_may_be_called_unknown() -> None:
    """The label reads the same, and ``known`` tells it from the answer ``unknown``."""
    for doubt in (None, UNSURE.doubt):
        answer = Result(result().frame, Prediction((("unknown", 0.6),), doubt), "unknown")
        assert answer.agrees
        assert (answer.to_json()["label"], answer.to_json()["known"]) == ("unknown", doubt is None)


def test_labels_are_written_for_people() -> None:
    """Underscores are spaces, and only certainty is 100 %."""
    assert pretty("bart_simpson") == "bart simpson"
    assert pretty("_") == "_"
    assert pretty("\x1b[31mred\nteam") == "\\x1b[31mred team"
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.999, 1.0)] == [
        "0 %", "0 %", "50 %", "99 %", "100 %",
    ]  # fmt: skip


def tiles_of(sheet: Image.Image) -> list[int]:
    """Return the numbers of the frames on a sheet, read from their colours."""
    rows = np.asarray(sheet).astype(int)
    found = []
    for top in range(44, sheet.height - 200, 196 + 25 + 20 + 12):
        for left in range(12, sheet.width - 190, 196 + 12):
            red, green, blue = rows[top + 100, left + 100]
            if green == 100:
                found.append(int(red * 10 + blue))
    return found


@pytest.mark.parametrize("number", [1, 2, 5, MOST - 1, MOST])
def test_a_contact_sheet_shows_every_frame_of_a_short_series(number: int) -> None:
    """Up to 48 frames are all on the sheet, in order."""
    sheet = ContactSheet()
    for index in range(number):
        sheet.add(result(index=index))
    assert tiles_of(sheet.draw("title")) == list(range(number))


@pytest.mark.parametrize("number", [49, 95, 96, 500, 2000])
def test_a_contact_sheet_spreads_over_a_long_series(number: int) -> None:
    """A sheet of a longer series shows 48 frames, evenly spread from first to last."""
    sheet = ContactSheet()
    for index in range(number):
        sheet.add(result(index=index))
    picture = sheet.draw("title " + LONG)
    assert picture.size == (12 + 8 * 208, 44 + 6 * 253 + 12)
    shown = tiles_of(picture)
    assert len(shown) == MOST == len(set(shown))
    assert shown[0] == 0
    gaps = np.diff([*shown, number])
    assert gaps.min() >= 1
    assert gaps.max() <= 2.5 * number / MOST


def test_two_pictures_of_one_name_are_two(tmp_path: Path) -> None:
    """``a.png``, ``a.jpg`` and ``A.jpg`` are three annotated pictures, on any file system."""
    with OutputFolder(tmp_path, "title") as outputs:
        for name in ("x/a", "x/a", "x/A"):
            outputs.add(result(name))
    annotated = sorted(p.name.lower() for p in (tmp_path / "annotated" / "x").iterdir())
    assert annotated == ["a-2.jpg", "a-3.jpg", "a.jpg"]


def test_json_lines_hold_what_was_said(tmp_path: Path) -> None:
    """Each result is a line of JSON at once, whatever bytes the file's name has."""
    odd = os.fsdecode(b"\xff") + " 霸"
    with OutputFolder(tmp_path, "title") as outputs:
        outputs.add(result(odd, index=7))
        lines = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "frame": 7,
            "source": f"folder/{odd}.png",
            "time": None,
            "label": "bart_simpson",
            "known": True,
            "probability": 0.75,
            "reason": None,
            "top3": [{"label": label, "probability": p} for label, p in SURE.top],
            "box": [0, 0, 28, 28],
        }
    ]
    assert "霸" in lines[0]


def test_what_was_labelled_is_kept_when_the_series_breaks(tmp_path: Path) -> None:
    """The contact sheet is written even if the series is interrupted after its first frame."""
    outputs = OutputFolder(tmp_path, "title")
    with contextlib.suppress(KeyboardInterrupt), outputs:
        outputs.add(result())
        raise KeyboardInterrupt
    assert all(path.exists() for path in outputs.written())
    assert {path.name for path in outputs.written()} == {
        "annotated", "contact_sheet.png", "predictions.jsonl", "predictions.csv",
    }  # fmt: skip


def test_nothing_labelled_leaves_nothing(tmp_path: Path) -> None:
    """Without a result there is no folder, and nothing to look at."""
    with OutputFolder(tmp_path / "out", "title") as outputs:
        pass
    assert outputs.written() == []
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    """Where a file lies in the way, one sentence says so and what to change."""
    (tmp_path / "out").write_text("a file")
    outputs = OutputFolder(tmp_path / "out", "title")
    with pytest.raises(OutputError, match="choose another folder with --output"):
        outputs.add(result())


def test_the_folder_tells_the_class() -> None:
    """A frame in a folder that bears a class's name is expected to be of that class."""
    classes = ["bart_simpson", "lisa_simpson"]
    expected = [
        expected_class(Frame(np.zeros((1, 1, 3), np.uint8), "1", source, 0), classes)
        for source in ("test/Bart Simpson/1.jpg", "lisa_simpson/x/1.jpg", "camera 0")
    ]
    assert expected == ["bart_simpson", None, None]


def test_a_tally_counts_labels_and_agreement() -> None:
    """It counts frames a label with their mean probability, and those that agree of those known."""
    tally = Tally()
    for expected in ("bart_simpson", "lisa_simpson", None):
        tally.add(result(expected=expected))
    lisa = Prediction((("lisa_simpson", 0.5),))
    tally.add(Result(result().frame, lisa))
    assert tally.rows() == [("bart_simpson", 3, 0.75), ("lisa_simpson", 1, 0.5)]
    assert (tally.frames, tally.agreeing, tally.expected) == (4, 1, 2)


@pytest.mark.parametrize(
    "top", [(), (("a", 0.2), ("b", 0.8)), (("a", 0.8), ("b", 0.7)), (("a", float("nan")),)]
)
def test_a_prediction_is_probabilities_in_order(top: Any) -> None:
    """Nothing, a rising order, more than 1 in all, and NaN are refused where they are made."""
    with pytest.raises(ValueError, match="not"):
        Prediction(top)


def test_a_fault_of_ours_is_not_blamed_on_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ``OSError`` that is not the operating system's, as Pillow raises, stays what it is."""

    def save(*_: object, **__: object) -> None:
        raise OSError("cannot write mode F as JPEG")

    monkeypatch.setattr(Image.Image, "save", save)
    outputs = OutputFolder(tmp_path, "title")
    with pytest.raises(OSError, match="cannot write mode F"):
        outputs.add(result())
