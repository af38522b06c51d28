"""The commands ``hyperhive coordinator``, ``demo``, ``status`` and ``mongo``."""

import contextlib
import logging
import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.common.extras import require_installed
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator.cli.mongo import init, invite, revoke
from hyperhive.store.cli import MONGO, MONGOD, server

if TYPE_CHECKING:  # these would import NumPy, PyMongo and hyperopt for a --help
    from hyperhive.coordinator.search import Snapshot
    from hyperhive.coordinator.study import Plan
    from hyperhive.model.data.dataset import Dataset
    from hyperhive.model.data.download import Progress

MODELS = typer.Option(Path("models"), help="Where the best model goes: MODELS/STUDY/.")
SPACE = typer.Option(
    None,
    metavar="NAME",
    help="What is searched: classic, or robust, which trains for cameras: on images turned, moved, "
    "blurred and in other light. [classic]",
)
REFIT = typer.Option(True, help="Train the winner on training and validation data before the test.")


def coordinator(
    file: Optional[Path] = typer.Argument(None, metavar="[STUDY.toml]", help="A study file."),
    name: Optional[str] = typer.Option(None, help="The study's name; by default the data set's."),
    dataset: Optional[str] = typer.Option(
        None, help="simpsons, simpsons-gray, digits, or folder (with --data)."
    ),
    data: Optional[Path] = typer.Option(None, help="A folder or zip with the images."),
    gray: bool = typer.Option(False, "--gray", help="Read a folder's images as grey."),
    strict: bool = typer.Option(
        False, "--strict", help="Refuse images that are unreadable or differ in size."
    ),
    trials: Optional[int] = typer.Option(None, help="How many configurations to try. [30]"),
    algorithm: Optional[str] = typer.Option(None, help="tpe, random or anneal. [tpe]"),
    space: Optional[str] = SPACE,
    seed: Optional[int] = typer.Option(None, help="Of suggestions, weights and splits. [0]"),
    refit: bool = REFIT,
    timeout: Optional[float] = typer.Option(
        None, min=0, help="End after this many seconds without any worker. [wait for ever]"
    ),
    models: Path = MODELS,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Start a study, or resume it: post its trials, show its progress, keep its best model.

    A study is described by a TOML file, by flags, or both (a flag wins). Start the same study
    again and it goes on where it stopped; Ctrl-C stops it. Workers do the training: run
    `hyperhive worker` on every machine that shall help.
    """
    from hyperhive.common.errors import UsageError
    from hyperhive.coordinator.space import named
    from hyperhive.coordinator.study import Plan, read_file, study_name
    from hyperhive.model.data.loading import DatasetRequest, load

    _set_up_logging()
    fields: Dict[str, Any] = read_file(file) if file is not None else {}
    if dataset is not None or data is not None:
        fields["data"] = DatasetRequest(dataset or "folder", data, gray, strict)
    elif gray or strict:
        raise UsageError("--gray and --strict go with --dataset or --data")
    if "data" not in fields:
        raise UsageError(
            "which images? Say --dataset simpsons or --dataset digits, --data PATH for a folder of "
            "class folders, or name a study file"
        )
    flags = {"name": name, "trials": trials, "algorithm": algorithm, "seed": seed}
    fields.update({key: value for key, value in flags.items() if value is not None})
    fields.update({} if space is None else named(space))
    # The split of images that come without a test/ folder is the study's too.
    request = fields["data"] = replace(fields["data"], seed=fields.get("seed", 0))
    own_images = request.name == "folder" and request.data is not None
    name_of_data = request.data.resolve().stem if own_images else request.name
    fields.setdefault("name", study_name(name_of_data))
    plan = Plan(**fields)
    with _download_progress() as progress:
        loaded = load(plan.data, progress)
    for notice in loaded.notices:
        tell(notice, "yellow")
    require_installed("torch", "matplotlib")  # imported only when a search has ended
    with StopSignals() as signals, server(mongo, mongod) as uri:
        _search(uri, plan, loaded.dataset, models, refit, signals.stop, timeout)


def demo(
    dataset: Optional[str] = typer.Option(
        None, help="simpsons, simpsons-gray, digits, or folder. [Simpsons if it can be had]"
    ),
    data: Optional[Path] = typer.Option(
        None, help="A folder or zip: Simpsons-MNIST's repository, or class folders."
    ),
    trials: Optional[int] = typer.Option(None, min=1, help="[20 for the digits, else 30]"),
    space: Optional[str] = SPACE,
    seed: int = typer.Option(0, min=0, help="Of suggestions, weights and splits."),
    slots: Optional[int] = typer.Option(None, min=1, help="Trials at once. [one a core]"),
    refit: bool = REFIT,
    models: Path = MODELS,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Do everything on this machine: server, coordinator, workers, a study, a picture."""
    from hyperhive.coordinator.demo import choose_data, plan, workers
    from hyperhive.coordinator.space import named

    _set_up_logging()
    searched = named(space or "classic")
    with _download_progress() as progress:
        loaded = choose_data(dataset, data, seed, progress)
    for notice in loaded.notices:
        tell(notice, "yellow")
    chosen = plan(loaded, trials, seed, **searched)
    require_installed("torch", "matplotlib")  # imported only when a search has ended
    with StopSignals() as signals, server(mongo, mongod) as uri:
        log = models / chosen.name / "worker.log"
        environment = {**os.environ, "HYPERHIVE_MONGO": uri}
        with workers(environment, chosen.name, slots, log) as running:
            check, resume = running.require_alive, "the next demo begins anew"
            _search(uri, chosen, loaded.dataset, models, refit, signals.stop, None, check, resume)


def status(
    study: Optional[str] = typer.Argument(None, help="One study; by default all of them."),
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Tell what runs and what is done: studies, their trials, the workers."""
    from hyperhive.coordinator.views.status import report
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        console.print(report(store, study))


mongo_app = typer.Typer(
    no_args_is_help=True,
    help="The private MongoDB server of this machine, and who may work on one that is shared.",
)
mongo_app.command()(init)
mongo_app.command()(invite)
mongo_app.command()(revoke)


@mongo_app.command()
def start(
    port: Optional[int] = typer.Option(None, min=1, max=65535, help="[one that is free]"),
    mongod: Optional[str] = MONGOD,
) -> None:
    """Run the private server until Ctrl-C; coordinators and workers here find it by themselves."""
    from hyperhive.store.server.embedded import default_directory, embedded_server
    from hyperhive.store.server.mongo import address

    with StopSignals() as signals, embedded_server(mongod=mongod, port=port) as uri:
        console.print(f"MongoDB runs at {address(uri)}; Ctrl-C ends it")
        console.print(f"its files and its login are in {default_directory()}")
        signals.stop.wait()


@mongo_app.command()
def stop() -> None:
    """Stop the private server, whoever uses it."""
    from hyperhive.store.server.embedded import stop as stop_server

    console.print("stopped" if stop_server() else "no server runs here")


def _search(
    uri: str,
    plan: "Plan",
    dataset: "Dataset",
    models: Path,
    refit: bool,
    stop: threading.Event,
    timeout: Optional[float] = None,
    check: Callable[[], None] = lambda: None,
    resume: str = "start the same study again and it goes on from here",
) -> None:
    """Run a study, shown on the console, and tell its result; ``check`` may raise at any time."""
    from hyperhive.coordinator.run import open_study, run_study
    from hyperhive.coordinator.search import Interrupted
    from hyperhive.coordinator.views.summary import summary
    from hyperhive.coordinator.views.terminal import showing
    from hyperhive.store.store import Store

    with Store(uri) as store:
        study = open_study(store, plan, dataset)
        _require_writable(models / study.name)
        console.print(f"study {study.name} on {store.address}", highlight=False)
        try:
            with showing(console) as show:

                def watch(snapshot: "Snapshot") -> None:
                    check()
                    show(snapshot)

                result = run_study(store, study, dataset, models, refit, watch, stop, timeout)
        except Interrupted:
            console.print(f"stopped; {resume}", highlight=False)
            raise typer.Exit(1) from None
    console.print(summary(result), soft_wrap=True)


@contextlib.contextmanager
def _download_progress() -> Iterator["Progress"]:
    """Show a bar once a download begins."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal  # elsewhere it would leave a blank line
    with Bars(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None, visible=True)

        yield show


def _require_writable(folder: Path) -> None:
    """Raise ``OSError`` now, not after hours of work, where the model could not be kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
