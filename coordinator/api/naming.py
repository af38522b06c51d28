"""What a function given from Python is called, in the store and by people."""

from __future__ import annotations

import inspect
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Mapping

from hyperhive.coordinator.planning.plan import study_name
from hyperhive.store.trials.terms import HYPEROPT, LENET5

_ASKED = "train"
"""The name of a function that has none of its own."""


def objective_name(function: Any) -> str:
    """Return the name of the objective that a function is: ``digits.py:train``, else ``train``.

    A text is a name already.

    The first is what a worker with ``--objectives digits.py`` calls it. A function of a notebook or
    a REPL has no file, and a lambda or an inner function no name in its file.
    """
    if isinstance(function, str):
        return function
    file, name = _file(function), _name(function)
    if file is not None and name is not None:
        return f"{file.name}:{name}"
    own = name or str(getattr(function, "__name__", _ASKED))
    taken = not own.isidentifier() or own in (HYPEROPT, LENET5)
    return _ASKED if taken else own


def given_name(function: Any) -> str:
    """Return the name of a function that only the workers get that its program starts.

    It is not what a worker with ``--objectives`` calls a function: such a worker has a copy of the
    file, which may be another version.
    """
    name = objective_name(function)
    if isinstance(function, str):
        return name
    file, _, own = name.rpartition(":")
    return f"{Path(file).stem or 'python'}:{own}"


def fresh_name(objective: str, data: str | Path | Mapping[str, Any] | None = None) -> str:
    """Return a name for a new study that no other has: ``digits-20260131-174501-3fa2``.

    It begins with the name of the objective's file, or of the images.
    """
    file, _, function = objective.rpartition(":")
    images = data.get("data", data.get("name", "")) if isinstance(data, Mapping) else data
    called = Path(images).resolve().stem if images is not None else Path(file).stem or function
    moment = time.strftime("%Y%m%d-%H%M%S")
    return study_name(called, suffix=f"-{moment}-{uuid.uuid4().hex[:4]}")


def _file(function: Any) -> Path | None:
    """Return the Python file that defines a function; None for one of a notebook or a REPL."""
    if inspect.isfunction(function):
        file = function.__code__.co_filename
        module = sys.modules.get(function.__module__)
    else:  # a hyperhive.command has no code of its own: it stands in the program, or nowhere known
        module = sys.modules["__main__"]
        file = str(getattr(module, "__file__", None))
    # IPython writes cells into files while it debugs.
    is_in_a_file = getattr(module, "__file__", None) is not None
    path = Path(file)
    return path if is_in_a_file and path.suffix == ".py" and path.is_file() else None


def _name(function: Any) -> str | None:
    """Return the name under which a function is found in its file, None if it is not."""
    if inspect.isfunction(function):
        name = function.__qualname__
        return name if name.isidentifier() else None
    program = vars(sys.modules["__main__"])
    return next((name for name, value in program.items() if value is function), None)
