"""Fonts for names in any script, with a font that the test makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import matplotlib
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageFont

from hyperhive.common import fonts
from hyperhive.inference.drawing.text import Line, draw_text


def make_font(path: Path, letters: str) -> None:
    """Write a font in which each of these letters is a filled square."""

    def square(side: int) -> object:
        pen = TTGlyphPen(None)
        pen.moveTo((0, 0))
        for corner in ((0, side), (side, side), (side, 0)):
            pen.lineTo(corner)
        pen.closePath()
        return pen.glyph()

    names = {ord(letter): f"u{ord(letter):x}" for letter in letters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({".notdef": square(300), **dict.fromkeys(names.values(), square(900))})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    path.parent.mkdir(parents=True, exist_ok=True)
    builder.save(str(path))


@pytest.fixture
def own_fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of this user's fonts; nothing of it is remembered."""
    monkeypatch.setattr(fonts, "_OTHER_FOLDERS", [str(tmp_path / "fonts")])
    for remembered in (fonts.font_with, fonts._installed):
        remembered.cache_clear()
    yield tmp_path / "fonts"
    for remembered in (fonts.font_with, fonts._installed):
        remembered.cache_clear()


def test_a_font_with_all_letters_is_found(own_fonts: Path) -> None:
    """A damaged font and one that lacks a letter are passed over."""
    make_font(own_fonts / "a-one.ttf", "空")
    make_font(own_fonts / "deep" / "b-both.ttf", "空海")
    (own_fonts / "0-damaged.ttf").write_bytes(b"no font")
    assert fonts.font_with("空 空") == own_fonts / "a-one.ttf"
    assert fonts.font_with("空海") == own_fonts / "deep" / "b-both.ttf"
    assert fonts.font_with("空海a") is None


def test_letters_that_no_font_has_are_escaped() -> None:
    """The others stay; a letter that is combined with the one before it is not asked for."""
    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 20)
    lacks = fonts.lacking(font, "空 кошка ä e\u0301 ✓")
    assert lacks == {"空"}
    assert fonts.escaped("空 ä", lacks) == r"\u7a7a ä"


def drawn(text: str) -> bytes:
    canvas = Image.new("RGB", (300, 30))
    draw_text(canvas, (0, 0, 300, 30), Line(text, (255, 255, 255)))
    return canvas.tobytes()


def test_a_label_is_drawn_in_the_font_that_has_it(own_fonts: Path) -> None:
    """Two names without a font differ by their escapes; with one they are drawn in it."""
    assert drawn("空") == drawn(r"\u7a7a")
    make_font(own_fonts / "squares.ttf", "海")
    fonts.font_with.cache_clear()
    fonts._installed.cache_clear()
    assert drawn("海") != drawn(r"\u6d77")
