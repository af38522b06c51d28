"""Notes as people write, list and remove them."""

from __future__ import annotations

import functools
from typing import Iterable

from hyperhive.common.errors import UsageError
from hyperhive.common.person import this_person
from hyperhive.common.text import printable, printable_lines
from hyperhive.coordinator.api.connection import patiently
from hyperhive.coordinator.changes.ending import trial_of
from hyperhive.store.errors import NotFound
from hyperhive.store.notes import LONGEST_NOTE, MOST_NOTES, Note, new_note_id
from hyperhive.store.store import Store


def require_writable(store: Store, name: str, words: str, trial: int | None) -> None:
    """Raise unless a note can be written: ``NotFound``, or ``UsageError`` for an empty or long one.

    The study may also be an experiment of hyperopt's, but none of its jobs can have a note.
    """
    if trial is not None:
        trial_of(store, name, trial)
    elif not store.is_experiment(name):
        store.study(name)
    if not words.strip():
        raise UsageError("the note is empty: write what is to be kept")
    if len(words) > LONGEST_NOTE:
        raise UsageError(
            f"the note has {len(words)} characters: write at most {LONGEST_NOTE:,}, or several"
        )


def write(
    store: Store, name: str, words: str, trial: int | None = None, note_id: str | None = None
) -> str:
    """Keep a note; return that in a sentence.

    Args:
        store: where the study is.
        name: of the study.
        words: the note.
        trial: the number of the trial that it is about; None for the study.
        note_id: from ``new_note_id``: it is kept once, however often it is written.

    Raises what ``require_writable`` does, and ``UsageError`` if the study has too many.
    """
    require_writable(store, name, words, trial)
    note_id = note_id or new_note_id()
    notes = patiently(lambda: store.notes.of(name))
    if len(notes) >= MOST_NOTES and all(note.id != note_id for note in notes):
        raise UsageError(f"study {name} has {MOST_NOTES:,} notes: remove one with --remove first")
    add = functools.partial(store.notes.add, name, note_id, words.strip(), this_person(), trial)
    patiently(add)
    if not store.is_experiment(name) and store.studies.get(name) is None:
        store.delete_notes(name)
        raise NotFound(f"study {name!r} was deleted meanwhile, and its notes with it")
    return f"note {note_id} kept on {_subject(name, trial)}"


def bring(store: Store, name: str, notes: Iterable[Note]) -> None:
    """Keep notes that were written elsewhere; it can be repeated."""
    for note in notes:
        store.notes.add(name, note.id, note.text, note.by, note.trial, note.at)


def remove(store: Store, name: str, note_id: str) -> str:
    """Remove a note; return that in a sentence. Raises ``NotFound``."""
    if not store.notes.remove(name, note_id):
        raise NotFound(
            f"study {name} has no note {note_id}: `hyperhive study note {name}` lists those that "
            "it has"
        )
    return f"note {note_id} of study {name} removed"


def lines(store: Store, name: str, trial: int | None = None) -> list[str]:
    """Return a study's notes as text, oldest first, or those on one trial. Raises ``NotFound``."""
    if not store.is_experiment(name):
        store.study(name)
    found = [note for note in store.notes.of(name) if trial in (None, note.trial)]
    if not found:
        return [f"no note on {_subject(name, trial)}"]
    return [_line(note) for note in found]


def _subject(name: str, trial: int | None) -> str:
    return f"study {name}" if trial is None else f"trial {trial} of study {name}"


def _line(note: Note) -> str:
    about = "" if note.trial is None else f"trial {note.trial}: "
    when = note.at.strftime("%Y-%m-%d %H:%M UTC")
    words = printable_lines(note.text).replace("\n", "\n    ")
    return f"{printable(note.id)}  {when}  {printable(note.by)}  {about}{words}"
