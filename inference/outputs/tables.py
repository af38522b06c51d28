"""Results as rows of a CSV file and as lines of JSON; both files are readable at any time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import IO, Any

from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import TOP

JSONL = "predictions.jsonl"
CSV = "predictions.csv"
_PLAIN = ["frame", "source", "time", "label", "known", "probability", "reason"]
_TOP = [name for rank in range(1, TOP + 1) for name in (f"label{rank}", f"probability{rank}")]
_BOX = ["x", "y", "width", "height"]
_COLUMNS = _PLAIN + _TOP + _BOX
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Tables:
    """Writes each result to predictions.jsonl and predictions.csv at once.

    A spreadsheet takes a text that begins with one of ``= + - @``, a tab or a carriage return for a
    formula. The CSV has an apostrophe in front of it, as OWASP advises (CSV Injection). The JSON
    has every text as it is.

    Args:
        directory: the folder, which exists.
    """

    def __init__(self, directory: Path) -> None:
        self._lines = _opened(directory / JSONL)
        self._rows = _opened(directory / CSV)
        # RFC 4180's line ends. Also, Python 3.8 quotes a carriage return in a text only if the line
        # end has one.
        self._writer = csv.writer(self._rows, lineterminator="\r\n")
        self._writer.writerow(_COLUMNS)

    def add(self, result: Result) -> None:
        """Write a result to both files."""
        for entry in result.lines():
            self._lines.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._writer.writerow([_harmless(cell) for cell in _row(entry)])
        self._lines.flush()
        self._rows.flush()

    def close(self) -> None:
        """Close both files."""
        self._lines.close()
        self._rows.close()


def _opened(path: Path) -> IO[str]:
    # A file name that is not UTF-8 comes as lone surrogates, whose escape is JSON's too.
    return path.open("w", encoding="utf-8", errors="backslashreplace", newline="")


def _row(entry: dict[str, Any]) -> list[Any]:
    """Return the cells of an entry of predictions.jsonl."""
    cells = [entry[name] for name in _PLAIN]
    for ranked in entry["top3"]:
        cells += [ranked["label"], ranked["probability"]]
    cells += [""] * (len(_PLAIN) + len(_TOP) - len(cells))
    return cells + (entry["box"] or [""] * len(_BOX))


def _harmless(cell: Any) -> Any:
    return "'" + cell if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
