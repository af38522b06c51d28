"""What a person sees of the teaching: the classes, what was learned, and what keys do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hyperhive.common.wording import percent
from hyperhive.inference.teaching.states import ENOUGH_PICTURES, Progress
from hyperhive.inference.wording import pretty

NOTHING = "nothing"
"""The class of the background, when there is nothing in the square."""

_FIRST = "press n, and type what you show; 0 takes pictures of the empty background"
_KEYS = "hold a number: take pictures   n another class   backspace undo   q end"


@dataclass(frozen=True)
class ClassView:
    """A class: its key, which is empty beyond the ninth, and how many pictures it has."""

    key: str
    name: str
    count: int

    def __str__(self) -> str:
        """Return it in a few words: ``1 cup 12 of 20``, and from 20 on ``1 cup 34``."""
        lacking = f" of {ENOUGH_PICTURES}" if self.count < ENOUGH_PICTURES else ""
        return f"{self.key} {pretty(self.name)} {self.count}{lacking}".strip()


@dataclass(frozen=True)
class View:
    """All that is to be seen at a moment.

    Args:
        classes: in the order of their keys.
        chosen: the class whose pictures space takes; None before the first.
        typed: the line in which a name is typed; None if none is.
        message: what the last key has done, or nothing.
        has_taken: whether a picture was taken just now.
        progress: of the learning.
    """

    classes: tuple[ClassView, ...]
    chosen: str | None
    typed: str | None
    message: str
    has_taken: bool
    progress: Progress

    def lines(self) -> list[str]:
        """Return it as lines of text.

        They are the classes, the learning, its trials, whether it is enough, and the keys.
        """
        shown = [each for each in self.classes if each.count or each.name != NOTHING]
        classes = "   ".join(str(each) for each in shown)
        keys = self.typed or self.message or (_KEYS if len(self.classes) > 1 else _FIRST)
        progress = self.progress
        learning = (progress.state, progress.by_trial, progress.enough or "")
        return [classes or "no class yet", *learning, keys]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON, for the page."""
        progress = self.progress
        accuracies = [
            None if each is None else {"share": each, "text": percent(each)}
            for each in progress.accuracies
        ]
        return {
            "classes": [{**vars(each), "shown": pretty(each.name)} for each in self.classes],
            "enough": ENOUGH_PICTURES,
            "chosen": self.chosen,
            "typed": self.typed,
            "message": self.message,
            "has_taken": self.has_taken,
            "progress": progress.sentence,
            "trials": progress.trials,
            "accuracies": accuracies,
        }
