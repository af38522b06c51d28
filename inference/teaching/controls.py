"""What keys and buttons do while things are taught, without any screen."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from typing import Sequence

from hyperhive.common.errors import OutputError, UsageError
from hyperhive.inference.collecting.collection import Added, Collection
from hyperhive.inference.collecting.name_field import BACKSPACE, ESCAPE, NameField
from hyperhive.inference.labelling import Result
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.teaching.states import Progress
from hyperhive.inference.teaching.view import NOTHING, ClassView, View
from hyperhive.inference.wording import pretty

NEW, AGAIN, QUIT = "n", " ", "q"
KEYS = "123456789"
"""A class has the key of its place, as far as they go; ``NOTHING`` has 0."""

_PAUSE_S = 2.0
"""Pictures of a class that are further apart are of two series."""
_FLASH = 5
"""Frames in which a picture that was taken is shown to be taken."""
_MESSAGE = 150
"""Frames for which a message is shown, unless a key is pressed: five seconds of a camera."""
_FRAMES_EACH = 30
"""Frames within which a burst has to find a picture unlike the last ones: a second of a camera."""


class Controls:
    """Takes pictures for classes as a person asks for them.

    A key of a class takes a picture of what is in the square, or a burst of them, from the next
    frames on. If the model that answers knows this class, and says something else, the picture is
    a correction. Holding the key takes more, because a keyboard repeats it.

    Args:
        collection: the class folders.
        burst: how many pictures a key takes.
    """

    def __init__(self, collection: Collection, burst: int = 1) -> None:
        self.name_field = NameField()
        self._collection = collection
        self._burst = burst
        self._names: list[str] = [name for name in collection.classes if name != NOTHING]
        self._chosen: str | None = None
        self._wanted = 0
        self._frames = 0
        self._series = ("", 0.0)
        self._flash = 0
        self._message, self._shown = "", 0
        self.remarks: deque[str] = deque()
        """Sentences about what could not be written, for a log; the reader removes them."""

    @property
    def is_typing(self) -> bool:
        """Whether the next keys are letters of a class's name."""
        return self.name_field.text is not None

    def press(self, key: str) -> bool:
        """Do what a key asks for; return False if it ends the work."""
        if self.is_typing:
            name = self.name_field.press(key)
            if name is not None:
                self.choose(name)
            return True
        self._say("")
        key = key.lower()
        if key in (QUIT, ESCAPE):
            return False
        if key == NEW:
            self.name_field.open()
        elif key in BACKSPACE:
            self.undo()
        elif key == AGAIN or key.isdigit():
            name = self._chosen if key == AGAIN else self._by_key().get(key)
            if name is None:
                self._say("press n, and type what you show")
            else:
                self.take(name)
        return True

    def choose(self, text: str) -> None:
        """Choose the class that a person names; a new one gets a key."""
        try:
            name = self._collection.called(text)
        except UsageError as error:
            self._say(str(error))
            return
        if name not in self._names and name != NOTHING:
            self._names.append(name)
        self._chosen, self._wanted = name, 0
        keys = {each: key for key, each in self._by_key().items()}
        self._say(f"{pretty(name)}: hold {keys.get(name, 'space')} to take pictures")

    def take(self, name: str) -> None:
        """Take pictures of a class from the next frames on."""
        self.choose(name)
        self._say("")
        self._wanted, self._frames = self._burst, 0

    def see(self, result: Result, known: Sequence[str]) -> None:
        """Take a picture of this frame, if one is wanted.

        Args:
            result: the frame, and what the model says of it.
            known: the classes of the model that answers; none without one.
        """
        self._flash = max(0, self._flash - 1)
        self._shown += 1
        crop, name = result.seen, self._chosen
        if not self._wanted or crop is None or name is None:
            return
        now = time.monotonic()
        before, last = self._series
        if name != before or now - last > _PAUSE_S:
            self._collection.begin_series()
        self._series = (name, now)
        self._frames += 1
        try:
            added = self._collection.add(name, crop, _is_wrong(result.prediction, name, known))
        except OutputError as error:
            self._fail(error)
            return
        if added is Added.TAKEN:
            self._wanted -= 1
            self._frames = 0
            self._flash = _FLASH
            self._say("")
        elif added is Added.BUSY:
            self._say("the disk is slower than the pictures: a picture was skipped")
        elif self._burst == 1 or self._frames >= _FRAMES_EACH:
            self._say("it looks like a picture that you have: turn it, or move it")
            self._wanted = 0

    def view(self, progress: Progress) -> View:
        """Return what a person sees of all this now, and of the learning."""
        counts = self._collection.counts()
        message = self._message if self._shown < _MESSAGE else ""
        keyed = [*self._by_key().items(), *(("", name) for name in self._names[len(KEYS) :])]
        classes = tuple(ClassView(key, name, counts.get(name, 0)) for key, name in keyed)
        shown = dataclasses.replace(progress, counts=counts)
        return View(classes, self._chosen, self.name_field.line, message, self._flash > 0, shown)

    def undo(self) -> None:
        """Remove the last picture that was taken."""
        self._wanted = 0
        try:
            name = self._collection.undo()
        except OutputError as error:
            self._fail(error)
            return
        if name is None:
            self._say("there is nothing to undo")
        else:
            self._say(f"undone: the last picture of {pretty(name)} is gone")

    def _say(self, message: str) -> None:
        self._message, self._shown = message, 0

    def _fail(self, error: OutputError) -> None:
        self._wanted = 0
        self._say(str(error))
        self.remarks.append(str(error))

    def _by_key(self) -> dict[str, str]:
        """Return the classes that have keys."""
        return {**dict(zip(KEYS, self._names)), "0": NOTHING}


def _is_wrong(prediction: Prediction, name: str, known: Sequence[str]) -> bool:
    return name in known and prediction.label != name
