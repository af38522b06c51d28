"""A function that a program on this machine gives to its own workers, by value.

It travels through a pipe, never through the database. cloudpickle makes the pickle: it takes a
function of a notebook or of the program itself with all that the function needs.
"""

from __future__ import annotations

import importlib
import inspect
import io
import pickle
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Callable, Iterator

from hyperhive.common.errors import ObjectiveError, UsageError
from hyperhive.common.text import of_error
from hyperhive.worker.objectives.api import Objective
from hyperhive.worker.objectives.command import Command
from hyperhive.worker.objectives.function import FunctionObjective, arguments


@dataclass(frozen=True)
class Given:
    """A pickled function, and the name of the objective that it is."""

    name: str
    pickled: bytes

    @classmethod
    def of(cls, function: Callable[..., Any], name: str) -> Given:
        """Return a function for the workers of this machine.

        Raises ``ObjectiveError`` if it takes other arguments than an objective, or cannot be
        pickled, ``UsageError`` if cloudpickle is missing, and ``DeviceError`` for a
        ``hyperhive.command`` whose program is missing.
        """
        if not callable(function) or arguments(function) is None:
            raise ObjectiveError(
                f"objective {name} must be a function that takes (config, trial) or (config), and "
                f"{function!r:.80} is none"
            )
        if isinstance(function, Command):
            function.require_program()
        return cls(name, _pickled(function, name))

    def load(self) -> Objective:
        """Return the objective; raises ``ObjectiveError`` if the pickle cannot be loaded here."""
        try:
            function = pickle.loads(self.pickled)  # noqa: S301 - its program started this worker
        except Exception as error:
            raise ObjectiveError(
                f"objective {self.name} cannot be loaded in its worker: {of_error(error)}"
            ) from error
        return FunctionObjective(function)


def _pickled(function: Callable[..., Any], name: str) -> bytes:
    dumps = _cloudpickle()
    try:
        return dumps(function)
    except Exception as error:  # whatever the objects in it raise
        culprit = next(_culprits(function, dumps), "something that it uses")
        raise ObjectiveError(
            f"objective {name} cannot be given to its workers, because of {culprit} "
            f"({of_error(error)}): make that inside the function"
        ) from error


def _cloudpickle() -> Callable[[Any], bytes]:
    try:
        import cloudpickle
    except ModuleNotFoundError as error:
        raise UsageError(
            "a function of your own needs cloudpickle: pip install 'hyperhive[coordinator]'"
        ) from error

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
        """Pickles a module of a class of its own by name, as ``torch.classes`` is one."""

        def reducer_override(self, obj: Any) -> Any:
            """Return how an object is made again."""
            if isinstance(obj, ModuleType) and type(obj) is not ModuleType:
                name = obj.__name__
                if sys.modules.get(name) is obj:
                    return importlib.import_module, (name,)
            return super().reducer_override(obj)

    def dumps(value: Any) -> bytes:
        pickled = io.BytesIO()
        Pickler(pickled).dump(value)
        return pickled.getvalue()

    return dumps


def _culprits(function: Callable[..., Any], dumps: Callable[[Any], bytes]) -> Iterator[str]:
    """Yield the names of the variables of a function that cannot be pickled."""
    if not inspect.isfunction(function):
        return
    used = inspect.getclosurevars(function)
    for variable, value in {**used.globals, **used.nonlocals}.items():
        try:
            dumps(value)
        except Exception:
            yield variable
