"""Fonts of this machine that have the letters of a text: class names are in any script."""

from __future__ import annotations

import contextlib
import functools
import sys
import unicodedata
from pathlib import Path
from typing import Iterator

from PIL import ImageFont

from hyperhive.common.text import escaped as escape

_FOLDERS = {
    "win32": ["~/AppData/Local/Microsoft/Windows/Fonts", "C:/Windows/Fonts"],
    "darwin": ["~/Library/Fonts", "/Library/Fonts", "/System/Library/Fonts"],
}
_OTHER_FOLDERS = [
    "~/.local/share/fonts",
    "~/.fonts",
    "/usr/local/share/fonts",
    "/usr/share/fonts",
]
_SUFFIXES = (".ttf", ".otf", ".ttc")
_CUTS = ("Bold", "Italic", "Oblique", "Light", "Thin", "Condensed", "Serif", "Mono")
_SIZE = 20
_NO_LETTER = "\uffff"
"""No font has it, so it looks like every letter that a font lacks."""


@functools.lru_cache(maxsize=1024)
def font_with(text: str) -> Path | None:
    """Return an installed font that has every letter of a text, None if there is none."""
    for path in _installed():
        with contextlib.suppress(OSError):  # damaged, or of a kind that this FreeType cannot read
            if not lacking(ImageFont.truetype(str(path), _SIZE), text):
                return path
    return None


def lacking(font: ImageFont.FreeTypeFont, text: str) -> set[str]:
    """Return the letters of a text that a font does not have."""
    nothing = _shape(font, _NO_LETTER)
    letters = {each for each in text if not (each.isspace() or unicodedata.combining(each))}
    return {each for each in letters if _shape(font, each) == nothing}


def escaped(text: str, letters: set[str]) -> str:
    r"""Return text with these letters as their escapes: ``\u7a7a``."""
    return "".join(escape(each) if each in letters else each for each in text)


def _shape(font: ImageFont.FreeTypeFont, letter: str) -> tuple[object, bytes]:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)


@functools.lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    return tuple(_files())


def _files() -> Iterator[Path]:
    for folder in _FOLDERS.get(sys.platform, _OTHER_FOLDERS):
        with contextlib.suppress(OSError, RuntimeError):  # unreadable, or there is no home
            found = Path(folder).expanduser().rglob("*")
            # macOS's font of last resort has a box for every letter.
            files = (
                path
                for path in found
                if path.suffix.lower() in _SUFFIXES and path.stem != "LastResort"
            )
            yield from sorted(files, key=lambda path: (_is_special(path), path))


def _is_special(path: Path) -> bool:
    """Return whether a font is another cut than the regular one."""
    return any(word in path.stem for word in _CUTS)
