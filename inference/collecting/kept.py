"""A folder of doubtful pictures, each with the answer that it got, which wait for a label."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperhive.common import files
from hyperhive.model.data.images import is_image
from hyperhive.model.data.names import is_clutter

ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class Kept:
    """A kept picture, with what is known of it.

    Args:
        path: the picture.
        label: the answer that it got; None if no answer of it is found.
        top: the three likeliest classes with their probabilities, best first.
        source: where it comes from.
    """

    path: Path
    label: str | None = None
    top: tuple[tuple[str, float], ...] = ()
    source: str = ""


def keep(path: Path, png: bytes, answer: dict[str, Any]) -> None:
    """Write a picture, and its answer as a line of JSON. Raises ``OSError``.

    The answer comes first: a process that is killed in between leaves no picture without one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"picture": path.name, **answer}, ensure_ascii=False) + "\n"
    with (path.parent / ANSWERS).open("a+b") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - 1))
        if file.read() not in (b"", b"\n"):  # a process was killed within a line
            line = "\n" + line
        # A file name that is not UTF-8 comes as lone surrogates, whose escape is JSON's too.
        file.write(line.encode("utf-8", "backslashreplace"))
    files.write(path, png, durable=True)


def pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder, the oldest first by their names. Raises ``OSError``."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in inside if is_image(path) and not is_clutter(path.name)]


def waiting(folder: Path) -> list[Kept]:
    """Return the pictures of a folder with their answers; see ``pictures``. Raises ``OSError``."""
    answers = _answers(folder / ANSWERS)
    return [_kept(path, answers.get(path.name, {})) for path in pictures(folder)]


def _answers(path: Path) -> dict[str, dict[str, Any]]:
    """Return each picture's line by its name; a line that was cut, or changed by hand, is none."""
    found = {}
    if path.exists():
        for line in path.read_bytes().splitlines():
            try:
                answer = json.loads(line)
            except ValueError:
                continue
            if isinstance(answer, dict) and isinstance(answer.get("picture"), str):
                found[answer["picture"]] = answer
    return found


def _kept(path: Path, answer: dict[str, Any]) -> Kept:
    label, source = answer.get("label"), answer.get("source")
    if not isinstance(label, str):
        return Kept(path)
    top, entries = [], answer.get("top3")
    for each in entries if isinstance(entries, list) else []:
        entry = each if isinstance(each, dict) else {}
        name, probability = entry.get("label"), entry.get("probability")
        if isinstance(name, str) and isinstance(probability, float):
            top.append((name, probability))
    return Kept(path, label, tuple(top), source if isinstance(source, str) else "")
