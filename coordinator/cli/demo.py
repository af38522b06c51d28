"""The command ``hyperhive demo``."""

import functools
import logging
import os
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import console
from hyperhive.common.streams import log_handler
from hyperhive.coordinator.cli.coordinator import MODELS, REFIT
from hyperhive.store.cli import MONGOD, OWN, server

DATASET = typer.Option(
    None,
    help="One of `hyperhive dataset list`, but not sha256. [simpsons if available, else digits]",
)
DATA = typer.Option(None, help="A folder or zip: Simpsons-MNIST's repository, or class folders.")
TRIALS = typer.Option(
    None,
    min=1,
    help="How many configurations to try. [20 for the digits, 12 for --space quick, else 30]",
)
SPACE = typer.Option(
    None, "--space", metavar="NAME", help="As of coordinator. [classic for the digits, else quick]"
)
SEED = typer.Option(0, min=0, help="The seed of suggestions, weights and splits.")
SLOTS = typer.Option(None, min=1, max=1024, help="Trials at once. [one per core]")


def demo(
    dataset: Optional[str] = DATASET,
    data: Optional[Path] = DATA,
    trials: Optional[int] = TRIALS,
    space: Optional[str] = SPACE,
    seed: int = SEED,
    slots: Optional[int] = SLOTS,
    refit: bool = REFIT,
    models: Path = MODELS,
    mongo: Optional[str] = OWN,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Run everything on this machine: server, coordinator, workers, a study, a picture."""
    from hyperhive.coordinator import demo
    from hyperhive.store.server.embedded import embedded_server

    logging.basicConfig(level=logging.WARNING, handlers=[log_handler()])
    options = demo.DemoOptions(
        dataset, data, trials, space, seed, slots, refit, models, dict(os.environ)
    )
    # It must also run on a device whose saved login, a worker's, may post no study.
    own = functools.partial(embedded_server, mongod=mongod)
    connect = own if mongo is None else functools.partial(server, mongo, mongod)
    if not demo.run(options, connect, console):
        raise typer.Exit(1)
