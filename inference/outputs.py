"""What predict-cam leaves in its output folder."""

import contextlib
import json
from pathlib import Path
from typing import IO, Iterator, List, Optional, Set

from PIL import Image

from inference.contact_sheet import ContactSheet
from inference.errors import OutputError
from inference.labelling import Result
from inference.overlay import annotate

ANNOTATED = "annotated"
SHEET = "contact_sheet.png"
JSONL = "predictions.jsonl"


class Outputs:
    """Writes results as they come: annotated pictures, JSON lines, and at the end a contact sheet.

    Use it as a context manager: however the series ends, what came until then is kept. Files of an
    earlier series are replaced where they have the same name. Raises ``OutputError`` where the
    folder cannot be written to.

    Args:
        directory: the output folder; it is made with the first result.
        title: of the contact sheet.
        jsonl: whether to write predictions.jsonl.
    """

    def __init__(self, directory: Path, title: str, jsonl: bool) -> None:
        self._directory = directory
        self._title = title
        self._sheet = ContactSheet()
        self._names: Set[str] = set()
        self._jsonl = jsonl
        self._lines: Optional[IO[str]] = None

    def add(self, result: Result) -> Image.Image:
        """Write a result; return its annotated picture."""
        picture = annotate(result.frame.image, result.prediction, result.agrees)
        with self._writing():
            if not self._names:
                self._open()
            path = self._directory / ANNOTATED / (self._free_name(result.frame.name) + ".jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Colours at full resolution: at half of it, red letters and square pixels smear.
            picture.save(path, quality=90, subsampling=0)
            if self._lines is not None:
                self._lines.write(json.dumps(result.to_json(), ensure_ascii=False) + "\n")
                self._lines.flush()
        self._sheet.add(result)
        return picture

    def written(self) -> List[Path]:
        """Return what there is to look at, once closed: nothing if nothing was added."""
        if not self._names:
            return []
        names = [ANNOTATED, SHEET] + ([JSONL] if self._lines else [])
        return [self._directory / name for name in names]

    def close(self) -> None:
        """Write the contact sheet, if there is something on it."""
        with self._writing():
            if self._lines is not None:
                self._lines.close()
            if self._names:
                self._sheet.draw(self._title).save(self._directory / SHEET)

    def __enter__(self) -> "Outputs":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        """Make the folder, with the first result: a camera that is not there leaves no folder."""
        (self._directory / ANNOTATED).mkdir(parents=True, exist_ok=True)
        if self._jsonl:
            # A file name that is no UTF-8 comes as lone surrogates, whose escape is JSON's too.
            self._lines = (self._directory / JSONL).open(
                "w", encoding="utf-8", errors="backslashreplace", newline="\n"
            )

    def _free_name(self, name: str) -> str:
        """Return a name not used yet: ``a.png`` and ``a.jpg`` are two pictures, also on a Mac."""
        free, number = name, 1
        while free.casefold() in self._names:
            number += 1
            free = "{}-{}".format(name, number)
        self._names.add(free.casefold())
        return free

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                "cannot write to {}: {}; choose another folder with --output".format(
                    self._directory, error.strerror or error
                )
            ) from error
