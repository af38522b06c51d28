"""A study in: reads the JSON that ``as_json`` wrote. The file is anybody's."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.common.text import decoded, storable
from hyperhive.common.values import is_number
from hyperhive.coordinator.planning.plan import require_name
from hyperhive.coordinator.results.ended import Added, EndedTrial
from hyperhive.coordinator.results.export import VERSION
from hyperhive.coordinator.results.table import STATUS
from hyperhive.coordinator.spaces.search_space import parameters
from hyperhive.coordinator.study import Study
from hyperhive.store.encoding import LARGEST_RESULT, encoded
from hyperhive.store.errors import Unstorable
from hyperhive.store.notes import MOST_NOTES, NOTE_ID, Note
from hyperhive.store.trials.terms import PURPOSES, REFIT, TEACHER, ErrorKind, Status

LARGEST_FILE = 100 << 20
"""Bytes. In memory it takes up to 30 times as much."""

_LONGEST = 300
"""Characters of a message that quotes the file."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass(frozen=True)
class ExportedStudy:
    """An exported study that can be imported.

    ``trials`` are those that had ended, without refits and the teacher: these are there for their
    weights and answers, which no file has. ``unfinished`` and ``refits`` count those that are left
    out, the teacher with the refits.
    """

    study: Study
    trials: list[EndedTrial]
    notes: list[Note]
    unfinished: int
    refits: int


def read(path: Path, name: str | None = None) -> ExportedStudy:
    """Return the study that a file holds; raises ``UsageError``, with the file and the place.

    Args:
        path: of the file.
        name: of the study in place of its own.
    """
    if name is not None:
        require_name(name)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST_FILE:
        raise UsageError(f"{path} is no exported study: it has more than {LARGEST_FILE >> 20} MiB")
    try:
        contents = json.loads(decoded(data))
        _require_finite(contents, "")
        return _exported(contents, name)
    except (UsageError, Unstorable) as error:
        raise UsageError(f"{path}: {storable(str(error), _LONGEST)}") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, a number of 5,000 digits, "[[[[..."
        if path.suffix.lower() == ".csv":
            why = "a CSV lacks the search space: export the study with --json"
            raise UsageError(f"{path} cannot be imported: {why}") from error
        raise UsageError(f"{path} is no valid JSON: {error}") from error


def told(file: ExportedStudy, added: Added) -> str:
    """Return what became of an imported study's trials, as a clause."""
    counts = [(added.new, "imported"), (added.present, "there already")]
    if added.taken:
        counts.append((added.taken, "not imported, as other trials have their numbers"))
    if file.unfinished:
        counts.append((file.unfinished, "left out, as they had not ended"))
    if file.refits:
        counts.append((file.refits, "of a refit or teacher left out, as weights are not exported"))
    return "trials: " + ", ".join(f"{count} {what}" for count, what in counts)


def _exported(contents: Any, name: str | None) -> ExportedStudy:
    wrote_it = isinstance(contents, dict) and "hyperhive" in contents
    _require(wrote_it, "it is no study that `hyperhive study export --json` wrote")
    version = contents["hyperhive"]
    _require(
        version == VERSION,
        f"hyperhive is {version!r:.20}, and this hyperhive reads {VERSION}: use the one that wrote "
        "the file",
    )
    study = _study(name or contents.get("study"), _object(contents, "spec", ""))
    _require(isinstance(contents.get("trials"), list), "trials must be a list")
    entries = [_entry(entry, f"trials[{i}]") for i, entry in enumerate(contents["trials"])]
    numbers = Counter((entry["purpose"], entry["tid"]) for entry in entries)
    for i, entry in enumerate(entries):
        is_double = numbers[entry["purpose"], entry["tid"]] > 1
        _require(not is_double, f"trials[{i}]: another trial has the number {entry['tid']} too")
    ended = [(i, e) for i, e in enumerate(entries) if e["status"] in ("done", "failed")]
    labels = list(parameters(study.plan.space))
    read = [(i, _ended(entry, labels, f"trials[{i}]")) for i, entry in ended]
    for i, trial in read:
        trial.require_storable(f"trials[{i}]")
    trials = [trial for _, trial in read if trial.purpose not in (REFIT, TEACHER)]
    return ExportedStudy(
        study,
        trials,
        _notes(contents.get("notes", [])),
        len(entries) - len(ended),
        len(ended) - len(trials),
    )


def _study(name: Any, spec: Mapping[str, Any]) -> Study:
    """Return the study of a specification: only one that a coordinator can run."""
    for key in ("objective", "space", "trials", "max_attempts"):
        _require(key in spec, f"spec.{key} is missing")
    _require(isinstance(spec.get("known", []), list), "spec.known must be a list")
    if "dataset" in spec:
        dataset = _object(spec, "dataset", "spec")
        is_named = all(isinstance(dataset.get(key), str) for key in ("content_hash", "name"))
        _require(is_named, "spec.dataset must have content_hash and name, both text")
    encoded("spec", spec, LARGEST_RESULT)
    try:
        return Study.stored(name, spec)
    except UsageError as error:
        raise UsageError(f"study and spec: {error}") from error


def _entry(entry: Any, where: str) -> dict[str, Any]:
    """Return a trial in which the keys that every trial needs are right."""
    _require(isinstance(entry, dict), f"{where} must be an object")
    tid = entry.get("tid")
    is_tid = type(tid) is int and 0 <= tid < 2**53
    _require(is_tid, f"{where}.tid must be a whole number, 0 or more, below 2**53")
    for key, words in {"purpose": PURPOSES, "status": STATUS.values()}.items():
        is_known = entry.get(key) in list(words)
        _require(is_known, f"{where}.{key} must be one of {', '.join(words)}")
    vals = _object(entry, "vals", where)
    for label, value in vals.items():
        _require(is_number(value), f"{where}.vals.{label} must be a number")
    return {**entry, "config": _object(entry, "config", where)}


def _notes(entries: Any) -> list[Note]:
    """Return the notes; a file of an earlier version has none."""
    _require(isinstance(entries, list) and len(entries) <= MOST_NOTES, "notes must be a list")
    notes = []
    for i, entry in enumerate(entries):
        where = f"notes[{i}]"
        _require(isinstance(entry, dict), f"{where} must be an object")
        note_id, trial, at = entry.get("id"), entry.get("trial"), _time(entry, "at", where)
        is_id = isinstance(note_id, str) and NOTE_ID.fullmatch(note_id) is not None
        _require(is_id, f"{where}.id must be 8 to 32 letters or digits")
        is_trial = trial is None or (type(trial) is int and 0 <= trial < 2**53)
        _require(is_trial, f"{where}.trial must be a whole number, 0 or more, or null")
        for key in ("text", "by"):
            _require(isinstance(entry.get(key), str), f"{where}.{key} must be text")
        _require(at is not None, f"{where}.at is missing")
        if at is not None:
            notes.append(Note(str(note_id), trial, entry["text"], entry["by"], at))
    return notes


def _ended(entry: Mapping[str, Any], labels: list[str], where: str) -> EndedTrial:
    is_done = entry["status"] == STATUS[Status.DONE]
    result = _object(entry, "result", where) if is_done else None
    error = None if is_done else _object(entry, "error", where)
    if result is not None:
        loss = result.get("loss")
        _require(loss is None or is_number(loss), f"{where}.result.loss must be a number or null")
    if error is not None:
        kinds = [kind.value for kind in ErrorKind]
        has_kind = error.get("kind") in kinds
        _require(has_kind, f"{where}.error.kind must be one of {', '.join(kinds)}")
        _require(isinstance(error.get("message"), str), f"{where}.error.message must be text")
    vals = entry["vals"]
    for label in vals:
        _require(label in labels, f"{where}.vals.{label} is not in the search space of spec")
    if vals:  # a label without a value is one of a choice that went another way
        vals = {**dict.fromkeys(labels), **vals}
    worker = entry.get("worker")
    _require(worker is None or isinstance(worker, str), f"{where}.worker must be text or null")
    return EndedTrial(
        tid=entry["tid"],
        config=entry["config"],
        vals=vals,
        result=result,
        error=error,
        purpose=entry["purpose"],
        started=_time(entry, "started", where),
        finished=_time(entry, "finished", where),
        worker=worker,
    )


def _time(entry: Mapping[str, Any], key: str, where: str) -> datetime | None:
    value = entry.get(key)
    if value is None:
        return None
    rule = f"{where}.{key} must be a time in UTC such as 2024-05-31T09:15:00.000Z, or null"
    _require(isinstance(value, str) and _TIME.fullmatch(value) is not None, rule)
    try:
        at = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError as error:  # the 31st of February
        raise UsageError(rule) from error
    return at.replace(tzinfo=timezone.utc)


def _object(parent: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    _require(isinstance(parent.get(key), dict), f"{where}.{key}".lstrip(".") + " must be an object")
    return dict(parent[key])


def _require_finite(value: Any, where: str) -> None:
    """Require that no number is NaN or infinite: Python's parser reads such, though JSON has none.

    A number too large for a float is read as infinite too.
    """
    if isinstance(value, dict):
        for name, part in value.items():
            _require_finite(part, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _require_finite(part, f"{where}[{index}]")
    else:
        is_finite = not isinstance(value, float) or math.isfinite(value)
        _require(is_finite, f"{where} is no finite number: write null in its place")


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise UsageError(rule)
