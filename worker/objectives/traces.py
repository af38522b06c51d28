"""Where an error arose: for the person who wrote the function that raised it."""

from __future__ import annotations

import os
import traceback
from types import FrameType, TracebackType
from typing import Iterator

from hyperhive.common.errors import HyperhiveError
from hyperhive.common.text import of_error, storable
from hyperhive.store.trials.updates import LONGEST_MESSAGE

_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")
_MADE = ("<frozen ", "<string>")
"""How the names of files begin that do not exist: Python's own, and ``__init__`` of a dataclass."""
_PACKAGES = ("site-packages", "dist-packages")


def in_words(error: BaseException) -> str:
    """Return an error as the store takes it: ``KeyError: 'lr' (boost.py, line 13, in train)``.

    The place is the innermost one in a person's own code; in a library if it never was in such
    code. An error of ours says all in its sentence.
    """
    if isinstance(error, HyperhiveError):
        return storable(str(error), LONGEST_MESSAGE)
    place = storable(_place(error), LONGEST_MESSAGE // 2)
    return storable(of_error(error), LONGEST_MESSAGE - len(place)) + place


def traceback_of(error: BaseException) -> str:
    """Return an error's traceback for the log; it begins in the objective.

    Most of a text that quotes its data is left out.
    """
    for each in _chain(error):
        each.with_traceback(_from_objective(each.__traceback__))
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(storable(line, LONGEST_MESSAGE) for line in lines).rstrip()


def _place(error: BaseException) -> str:
    raised = [list(traceback.walk_tb(each.__traceback__)) for each in _chain(error)]
    own = [at for frames in raised for at in frames[::-1] if _is_own(at[0])]
    for frame, line in own[:1] or raised[0][-1:]:
        code = frame.f_code
        return f" ({os.path.basename(code.co_filename)}, line {line}, in {code.co_name})"
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, the one that it was raised from or after, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _from_objective(found: TracebackType | None) -> TracebackType | None:
    while found is not None and _is_ours(found.tb_frame):
        found = found.tb_next
    return found


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("hyperhive.")


def _is_own(frame: FrameType) -> bool:
    """Return whether a frame is of a person's own code: not of ours, nor of a library."""
    file = frame.f_code.co_filename
    is_package = any(folder in file.replace(os.sep, "/").split("/") for folder in _PACKAGES)
    is_library = is_package or file.startswith((_LIBRARY, *_MADE))
    return not (is_library or _is_ours(frame))
