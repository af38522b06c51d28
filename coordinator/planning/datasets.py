"""Data sets as commands ask for them: read, shown, listed and published."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterator, Mapping

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import DatasetError, UsageError
from hyperhive.common.extras import require_installed
from hyperhive.common.text import printable
from hyperhive.common.values import sequence
from hyperhive.coordinator.study import require_splittable
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.download import Progress
from hyperhive.model.data.loaded import LoadedDataset
from hyperhive.model.data.loading import DatasetRequest, Fetch
from hyperhive.model.data.sources.known import FOLDER, KNOWN, PUBLISHED
from hyperhive.store.store import Store

Connect = Callable[[], ContextManager[str]]
"""Opens the server that the options name, and gives its URI."""


@dataclass(frozen=True)
class DatasetOptions:
    """The options that name a data set, and say how it is read: see ``DatasetRequest``."""

    dataset: str | None
    data: Path | None
    gray: bool = False
    strict: bool = False
    image_size: int | None = None
    drop_duplicates: bool = False
    mirror: bool | None = None

    def request(self, in_file: DatasetRequest | None = None) -> DatasetRequest | None:
        """Return the data set that the options name, or else that of a study file, if any.

        Raises ``UsageError`` for options that go with a data set, if there is none.
        """
        request = in_file
        if self.dataset is not None or self.data is not None:
            request = DatasetRequest(self.dataset or FOLDER, self.data, self.gray, self.strict)
        elif self.gray or self.strict:
            raise UsageError("--gray and --strict go with --dataset or --data")
        changes: dict[str, Any] = {}
        if self.drop_duplicates:
            changes["drop_duplicates"] = True
        for name in ("mirror", "image_size"):
            if getattr(self, name) is not None:
                changes[name] = getattr(self, name)
        if changes and request is None:
            flag = next(iter(changes)).replace("_", "-")
            raise UsageError(f"--{flag} goes with --dataset, --data, or [dataset] in a file")
        return request and replace(request, **changes)

    def required(self, seed: int) -> DatasetRequest:
        """Return the data set that the options name; raises ``UsageError`` if they name none."""
        request = self.request()
        if request is None:
            raise UsageError("which data set? Pass --dataset NAME, or --data PATH for your own")
        return replace(request, seed=seed)


def fetching(connect: Connect) -> Fetch:
    """Return a function that gives a published data set, from the server that the options name."""

    def fetch(content_hash: str) -> bytes:
        with connect() as uri, Store(uri) as store:
            return store.datasets.fetch(content_hash)

    return fetch


def downloading(load: Callable[[Progress], LoadedDataset], console: Screen) -> LoadedDataset:
    """Load a data set, with a bar while it is downloaded."""
    with _download_bar(console) as progress:
        return load(progress)


def loading(load: Callable[[Progress], LoadedDataset], console: Screen) -> LoadedDataset:
    """Load a data set for a study, and print what its owner should know.

    Raises now, and not after hours of work, ``DatasetError`` for data that no trial could use, and
    ``ModuleNotFoundError`` if what a study needs at its end is not installed.
    """
    loaded = downloading(load, console)
    show(loaded, console)
    require_splittable(loaded.dataset)
    require_installed("torch", "matplotlib")
    return loaded


def show(loaded: LoadedDataset, console: Screen) -> None:
    """Print what is in a data set, and what its owner should know of it."""
    for line in loaded.contents():
        tell(line, to=console)
    for notice in loaded.notices:
        tell(notice, "yellow", console)


def publish(store: Store, dataset: Dataset) -> bool:
    """Put a data set into the store; return False if the same images were there before.

    Raises ``DatasetError`` if these are there with another answer to whether they may be mirrored:
    it is no part of the hash, and what is published does not change.
    """
    content_hash = dataset.content_hash
    if store.datasets.publish(content_hash, dataset.pack(), dataset.card()):
        return True
    there = Dataset.unpack(store.datasets.fetch(content_hash), content_hash)
    if there.may_mirror != dataset.may_mirror:
        flag = "--mirror" if dataset.may_mirror else "--no-mirror"
        raise DatasetError(
            f"these images are published already, with the other answer to {flag}: pass {flag} "
            f"with --dataset {PUBLISHED}:{content_hash}"
        )
    return False


def known_lines() -> list[str]:
    """Return the data sets that have names, and what each needs."""
    return [
        line
        for known in KNOWN
        for line in (known.name, f"    {known.holds}", f"    needs: {known.needs}")
    ]


def published_lines(cards: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the data sets of a store, by the name that a study asks for them with.

    Args:
        cards: by hash, as somebody wrote them.
    """
    lines = [
        f"{PUBLISHED}:{content_hash}  {printable(str(card.get('name')))}, "
        f"{len(sequence(card.get('classes'))):,} classes, "
        f"{card.get('train')} training and {card.get('test')} test images"
        for content_hash, card in cards.items()
    ]
    return sorted(lines) or ["the store has no data set yet: `hyperhive dataset publish` adds one"]


@contextlib.contextmanager
def _download_bar(console: Screen) -> Iterator[Progress]:
    """Show a bar as soon as a download begins."""
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    is_hidden = not console.redraws
    with Bars(*columns, console=console, transient=True, disable=is_hidden) as bar:
        task = bar.add_task("", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None, visible=True)

        yield show
