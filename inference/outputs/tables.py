"""Results as rows of a table and as lines of JSON, in files that are readable at any time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import IO, Any

from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import TOP

JSONL = "predictions.jsonl"
CSV = "predictions.csv"
_PLAIN = ["frame", "source", "time", "label", "known", "probability"]
_COLUMNS = _PLAIN + [
    part.format(rank) for rank in range(1, TOP + 1) for part in ("label{}", "probability{}")
]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Tables:
    """Writes each result to predictions.jsonl and predictions.csv at once.

    A text of the CSV that a spreadsheet would take for a formula, because it begins with one of
    ``= + - @``, a tab or a carriage return, gets an apostrophe in front, as OWASP advises (CSV
    Injection). The JSON has every text as it is.

    Args:
        directory: the folder, which is there.
    """

    def __init__(self, directory: Path) -> None:
        self._lines = _opened(directory / JSONL)
        self._rows = _opened(directory / CSV)
        # RFC 4180's line ends; and Python 3.8 quotes a carriage return in a text only where the
        # line end has one.
        self._writer = csv.writer(self._rows, lineterminator="\r\n")
        self._writer.writerow(_COLUMNS)

    def add(self, result: Result) -> None:
        """Write a result to both."""
        entry = result.to_json()
        self._lines.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._writer.writerow([_harmless(cell) for cell in _row(entry)])
        self._lines.flush()
        self._rows.flush()

    def close(self) -> None:
        """Close both."""
        self._lines.close()
        self._rows.close()


def _opened(path: Path) -> IO[str]:
    # A file name that is no UTF-8 comes as lone surrogates, whose escape is JSON's too.
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")


def _row(entry: dict[str, Any]) -> list[Any]:
    """Return an entry of predictions.jsonl as cells."""
    cells = [entry[name] for name in _PLAIN]
    for one in entry["top3"]:
        cells += [one["label"], one["probability"]]
    return cells + [""] * (len(_COLUMNS) - len(cells))


def _harmless(cell: Any) -> Any:
    return "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
