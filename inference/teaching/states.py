"""What the process that learns tells predict-cam: how far it is, and each better model."""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Mapping

from hyperhive.common.wording import counted, percent
from hyperhive.model.card import Card

WAITING, LEARNING, DONE, FAILED = "waiting", "learning", "done", "failed"

ENOUGH_PICTURES = 20
"""Pictures of a class from which on it is learned."""


@dataclass(frozen=True)
class Progress:
    """How far the learning is.

    Args:
        phase: ``waiting`` for pictures, ``learning``, ``done`` until other pictures come, or
            ``failed``.
        counts: how many pictures each class folder has.
        version: of the model that is learned, or was learned last, from 1; 0 before the first.
        trials: how many configurations this version tries.
        accuracies: validation accuracy, 0 to 1, of each trial that has ended; None without one.
        enough: a sentence that says whether more pictures will help, once that was measured.
        problem: a sentence about what is wrong, until the pictures change.
    """

    phase: str = WAITING
    counts: Mapping[str, int] = field(default_factory=dict)
    version: int = 0
    trials: int = 0
    accuracies: tuple[float | None, ...] = ()
    enough: str | None = None
    problem: str | None = None

    @property
    def lacking(self) -> dict[str, int]:
        """How many more pictures each class needs that has too few to be learned."""
        missing = {name: ENOUGH_PICTURES - count for name, count in self.counts.items()}
        return {name: count for name, count in missing.items() if count > 0}

    @property
    def best(self) -> float | None:
        """The best validation accuracy of this version so far, 0 to 1."""
        return max((each for each in self.accuracies if each is not None), default=None)

    @property
    def by_trial(self) -> str:
        """The validation accuracy of each trial of this version, in one line; empty before."""
        each = ["-" if accuracy is None else percent(accuracy) for accuracy in self.accuracies]
        return f"accuracy by trial: {', '.join(each)}" if each else ""

    @property
    def state(self) -> str:
        """How far it is in one line for a person."""
        if self.problem is not None:
            return self.problem
        if self.phase == WAITING:
            return self._waiting()
        best = "" if self.best is None else f", best accuracy {percent(self.best)}"
        if self.phase == LEARNING:
            at = min(len(self.accuracies) + 1, self.trials)
            return f"version {self.version}: trial {at} of {self.trials}{best}"
        return f"version {self.version} is learned{best}"

    @property
    def sentence(self) -> str:
        """The same, and whether the pictures are enough."""
        if self.enough is None or self.problem is not None:
            return self.state
        return f"{self.state}; {self.enough}"

    def _waiting(self) -> str:
        each = [f"{counted(count, 'more picture')} of {n}" for n, count in self.lacking.items()]
        missing = max(0, 2 - len(self.counts))
        if missing:
            each.append("a second class" if missing == 1 else "two classes")
        return "waiting for " + (" and ".join(each) or "the last pictures")


@dataclass(frozen=True)
class Learned:
    """A model of a version: its weights as safetensors, and its card."""

    packed: bytes
    card: Card
    version: int


@dataclass(frozen=True)
class Problem:
    """Why the process that learns ends."""

    sentence: str


def line_of(message: Progress | Learned | Problem) -> str:
    """Return a message as one line of JSON."""
    values: dict[str, Any] = dict(vars(message))
    if isinstance(message, Learned):
        values["packed"] = base64.b64encode(message.packed).decode()
        values["card"] = message.card.to_json()
    return json.dumps({"kind": type(message).__name__, **values}) + "\n"


def message_of(line: str) -> Progress | Learned | Problem:
    """Return the message of a line that ``line_of`` has made."""
    values = json.loads(line)
    kind = values.pop("kind")
    if kind == Problem.__name__:
        return Problem(**values)
    if kind == Learned.__name__:
        packed = base64.b64decode(values.pop("packed"))
        return Learned(packed=packed, card=Card.from_json(values.pop("card")), **values)
    progress = Progress(**values)
    return dataclasses.replace(progress, accuracies=tuple(progress.accuracies))
