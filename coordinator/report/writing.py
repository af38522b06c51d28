"""Writes reports: for ``hyperhive report``, and of each study at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

from hyperhive.common import files
from hyperhive.coordinator.figures.study import figures
from hyperhive.coordinator.planning.plan import study_name
from hyperhive.coordinator.report.page import page
from hyperhive.store.errors import StoreError
from hyperhive.store.store import Store

REPORT_FILE = "report.html"
"""Its name in the folder of a study's model."""


def report(store: Store, names: Sequence[str]) -> bytes:
    """Return the report of these studies, side by side if they are several, as HTML.

    Raises ``NotFound``.
    """
    return page(figures(store, list(dict.fromkeys(names))))


def usual_file(names: Sequence[str]) -> Path:
    """Return where a report goes if nobody says where: ``simpsons-report.html``, here."""
    return Path(study_name("-".join(names), suffix="-report") + ".html")


def keep_report(store: Store, name: str, folder: Path) -> str:
    """Write the report of a study that has ended beside its model; return the file's path.

    The study has its result. If the file cannot be written, that is what is returned, with what
    the user can do.
    """
    path = folder / REPORT_FILE
    again = f"`hyperhive report {name} --output FILE` writes it"
    try:
        data = report(store, [name])
        folder.mkdir(parents=True, exist_ok=True)
        files.write(path, data)
    except OSError as error:
        return f"none: {path} cannot be written ({error.strerror}); {again} elsewhere"
    except StoreError as error:
        return f"none: {error}; {again} later"
    return str(path)
