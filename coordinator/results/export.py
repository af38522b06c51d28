"""A study's results out: its trials as CSV, or the whole study as JSON that can be imported."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Mapping

from hyperhive.common import files
from hyperhive.common.errors import OutputError
from hyperhive.common.text import printable
from hyperhive.coordinator.results.table import FIRST, LAST, STATUS, iso, rows
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial

VERSION = 1
"""Of the JSON: the value of its key ``hyperhive``."""

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet takes for a formula; the last four are the wide ones."""


def require_target(path: Path) -> None:
    """Raise ``OutputError`` if a file cannot be written there, before anything is read for it."""
    if path.exists() and not path.is_file():
        # Replacing it would do away with a folder, or with /dev/null.
        raise OutputError(f"{path} is no file: name one, or - for standard output")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is no folder: make it, or name another file")
    files.require_writable(path.parent, "the exported study", "name another file")


def as_csv(store: Store, study: str) -> bytes:
    """Return a study's trials as CSV (RFC 4180, UTF-8): see ``rows``.

    Workers wrote the texts: each is one line of printable characters, and one that a spreadsheet
    would compute as a formula begins with an apostrophe. Numbers are unchanged; a list is JSON.
    Raises ``NotFound``.
    """
    table = rows(store, study)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_cell(name) for name in (table[0] if table else (*FIRST, *LAST))])
    writer.writerows([_cell(value) for value in row.values()] for row in table)
    return out.getvalue().encode("utf-8")


def as_json(store: Store, study: str) -> bytes:
    """Return a study as JSON in ASCII, with all that ``exported.read`` needs to make it anew.

    Weights are not in it. A number that is not finite is null, as JSON has none; of a value of a
    type that JSON lacks, it has the text. Raises ``NotFound``.
    """
    stored = store.study(study)
    (summary,) = store.studies.summaries(study)
    contents = {
        "hyperhive": VERSION,
        "study": study,
        "spec": stored.spec,
        "created": summary.created,
        "notes": [{**note, "at": iso(note["at"])} for note in map(asdict, store.notes_of(study))],
        "trials": [],
    }
    begin, end = json.dumps(_plain(contents), indent=1).rsplit("]", 1)
    out = io.BytesIO(begin.encode("ascii"))
    out.seek(0, io.SEEK_END)
    # One by one: all together, as objects, they take ten times as much memory as their text.
    for number, trial in enumerate(store.trials.each(study)):
        text = json.dumps(_plain(_trial(trial)), indent=1).replace("\n", "\n  ")
        out.write((",\n  " if number else "\n  ").encode("ascii") + text.encode("ascii"))
    last = "\n ]" if out.tell() > len(begin) else "]"
    out.write(f"{last}{end}\n".encode("ascii"))
    return out.getvalue()


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "tid": trial.tid,
        "purpose": trial.purpose,
        "status": STATUS[trial.status],
        "config": trial.config,
        "vals": trial.vals,
        "result": trial.result if trial.status is Status.DONE else None,
        "error": trial.error if trial.status is Status.ERROR else None,
        "started": trial.book_time,
        "finished": trial.refresh_time if trial.is_final else None,
        "worker": trial.owner,
        "attempts": trial.attempts,
    }


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    if not isinstance(value, str):
        return json.dumps(_plain(value))
    shown = printable(value)
    return "'" + shown if shown.startswith(_FORMULA) else shown


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return iso(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
