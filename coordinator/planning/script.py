"""A study in a Python file: its function is the objective, and its variable ``space`` the space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hyperhive.common.errors import ObjectiveError, UsageError
from hyperhive.coordinator.spaces.python_space import from_python
from hyperhive.worker.objectives.files import NO_OBJECTIVE, functions, imported
from hyperhive.worker.objectives.function import arguments


def is_script(path: Path) -> bool:
    """Return whether a study is in a Python file: ``digits.py``, or ``digits.py:train``."""
    return split(path)[0].suffix == ".py"


def read_script(path: Path) -> dict[str, Any]:
    """Return the fields of a ``Plan`` that a Python file sets: its objective and its space.

    ``if __name__ == "__main__":`` in it does not run. Raises ``UsageError``.
    """
    file, chosen = split(path)
    if not file.is_file():
        raise UsageError(f"study file {file} cannot be read: there is no such file")
    try:
        module = imported(file)
        return {"objective": _objective(file, module, chosen), "space": _space(module)}
    except (ObjectiveError, UsageError) as error:
        raise UsageError(f"study file {file}: {error}") from error


def split(path: Path) -> tuple[Path, str | None]:
    """Return the file of ``digits.py:train``, and the function; None for the only one there is."""
    file, colon, function = str(path).rpartition(":")
    return (Path(file), function) if colon and file.endswith(".py") else (path, None)


def _objective(file: Path, module: Any, chosen: str | None) -> str:
    found = functions(module)
    if chosen is None:
        # A helper may have one argument too; what takes a trial is an objective.
        with_trial = [name for name, value in found.items() if arguments(value) == 2]
        likely = with_trial or list(found)
        chosen = likely[0] if len(likely) == 1 else None
    if not found:
        raise UsageError(NO_OBJECTIVE)
    if chosen not in found:
        names = ", ".join(f"{file.name}:{name}" for name in found)
        reason = (
            "several functions could be the objective" if chosen is None else "no such function"
        )
        raise UsageError(f"{reason}: name one of {names}")
    return f"{file.name}:{chosen}"


def _space(module: Any) -> Any:
    space = getattr(module, "space", None)
    if space is None:
        raise UsageError(
            "it has no variable space: write one outside of functions and of `if __name__ == ...`, "
            'as in space = {"lr": hp.loguniform("lr", -9, -2)}'
        )
    return from_python(space)
