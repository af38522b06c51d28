"""Where this machine's mongod executable is, or how to get one."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from pathlib import Path

from hyperhive.store.errors import NoServerBinary


def find_mongod(given: str | None = None) -> Path:
    """Return a mongod executable: the one given, the one on PATH, or the ``mongod`` extra's.

    Raises ``NoServerBinary``.
    """
    if given is not None:
        executable = shutil.which(given)
        if executable is None:
            raise NoServerBinary(f"there is no executable at {given}: check the path in --mongod")
        return Path(executable)
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    # The wheels of the extra share the package name fiftyone with a namespace of their own.
    package = importlib.util.find_spec("fiftyone")
    for folder in (package.submodule_search_locations or []) if package else []:
        for name in ("mongod", "mongod.exe"):
            binary = Path(folder) / "db" / "bin" / name
            if binary.is_file():
                return binary
    raise NoServerBinary(_advice())


def _advice() -> str:
    """Return how to get a mongod for this system."""
    elsewhere = "the address of a server that runs elsewhere with --mongo URI"
    system, machine = platform.system(), platform.machine()
    if system == "Linux" and machine != "x86_64":  # the extra has none for it
        return (
            f"no mongod was found, and pip installs none on {system} {machine}: install MongoDB's "
            "own package (https://www.mongodb.com/docs/manual/installation), or run its image in "
            f"Docker as compose.yaml does, and pass --mongod PATH, or {elsewhere}"
        )
    return (
        "no mongod was found: pip install 'hyperhive[mongod]', or pass the path of one with "
        f"--mongod PATH, or {elsewhere}"
    )
