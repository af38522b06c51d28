"""Kept pictures, one after the other, and what each key does with them; without any screen."""

from __future__ import annotations

import collections
import enum
from pathlib import Path
from typing import Callable, NamedTuple

from hyperhive.common import files
from hyperhive.common.errors import OutputError, UsageError
from hyperhive.common.wording import counted
from hyperhive.inference.collecting import kept
from hyperhive.inference.collecting.classes import Classes, hindrance
from hyperhive.inference.collecting.kept import Kept
from hyperhive.inference.collecting.name_field import BACKSPACE, ESCAPE, NameField
from hyperhive.inference.wording import pretty

DISCARDED = ".discarded"
"""The hidden folder where discarded pictures wait, so that they can be brought back."""

KEYS = 9
"""Classes that have a key."""

NEW, SKIP, DISCARD, QUIT = "n", "s", "x", "q"


class Act(enum.Enum):
    """What was done with a picture."""

    LABEL = "labelled"
    DISCARD = "discarded"
    SKIP = "skipped"


class _Step(NamedTuple):
    act: Act
    path: Path
    """Where the picture is now."""
    name: str = ""
    """Its class, if it was labelled."""


class Sorting:
    """Goes through the pictures of a folder; each key does one thing, at once and for good.

    A labelled picture is moved into the folder of its class, under its name, so that its series is
    still known. Whatever ends the process, each picture is in one of the folders. Pictures that
    were skipped come again the next time.

    Args:
        folder: the kept pictures.
        into: the folder with the class folders; it is made with the first class.

    Raises ``UsageError`` if the one does not exist, or the other has no place for class folders;
    ``OutputError`` if a picture cannot be moved.
    """

    def __init__(self, folder: Path, into: Path) -> None:
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {folder}: predict-cam --keep unknown --keep-in {folder} "
                "makes it, if something is unknown"
            )
        self.classes = Classes(into)
        self._folder = folder
        self._waiting = kept.waiting(folder)
        self._finish_moves()
        self._steps: list[_Step] = []
        self.names = _names(self.classes, self._waiting)
        self.name_field = NameField()
        self.message = ""

    @property
    def current(self) -> Kept | None:
        """The picture that is asked about; None if that was the last one."""
        done = len(self._steps)
        return self._waiting[done] if done < len(self._waiting) else None

    @property
    def place(self) -> str:
        """Which picture this is, of how many."""
        return f"{min(len(self._steps) + 1, len(self._waiting))} of {len(self._waiting)}"

    def press(self, key: str) -> bool:
        """Do what a key asks for; return False if it ends the work. Raises ``OutputError``."""
        self.message = ""
        if self.name_field.text is not None:
            name = self.name_field.press(key)
            if name is not None and self.current is not None:
                self._label(self.current, name)
            return True
        key = key.lower()
        if key in (QUIT, ESCAPE):
            return False
        if key in BACKSPACE:
            self._undo()
        elif self.current is None:
            self.message = "that was the last one"
        else:
            self._act(key, self.current)
        return True

    def conclude(self) -> str:
        """Delete what was discarded; return what was done. Raises ``OutputError``."""
        discarded = self._folder / DISCARDED
        if discarded.is_dir():
            for picture in kept.pictures(discarded):
                self._moving(picture.unlink)
        left = counted(len(kept.pictures(self._folder)), "picture")
        return f"{self._done()}; {left} left in {self._folder}"

    def _done(self) -> str:
        names = collections.Counter(step.name for step in self._steps if step.act is Act.LABEL)
        parts = ", ".join(f"{count:,} {pretty(name)}" for name, count in sorted(names.items()))
        acts = collections.Counter(step.act for step in self._steps)
        labelled = (
            counted(acts[Act.LABEL], "picture") + f" labelled{f' ({parts})' if parts else ''}"
        )
        others = (f"{acts[act]:,} {act.value}" for act in (Act.DISCARD, Act.SKIP) if acts[act])
        return ", ".join([labelled, *others])

    def _act(self, key: str, current: Kept) -> None:
        if key == NEW:
            self.name_field.open()
        elif key in (" ", SKIP):
            self._steps.append(_Step(Act.SKIP, current.path))
        elif key == DISCARD:
            self._move(current, Act.DISCARD, current.path.parent / DISCARDED)
        elif key.isdigit() and 0 < int(key) <= len(self.names[:KEYS]):
            self._label(current, self.names[int(key) - 1])
        elif key.isprintable():
            self.message = f"{key} is no key here"

    def _label(self, current: Kept, text: str) -> None:
        try:
            name = self.classes.called(text)
        except UsageError as error:
            self.message = str(error)
            return
        if name not in self.names:
            self.names.append(name)
        self._move(current, Act.LABEL, self.classes.folder(name), name)

    def _move(self, current: Kept, act: Act, folder: Path, name: str = "") -> None:
        path = _free(folder / current.path.name)
        if self._moving(lambda: files.move(current.path, path)):
            self._steps.append(_Step(act, path, name))
            self.message = f"{act.value}{f': {pretty(name)}' if name else ''}"
        else:
            del self._waiting[len(self._steps)]
            self.message = f"{current.path} is gone"

    def _undo(self) -> None:
        if not self._steps:
            self.message = "there is nothing to undo"
            return
        step = self._steps.pop()
        before = self._waiting[len(self._steps)].path
        if step.act is not Act.SKIP and not self._moving(lambda: files.move(step.path, before)):
            del self._waiting[len(self._steps)]
            self.message = f"{step.path} is gone"
        else:
            self.message = f"undone: it was {step.act.value}"

    def _moving(self, move: Callable[[], object]) -> bool:
        """Move something; return False if it has gone in the meantime."""
        try:
            move()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise OutputError(
                f"a picture of {self._folder} cannot be moved: {error.strerror}; it is where it was"
            ) from error
        return True

    def _finish_moves(self) -> None:
        """Remove what a killed process had already moved to another disk."""
        for each in list(self._waiting):
            for name in self.classes:
                moved = self.classes.folder(name) / each.path.name
                if moved.is_file() and moved.read_bytes() == each.path.read_bytes():
                    each.path.unlink()
                    self._waiting.remove(each)
                    break


def _names(classes: Classes, waiting: list[Kept]) -> list[str]:
    """Return the classes that get keys: those that have folders, then those of the answers."""
    names = list(classes)
    taken = {name.casefold() for name in names}
    told = collections.Counter(name for each in waiting for name, _ in each.top)
    for name, _ in sorted(told.items(), key=lambda item: (-item[1], item[0])):
        if name.casefold() not in taken and hindrance(name) is None:
            names.append(name)
            taken.add(name.casefold())
    return names


def _free(path: Path) -> Path:
    """Return a path that no file has: its own if possible."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
