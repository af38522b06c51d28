"""What predict-cam writes to its output folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Iterator

from hyperhive.common.errors import OutputError
from hyperhive.inference.collecting.classes import as_folder
from hyperhive.inference.collecting.crops import as_png, reduced_crop
from hyperhive.inference.drawing.overlay import annotated
from hyperhive.inference.labelling import Result
from hyperhive.inference.outputs.contact_sheet import ContactSheet
from hyperhive.inference.outputs.tables import CSV, JSONL, Tables
from hyperhive.inference.outputs.video_writer import VideoWriter

ANNOTATED = "annotated"
CROPS = "crops"
SHEET = "contact_sheet.png"
VIDEO = "annotated_video"


class OutputFolder:
    """Writes results as they come: pictures, tables, a video, and at the end a contact sheet.

    Use it as a context manager: however the series ends, the results so far are kept. Files of an
    earlier series are replaced if they have the same name. Raises ``OutputError`` if the folder
    cannot be written to.

    Args:
        directory: the output folder; it is made with the first result.
        title: of the contact sheet.
        video: whether to write the video too.
        live: whether the video is of live mode.
        crops: whether to write what the model sees of each picture too.
    """

    def __init__(
        self,
        directory: Path,
        title: str,
        video: bool = False,
        live: bool = False,
        crops: bool = False,
    ) -> None:
        self._directory = directory
        self._title = title
        self._crops = crops
        self._sheet = ContactSheet()
        self._names: set[str] = set()
        self._tables: Tables | None = None
        self._video = VideoWriter(directory / VIDEO, live) if video else None

    def add(self, result: Result) -> None:
        """Write a result: its annotated picture, and a row of each table."""
        picture = annotated(result)
        with self._writing():
            if self._tables is None:
                # With the first result: a camera that cannot be opened leaves no folder.
                (self._directory / ANNOTATED).mkdir(parents=True, exist_ok=True)
                self._tables = Tables(self._directory)
            name = self._free_name(result.frame.name)
            path = self._directory / ANNOTATED / (name + ".jpg")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Colours at full resolution: at half of it, red letters and square pixels smear.
            picture.save(path, quality=90, subsampling=0)
            if self._crops:
                self._add_crops(result, name)
            self._tables.add(result)
        self._sheet.add(result)

    def add_to_video(self, result: Result) -> None:
        """Add a result to the video, if one is wanted."""
        if self._video is not None:
            picture = annotated(result)
            with self._writing():
                self._directory.mkdir(parents=True, exist_ok=True)
                self._video.add(picture, result.frame.time)

    def written(self) -> list[Path]:
        """Return the files and folders to look at, once closed; nothing if nothing was added."""
        crops = [CROPS] if self._crops else []
        names = [ANNOTATED, *crops, SHEET, JSONL, CSV] if self._tables else []
        paths = [self._directory / name for name in names]
        if self._video is not None and self._video.path is not None:
            paths.append(self._video.path)
        return paths

    def close(self) -> None:
        """Write the contact sheet, if it has pictures, and end the video."""
        with self._writing(), contextlib.ExitStack() as steps:
            if self._video is not None:
                steps.callback(self._video.close)
            if self._tables is not None:
                steps.callback(self._save_sheet)
                steps.callback(self._tables.close)

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add_crops(self, result: Result, name: str) -> None:
        for number, (box, prediction) in enumerate(result.answers):
            folder = self._directory / CROPS / as_folder(prediction.label)
            face = "" if result.faces is None else f"-{number}"
            path = folder / f"{name}{face}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(as_png(reduced_crop(box.cut(result.frame.image))))

    def _save_sheet(self) -> None:
        self._sheet.draw(self._title).save(self._directory / SHEET)

    def _free_name(self, name: str) -> str:
        """Return an unused name: ``a.png`` and ``a.jpg`` are two pictures, ``A.png`` a third.

        A Mac does not tell upper case from lower case in file names.
        """
        free, number = name, 1
        while free.casefold() in self._names:
            number += 1
            free = f"{name}-{number}"
        self._names.add(free.casefold())
        return free

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno is None:  # Pillow's own: a fault of ours, not of the folder
                raise
            raise OutputError(
                f"cannot write to {self._directory}: {error.strerror}; choose another folder with "
                "--output"
            ) from error
