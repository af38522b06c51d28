"""The terminal of a run, and what is opened for it: where pictures come from, and the square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, Mapping

from rich.console import Console

from hyperhive.common import paths
from hyperhive.common.errors import UsageError
from hyperhive.inference.frames import Say, Source
from hyperhive.inference.settings import PredictSettings
from hyperhive.inference.sight.guide import FILE, Guide, KeptSquare
from hyperhive.inference.sight.square import FULL, Square
from hyperhive.inference.sources.resolve import resolve

CAMERA = "0"
"""The source where none is named."""


@dataclass(frozen=True)
class Terminal:
    """The parts of the terminal that a run uses.

    Args:
        out: prints on standard output, unless ``--quiet`` hides it.
        announce: prints a sentence on standard output, ``--quiet`` or not.
        warn: prints a sentence on standard error.
        stdin: standard input, for a list of paths.
        environment: the environment variables.
    """

    out: Console
    announce: Say
    warn: Say
    stdin: IO[bytes] | None
    environment: Mapping[str, str]


def opened_source(texts: list[str], settings: PredictSettings, say: Say) -> Source:
    """Return the source of a run; raises ``SourceError``, and ``UsageError`` unless it fits."""
    source = resolve(texts, settings.sampling, settings.output, say, settings.camera)
    if settings.sampling.live and not source.live:
        if settings.teaching is not None:
            raise UsageError(
                "--teach needs a camera, a stream or a video: `predict-cam --label FOLDER --into "
                "MY-THINGS` goes through pictures that you have"
            )
        raise UsageError("--live needs a camera, a stream or a video: omit it for images")
    return source


def opened_guide(square: Square | None, name: str | None, terminal: Terminal) -> Guide:
    """Return the square that the model sees.

    Args:
        square: what is asked for; None is the one that was kept, or the full one.
        name: of the source, for which the square is kept; None keeps nothing.
        terminal: prints.
    """
    if name is None:
        return Guide(square or FULL, None, terminal.warn)
    kept = KeptSquare(paths.config_directory() / FILE, name, terminal.warn)
    if square is not None:
        kept.write(square)
        return Guide(square, kept, terminal.warn)
    square = kept.read()
    if square is not None:
        terminal.out.print(f"the square is {square}, as last time; --square full resets it")
    return Guide(square or FULL, kept, terminal.warn)
