"""The guide: the square of a run, which a person may move, and which is kept for the next run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hyperhive.common import files
from hyperhive.common.errors import UsageError
from hyperhive.common.values import is_fraction
from hyperhive.inference.frames import Say
from hyperhive.inference.sight.square import FULL, Box, Square

FILE = "squares.json"
_DAMAGED = (UsageError, ValueError, RecursionError)
"""What a damaged file raises; the last is JSON that is nested too deep."""


class KeptSquare:
    """The square of one source, in a file that holds those of all sources.

    The file is JSON: an object with ``[X, Y, SIZE]`` of each source's name. A file that cannot be
    read or written costs one sentence, and nothing else.

    Args:
        path: the file, which need not exist.
        source: the name of the source, without secrets.
        warn: is called with a sentence.
    """

    def __init__(self, path: Path, source: str, warn: Say) -> None:
        self._path = path
        self._source = source
        self._warn = warn
        self._may_warn = True

    def read(self) -> Square | None:
        """Return the kept square; None if there is none, or none that can be read."""
        try:
            numbers = self._all().get(self._source)
            return None if numbers is None else _square(numbers)
        except OSError as error:
            reason = str(error.strerror)
        except _DAMAGED as error:
            reason = str(error)
        self._say(
            f"the square that was kept for {self._source} cannot be read from {self._path} "
            f"({reason}), so the full square is used: delete the file"
        )
        return None

    def write(self, square: Square) -> None:
        """Keep a square; the full one, which needs no entry, removes the entry."""
        try:
            squares = self._others()
            if square != FULL:
                squares[self._source] = [square.x, square.y, square.size]
            elif not self._path.exists():
                return
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.write(self._path, (json.dumps(squares, indent=1) + "\n").encode())
        except OSError as error:
            self._say(f"the square cannot be kept in {self._path}: {error.strerror}")

    def _others(self) -> dict[str, Any]:
        try:
            squares = self._all()
        except _DAMAGED:  # ``read`` has said so
            return {}
        squares.pop(self._source, None)
        return squares

    def _all(self) -> dict[str, Any]:
        try:
            squares = json.loads(files.read_text(self._path))
        except FileNotFoundError:
            return {}
        if not isinstance(squares, dict):
            raise ValueError("it is no JSON object")
        return squares

    def _say(self, sentence: str) -> None:
        if self._may_warn:
            self._warn(sentence)
        self._may_warn = False


class Guide:
    """The square that the model sees now.

    Args:
        square: at first.
        kept: takes what a person chooses; None keeps nothing.
        warn: is called once with a sentence, if the square leaves a picture.
    """

    finds_faces = False

    def __init__(
        self, square: Square = FULL, kept: KeptSquare | None = None, warn: Say | None = None
    ) -> None:
        self.square = square
        self._kept = kept
        self._warn = warn

    def boxes(self, image: np.ndarray) -> list[Box]:
        """Return the one box of a picture, ``[H, W, 3]``, that the model is to see."""
        height, width = image.shape[:2]
        box = self.square.box(width, height)
        if self._warn is not None and not self.square.fits(width, height):
            self._warn(
                f"the square {self.square} leaves a picture of {width}x{height} pixels, where "
                f"{Square.of(box, width, height)} is used instead"
            )
            self._warn = None
        return [box]

    def keep(self) -> None:
        """Have the next run on the same source begin with the present square."""
        if self._kept is not None:
            self._kept.write(self.square)


def _square(value: Any) -> Square:
    if not (isinstance(value, list) and len(value) == 3 and all(map(is_fraction, value))):
        raise ValueError("a square is three numbers from 0 to 1")
    return Square(*value)
