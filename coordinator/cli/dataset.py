"""The commands ``hyperhive dataset``: what data sets there are, what is in one, and publishing."""

import functools
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.coordinator.cli.coordinator import (
    DATA,
    DATASET,
    DROP_DUPLICATES,
    GRAY,
    IMAGE_SIZE,
    MIRROR,
    STRICT,
)
from hyperhive.store.cli import MONGO, MONGOD, server

dataset_app = typer.Typer(
    no_args_is_help=True, help="List the data sets that have names, look into one, or publish one."
)
SEED = typer.Option(0, min=0, help="The seed of the test split, if there is none.")
PICTURE = typer.Option(
    None, "--picture", metavar="FILE.png", help="Write a picture with examples of each class."
)
JSON = typer.Option(False, "--json", help="Print all of it as JSON.")
PUBLISHED = typer.Option(False, "--published", help="List those in the store instead.")


@dataset_app.command("list")
def list_(
    published: bool = PUBLISHED,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """List the data sets that have names, and what each needs."""
    from hyperhive.coordinator.planning.datasets import known_lines, published_lines
    from hyperhive.store.store import Store

    if not published:
        lines = known_lines()
    else:
        with server(mongo, mongod) as uri, Store(uri) as store:
            lines = published_lines(store.datasets.cards())
    for line in lines:
        typer.echo(line)


@dataset_app.command()
def inspect(
    dataset: Optional[str] = DATASET,
    data: Optional[Path] = DATA,
    gray: bool = GRAY,
    strict: bool = STRICT,
    image_size: Optional[int] = IMAGE_SIZE,
    drop_duplicates: bool = DROP_DUPLICATES,
    mirror: Optional[bool] = MIRROR,
    seed: int = SEED,
    picture: Optional[Path] = PICTURE,
    json: bool = JSON,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Say what is in a data set and what is wrong with it, before anything is trained on it.

    Classes, sizes, files that cannot be read, pictures that are there twice or nearly so, within a
    split and between splits, and how even the classes are.
    """
    from hyperhive.coordinator.planning.datasets import DatasetOptions, downloading, fetching
    from hyperhive.model.data.inspection.examples import draw_examples
    from hyperhive.model.data.inspection.report import inspect
    from hyperhive.model.data.loading import read

    options = DatasetOptions(dataset, data, gray, strict, image_size, drop_duplicates, mirror)
    request, fetch = options.required(seed), fetching(functools.partial(server, mongo, mongod))
    loaded = downloading(lambda progress: read(request, progress, fetch), console)
    found = inspect(loaded)
    if json:
        typer.echo(found.to_json())
    else:
        for line in found.lines():
            tell(line)
        for notice in loaded.notices:
            tell(notice, "yellow")
    if picture is not None:
        draw_examples(loaded.dataset, picture)


@dataset_app.command()
def publish(
    dataset: Optional[str] = DATASET,
    data: Optional[Path] = DATA,
    gray: bool = GRAY,
    strict: bool = STRICT,
    image_size: Optional[int] = IMAGE_SIZE,
    drop_duplicates: bool = DROP_DUPLICATES,
    mirror: Optional[bool] = MIRROR,
    seed: int = SEED,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Put a data set into the store, and print its name there: sha256:HASH.

    A study on any machine can then ask for it by that name, without the files.
    """
    from hyperhive.coordinator.planning.datasets import (
        DatasetOptions,
        downloading,
        fetching,
        publish,
        show,
    )
    from hyperhive.model.data.loading import load
    from hyperhive.store.store import Store

    connect = functools.partial(server, mongo, mongod, begins=True)
    options = DatasetOptions(dataset, data, gray, strict, image_size, drop_duplicates, mirror)
    request, fetch = options.required(seed), fetching(connect)
    loaded = downloading(lambda progress: load(request, progress, fetch), console)
    show(loaded, console)
    with connect() as uri, Store(uri) as store:
        is_new = publish(store, loaded.dataset)
    where = "published" if is_new else "was published before"
    tell(f"{where} as sha256:{loaded.dataset.content_hash}")
