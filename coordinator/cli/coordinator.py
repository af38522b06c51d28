"""The command ``hyperhive coordinator``."""

import functools
import logging
from dataclasses import fields
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import console
from hyperhive.common.streams import log_handler
from hyperhive.coordinator.cli.when_done import WHEN_DONE, runner
from hyperhive.store.cli import MONGO, MONGOD, server

FILE = typer.Argument(
    None, metavar="FILE", help="A study file (TOML), or a Python file with a function and a space."
)
NAME = typer.Option(None, help="The study's name. [that of the data set, or of the Python file]")
DATASET = typer.Option(
    None,
    help="simpsons, simpsons-gray, digits, fashion-mnist, cmu-faces:TASK, torchvision:CLASS, "
    "folder (with --data) or sha256:HASH: see `hyperhive dataset list`.",
)
DATA = typer.Option(None, help="A folder or zip file with the images.")
GRAY = typer.Option(False, "--gray", help="Read a folder's images as grey.")
IMAGE_SIZE = typer.Option(
    None,
    metavar="PIXELS",
    help="Width and height that all images get, 28 to 224. [28]",
)
STRICT = typer.Option(
    False, "--strict", help="Refuse what would be left out, and images that differ in size."
)
DROP_DUPLICATES = typer.Option(
    False,
    "--drop-duplicates",
    help="Keep one of pictures that are the same; of those in two splits, the test picture.",
)
MIRROR = typer.Option(
    None,
    "--mirror/--no-mirror",
    help="Whether a mirror image is of the same class. [yes for pictures, no for digits and signs]",
)
TRIALS = typer.Option(None, help="How many configurations to try. [30]")
ALGORITHM = typer.Option(
    None,
    metavar="NAME",
    help="What suggests the trials: tpe, gp, turbo, turbo+tpe, rbf, mtpe, cma, sobol, anneal, "
    "random, auto, optuna:SAMPLER, or hyperopt:MODULE.FUNCTION. [tpe]",
)
SPACE = typer.Option(
    None,
    metavar="NAME",
    help="What is searched. classic: learning rate, epochs and momentum. robust: the same, on "
    "images distorted as by a camera. quick: a better LeNet-5 in minutes. extended: everything "
    "that a training may have, in an hour. [classic]",
)
SEED = typer.Option(None, help="The seed of suggestions, weights and splits. [0]")
METRIC = typer.Option(
    None,
    help="What makes a trial good, by its name in the results; balanced_error counts the classes "
    "of images alike. [loss]",
)
DIRECTION = typer.Option(
    None, help="Whether it is to be small or large: minimize or maximize. [minimize]"
)
TARGET = typer.Option(
    None,
    help='Stop at the first trial that is this good: a loss such as 0.1, or "accuracy >= 0.97".',
)
MAX_TIME = typer.Option(
    None, metavar="TIME", help='Stop after this time: "90 min", "2 h", or seconds.'
)
PATIENCE = typer.Option(None, help="Stop after this many trials without a better one.")
PRUNER = typer.Option(
    None,
    help="End trials early that are worse than others at the same point: none, median or asha. "
    "[none]",
)
REPEATS = typer.Option(
    None,
    help="Run each of the best 3 this many more times, with other seeds; the best mean wins. [0]",
)
FOLDS = typer.Option(
    None,
    help="Validate each trial on so many parts of the training images in turn: as many trainings, "
    "and a surer figure. [0: on a fifth]",
)
TEACHER = typer.Option(
    None,
    "--teacher/--no-teacher",
    help="First train a larger network, once; LeNet-5 then learns from its answers too. [no]",
    show_default=False,
)
NETWORK = typer.Option(
    None,
    metavar="NAME",
    help="What is trained: lenet5, torchvision:resnet18 or another of torchvision's, or a network "
    "that an installed package registers. [lenet5]",
)
REFIT = typer.Option(True, help="Train the winner on training and validation data before the test.")
TIMEOUT = typer.Option(
    None,
    min=0,
    help="End after this many seconds without a worker that runs a trial or could take one. "
    "[wait forever]",
)
DASHBOARD = typer.Option(
    False,
    "--dashboard",
    help="Serve the live page while the study runs, on this machine only.",
)
MODELS = typer.Option(Path("models"), help="The best model is written to MODELS/STUDY/.")


def coordinator(
    file: Optional[Path] = FILE,
    name: Optional[str] = NAME,
    dataset: Optional[str] = DATASET,
    data: Optional[Path] = DATA,
    gray: bool = GRAY,
    image_size: Optional[int] = IMAGE_SIZE,
    strict: bool = STRICT,
    drop_duplicates: bool = DROP_DUPLICATES,
    mirror: Optional[bool] = MIRROR,
    trials: Optional[int] = TRIALS,
    algorithm: Optional[str] = ALGORITHM,
    space: Optional[str] = SPACE,
    seed: Optional[int] = SEED,
    metric: Optional[str] = METRIC,
    direction: Optional[str] = DIRECTION,
    target: Optional[str] = TARGET,
    max_time: Optional[str] = MAX_TIME,
    patience: Optional[int] = PATIENCE,
    pruner: Optional[str] = PRUNER,
    repeats: Optional[int] = REPEATS,
    folds: Optional[int] = FOLDS,
    teacher: Optional[bool] = TEACHER,
    network: Optional[str] = NETWORK,
    refit: bool = REFIT,
    timeout: Optional[float] = TIMEOUT,
    dashboard: bool = DASHBOARD,
    models: Path = MODELS,
    when_done: Optional[str] = WHEN_DONE,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Start or resume a study: post its trials, show its progress, keep its best model.

    A TOML file, flags, or both describe the study; a flag wins. Start the same study again to
    resume it. Ctrl-C stops it; on a terminal it offers to finish. Workers do the training: run
    `hyperhive worker` on every machine that is to help.
    """
    given = locals()  # the options by name, before anything else is
    from hyperhive.coordinator import session
    from hyperhive.coordinator.planning.datasets import DatasetOptions

    logging.basicConfig(level=logging.WARNING, handlers=[log_handler()])
    read_with = [field.name for field in fields(DatasetOptions)]
    images = DatasetOptions(**{name: given[name] for name in read_with})
    own = ("when_done", "mongo", "mongod", *read_with)
    options = session.StudyOptions(
        **{name: value for name, value in given.items() if name not in own},
        images=images,
        when_done=runner(when_done),
    )
    if not session.run(options, functools.partial(server, mongo, mongod, begins=True), console):
        raise typer.Exit(1)
