"""The command ``hyperhive best``."""

import contextlib
import functools
from pathlib import Path
from typing import Optional

import typer
from rich.text import Text

from hyperhive.common.console import console
from hyperhive.store.cli import MONGO, MONGOD, server


def best(
    study: Optional[str] = typer.Argument(None, help="A study; by default the newest."),
    model: Optional[Path] = typer.Option(
        None, metavar="FILE-or-DIR", help="A model on this machine, instead of a study's."
    ),
    export: Optional[Path] = typer.Option(
        None,
        metavar="FILE",
        help="Write it, with its card beside it: .onnx for OpenCV, .pt or .torchscript for an "
        "older PyTorch, .safetensors for hyperhive itself.",
    ),
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Tell of the best model of a study, and write it in the form that a device needs.

    Any form but .safetensors, which is copied as it is, is compared with the model on all test
    images of its data set, which come from this machine's cache or the store. Unless every label is
    the same, nothing is written.
    """
    from hyperhive.common.errors import UsageError
    from hyperhive.coordinator import stored_model as models
    from hyperhive.model.engines.export import export as write
    from hyperhive.model.engines.export import is_compared, require_path
    from hyperhive.store.store import Store

    if study is not None and model is not None:
        raise UsageError("STUDY and --model exclude each other: give one")
    if export is not None:
        require_path(export)

    with contextlib.ExitStack() as opened:

        @functools.lru_cache(maxsize=None)
        def store() -> Store:
            return opened.enter_context(Store(opened.enter_context(server(mongo, mongod))))

        def fetch(content_hash: str) -> bytes:
            return store().datasets.fetch(content_hash)

        found = models.from_file(model) if model else models.from_store(store(), study)
        console.print(models.describe(found), soft_wrap=True)
        if export is None:
            return
        said, pictures = f"written: {export}", None
        if is_compared(export):
            pictures = models.dataset_of(found.card, fetch).test_images
            said += f", which gives the same label on all {len(pictures):,} test images"
        write(export, found.packed, found.card, pictures)
        console.print(Text(said), soft_wrap=True)
