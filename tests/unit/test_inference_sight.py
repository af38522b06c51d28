"""The square that the model sees is where a person puts it, in every view, and is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperhive.common.errors import UsageError
from hyperhive.inference.drawing.overlay import annotated, picture_place, viewfinder
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import Result
from hyperhive.inference.outputs.contact_sheet import ContactSheet
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.settings import PredictSettings, Sampling, SightSettings
from hyperhive.inference.sight.guide import Guide, KeptSquare
from hyperhive.inference.sight.square import FULL, Box, Square
from hyperhive.inference.views.grip import Grip
from hyperhive.model.data.images import fit

SURE = Prediction((("bart", 0.75), ("lisa", 0.25)))


def photograph(height: int = 480, width: int = 640) -> np.ndarray:
    small = np.random.RandomState(0).randint(100, 256, (12, 16, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("shape", [(480, 640), (479, 641), (641, 480), (28, 28), (1, 3), (3, 2)])
def test_the_full_square_is_what_training_sees(shape: tuple[int, int]) -> None:
    """Without a choice the model's input is the same, bit by bit, as without a square."""
    image = photograph(*shape)
    [box] = Guide().boxes(image)
    assert (fit(box.cut(image), 3) == fit(image, 3)).all()
    assert box.width == box.height == min(shape)


def test_a_square_is_shares_of_the_picture() -> None:
    """X and Y are of its centre, SIZE is of the shorter side; it reads as it is written."""
    square = Square.parse("0.25, .5,0.5")
    assert square == Square(0.25, 0.5, 0.5)
    assert square.box(640, 480) == Box(40, 120, 240, 240)
    assert square.box(480, 640) == Box(0, 200, 240, 240)
    assert Square.parse(str(square)) == square
    assert Square.parse("full") == Square.parse("0.5,0.5,1") == FULL
    assert Square.of(Box(40, 120, 240, 240), 640, 480) == square


@pytest.mark.parametrize(
    "text", ["", "0.5", "0.5,0.5", "a,b,c", "-1,0,1", "0.5,0.5,nan", "1,2,3,4"]
)
def test_what_is_no_square_is_refused(text: str) -> None:
    """The sentence says how to write one."""
    with pytest.raises(UsageError, match=r"must be X,Y,SIZE, such as 0\.5,0\.4,0\.6, or full"):
        Square.parse(text)


@pytest.mark.parametrize("text", ["1.1,0.5,0.5", "0.5,2,0.5", "0.5,0.5,0", "320,240,200"])
def test_a_square_outside_every_picture_is_refused(text: str) -> None:
    """Shares end at 1, and pixels are no shares."""
    with pytest.raises(UsageError, match=r"lies outside the picture: .* from 0 to 1"):
        Square.parse(text)


def test_a_square_that_leaves_the_picture_is_moved_inside() -> None:
    """It is said once, with the square that is used; a pixel of rounding is not worth a word."""
    said: list[str] = []
    guide = Guide(Square(0.1, 0.5, 0.8), None, said.append)
    image = photograph()
    assert guide.boxes(image) == guide.boxes(image) == [Box(0, 48, 384, 384)]
    assert said == [
        "the square 0.1,0.5,0.8 leaves a picture of 640x480 pixels, where 0.3,0.5,0.8 is used "
        "instead"
    ]
    Guide(Square.parse("0.3,0.5,0.8"), None, said.append).boxes(image)
    Guide(FULL, None, said.append).boxes(photograph(479, 641))
    assert len(said) == 1


def test_options_that_exclude_each_other() -> None:
    """Faces are looked for everywhere, and each frame is labelled by itself."""
    with pytest.raises(UsageError, match="omit --square"):
        SightSettings(FULL, faces=True)
    live, faces = Sampling(live=True), SightSettings(faces=True)
    with pytest.raises(UsageError, match="omit --smoothing"):
        PredictSettings((), Path(), sampling=live, sight=faces, smoothing=0.5)


# What shows the square follows it.


def placed(box: Box, image: np.ndarray) -> Result:
    return Result(Frame(image, "frame", "camera 0", 0), SURE, None, box)


def test_every_picture_shows_the_square() -> None:
    """Inside it a frame is unchanged, outside it is darkened; the crop is what is inside."""
    image = np.full((480, 640, 3), 200, np.uint8)
    result = placed(Box(400, 100, 200, 200), image)
    for picture in (viewfinder(result), annotated(result)):
        levels = np.asarray(picture)
        assert (levels[100:300, 400:600] == 200).all()
        assert (levels[:480, :390] == levels[310:480, :640].max()).all()
        assert levels[0, 0, 0] == 80
    assert result.seen is not None
    assert result.seen.shape == (200, 200, 3)
    assert result.to_json()["box"] == [400, 100, 200, 200]
    sheet = ContactSheet()
    sheet.add(result)
    tile = np.asarray(sheet.draw("title"))[44 + 24 : 44 + 24 + 147, 12 : 12 + 196]
    assert (tile[70, 140], tile[70, 20]) == (pytest.approx(200), pytest.approx(80))


@pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (3000, 4000), (28, 30), (1, 1)])
def test_the_square_is_in_place_at_any_size(shape: tuple[int, int]) -> None:
    """Pictures that are enlarged or reduced have the square where the frame has it."""
    image = np.full((*shape, 3), 200, np.uint8)
    [box] = Guide(Square(1, 1, 0.5)).boxes(image)
    levels = np.asarray(viewfinder(placed(box, image)))
    assert levels[-1, -1, 0] == 200
    place = picture_place(image)
    assert levels.shape[:2] == (place.height, place.width)


# The mouse.


FRAME = Box(0, 0, 640, 480)


def dragged(guide: Guide, *places: tuple[int, int], picture: Box = FRAME) -> Box:
    """Drag from the first place over the others; return the square in a frame of 640x480."""
    grip = Grip(guide)
    grip.show(picture)
    grip.press(*places[0])
    for place in places:
        grip.move(*place)
    grip.release(*places[-1])
    grip.move(0, 0)  # nothing is dragged any more
    return guide.square.box(640, 480)


def test_a_drag_inside_moves_the_square() -> None:
    """It goes with the mouse, and stops at the picture's edges."""
    guide = Guide(Square(0.5, 0.5, 0.5))
    assert dragged(guide, (320, 240), (330, 200), (420, 260)) == Box(300, 140, 240, 240)
    assert dragged(guide, (420, 260), (2000, -2000)) == Box(400, 0, 240, 240)


def test_a_drag_at_a_corner_resizes_the_square() -> None:
    """The opposite corner stays; the square stays inside, and does not vanish."""
    for corner, to, expected in (
        ((200, 120), (150, 100), Box(150, 70, 290, 290)),
        ((440, 360), (460, 400), Box(200, 120, 280, 280)),
        ((440, 360), (4000, 4000), Box(200, 120, 360, 360)),
        ((440, 120), (0, 900), Box(200, 336, 24, 24)),
        ((200, 360), (196, 300), Box(196, 120, 244, 244)),
    ):
        assert dragged(Guide(Square(0.5, 0.5, 0.5)), corner, to) == expected


def test_a_drag_outside_does_nothing() -> None:
    """Neither beside the square, nor on the panel below the picture."""
    guide = Guide(Square(0.5, 0.5, 0.5))
    for start in ((20, 20), (320, 470), (320, 600)):
        assert dragged(guide, start, (100, 100)) == Box(200, 120, 240, 240)


def test_places_are_those_of_the_picture_in_the_window() -> None:
    """A picture that is enlarged, or has margins at its sides, is dragged where it is seen."""
    twice = Box(0, 0, 1280, 960)
    guide = Guide(Square(0.5, 0.5, 0.5))
    assert dragged(guide, (640, 480), (660, 480), picture=twice) == Box(210, 120, 240, 240)
    aside = Box(100, 0, 640, 480)
    guide = Guide(Square(0.5, 0.5, 0.5))
    assert dragged(guide, (300, 120), (250, 100), picture=aside) == Box(150, 70, 290, 290)


# What is kept.


def kept(path: Path, said: list[str], source: str = "camera 0") -> KeptSquare:
    return KeptSquare(path, source, said.append)


def test_a_square_is_kept_for_its_source(tmp_path: Path) -> None:
    """A drag is kept when it ends, each source has its own square, and the full one needs none."""
    path, said = tmp_path / "config" / "squares.json", []  # type: tuple[Path, list[str]]
    assert kept(path, said).read() is None
    kept(path, said).write(FULL)
    assert not path.exists()
    guide = Guide(FULL, kept(path, said))
    dragged(guide, (560, 480), (460, 380))
    assert kept(path, said).read() == guide.square == Square(0.4219, 0.3958, 0.7917)
    other = Square(0.3, 0.5, 0.6)
    kept(path, said, "rtsp://camera/1").write(other)
    assert json.loads(path.read_text())["rtsp://camera/1"] == [0.3, 0.5, 0.6]
    grip = Grip(guide)
    grip.reset()
    assert guide.square == FULL
    assert kept(path, said).read() is None
    assert kept(path, said, "rtsp://camera/1").read() == other
    assert said == []


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"camera 0": 5}', '{"camera 0": [1, 2]}', '{"camera 0": [0.5, 0.5, 9]}',
        '{"camera 0": [0.5, 0.5, 0]}', '{"camera 0": [true, 0.5, 0.5]}', "\xff", "[" * 100_000,
        '{"camera 0": [0.5, 0.5, NaN]}', '{"camera 0": [0.5, 0.5, 1' + "0" * 400 + "]}",
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    """The full square is used, and the next one that is chosen can be kept again."""
    path, said = tmp_path / "squares.json", []  # type: tuple[Path, list[str]]
    path.write_bytes(text.encode("latin-1"))
    square = kept(path, said)
    assert square.read() is None
    [sentence] = said
    assert "the square that was kept for camera 0 cannot be read from" in sentence
    assert len(sentence) < 400
    square.write(Square(0.5, 0.5, 0.5))
    assert kept(path, said).read() == Square(0.5, 0.5, 0.5)
    assert len(said) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """The run goes on with the square; only the next run does not know it."""
    (tmp_path / "file").write_text("in the way")
    said: list[str] = []
    square = kept(tmp_path / "file" / "squares.json", said)
    for _ in range(3):
        square.write(Square(0.5, 0.5, 0.5))
    assert len(said) == 1
    assert said[0].startswith("the square cannot be kept in ")
