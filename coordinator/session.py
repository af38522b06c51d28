"""The command ``hyperhive coordinator``: from its options to the result on the console."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterator

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from hyperhive.common.console import Screen, tell
from hyperhive.common.errors import UsageError
from hyperhive.common.extras import require_installed
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.search import Interrupted
from hyperhive.coordinator.space import named
from hyperhive.coordinator.study import Plan, read_file, study_name
from hyperhive.coordinator.study_run import StudyRun, open_study
from hyperhive.coordinator.views.study_state import Snapshot
from hyperhive.coordinator.views.summary import summary
from hyperhive.coordinator.views.terminal import showing
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.download import Progress
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset, load
from hyperhive.store.store import Store

Connect = Callable[[], ContextManager[str]]
"""Opens the server that the options name, and gives its URI."""


@dataclass(frozen=True)
class StudyOptions:
    """The options of ``hyperhive coordinator``; what is None comes from the file or a default."""

    file: Path | None
    name: str | None
    dataset: str | None
    data: Path | None
    gray: bool
    strict: bool
    trials: int | None
    algorithm: str | None
    space: str | None
    seed: int | None
    refit: bool
    timeout: float | None
    models: Path


def run(options: StudyOptions, connect: Connect, console: Screen) -> bool:
    """Start or resume the study that the options describe; return whether it came to its end."""
    plan = plan_of(options)
    loaded = loading(lambda progress: load(plan.data, progress), console)
    with StopSignals() as signals, connect() as uri:
        shown = ShownSearch(plan, loaded.dataset, options.models, options.refit, options.timeout)
        return shown.run(uri, signals.stop, console)


def plan_of(options: StudyOptions) -> Plan:
    """Return what the study file and the flags describe; a flag wins. Raises ``UsageError``."""
    fields: dict[str, Any] = read_file(options.file) if options.file is not None else {}
    if options.dataset is not None or options.data is not None:
        name = options.dataset or "folder"
        fields["data"] = DatasetRequest(name, options.data, options.gray, options.strict)
    elif options.gray or options.strict:
        raise UsageError("--gray and --strict go with --dataset or --data")
    if "data" not in fields:
        raise UsageError(
            "which images? Pass --dataset simpsons or --dataset digits, --data PATH for a folder "
            "of class folders, or a study file"
        )
    for flag in ("name", "trials", "algorithm", "seed"):
        if getattr(options, flag) is not None:
            fields[flag] = getattr(options, flag)
    if options.space is not None:
        fields.update(named(options.space))
    # The study's seed also splits images that come without a test/ folder.
    request = fields["data"] = replace(fields["data"], seed=fields.get("seed", 0))
    own_images = request.name == "folder" and request.data is not None
    fields.setdefault(
        "name", study_name(request.data.resolve().stem if own_images else request.name)
    )
    return Plan(**fields)


def loading(load: Callable[[Progress], LoadedDataset], console: Screen) -> LoadedDataset:
    """Load a data set with a bar while it is downloaded, and print what its owner should know.

    Raises ``ModuleNotFoundError`` now, and not after hours of work, if what a study needs at its
    end is not installed.
    """
    with _download_bar(console) as progress:
        loaded = load(progress)
    for notice in loaded.notices:
        tell(notice, "yellow", console)
    require_installed("torch", "matplotlib")
    return loaded


@dataclass(frozen=True)
class ShownSearch:
    """A study to run, and how to show it.

    Args:
        plan: of the study.
        dataset: that the plan asks for.
        models: the model goes to the folder of the study's name in here.
        refit: see ``StudyRun``.
        timeout: see ``StudyRun``.
        check: called at every look; what it raises ends the run.
        resume: what is printed about going on, when the run was stopped.
    """

    plan: Plan
    dataset: Dataset
    models: Path
    refit: bool
    timeout: float | None = None
    check: Callable[[], None] = lambda: None
    resume: str = "start the same study again and it goes on from here"

    def run(self, uri: str, stop: threading.Event, console: Screen) -> bool:
        """Run the study to its end; return False if it was stopped before."""
        with Store(uri) as store:
            study = open_study(store, self.plan, self.dataset)
            folder = self.models / study.name
            _require_writable(folder)
            tell(f"study {study.name} on {store.address}", to=console)
            try:
                with showing(console) as show:

                    def watch(snapshot: Snapshot) -> None:
                        self.check()
                        show(snapshot)

                    result = StudyRun(
                        store, study, self.dataset, folder, self.refit, watch, stop, self.timeout
                    ).run()
            except Interrupted:
                tell(f"stopped; {self.resume}", to=console)
                return False
        console.print(summary(result), soft_wrap=True)
        return True


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


def _require_writable(folder: Path) -> None:
    """Raise ``OSError`` now, and not after hours of work, if the model could not be written."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
