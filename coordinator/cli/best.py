"""The command ``hyperhive best``."""

import functools
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import console
from hyperhive.store.cli import MONGO, MONGOD, server

STUDY = typer.Argument(
    None, help="A study, or the exp_key of hyperopt's fmin; by default the newest that has a model."
)
MODEL = typer.Option(
    None, metavar="FILE-or-DIR", help="A model on this machine, in place of a study's."
)
EXPORT = typer.Option(
    None,
    metavar="FILE",
    help="Write it, with its card beside it: .onnx for OpenCV, .pt or .torchscript for an older "
    "PyTorch, .safetensors for hyperhive itself.",
)

RETRAIN = typer.Option(
    False,
    "--retrain",
    help="Train it again from its card, on this machine, and say whether the weights are the same. "
    "Keeps nothing, unless --export is given.",
)


def best(
    study: Optional[str] = STUDY,
    model: Optional[Path] = MODEL,
    retrain: bool = RETRAIN,
    export: Optional[Path] = EXPORT,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Describe the best model of a study, and export it in the form that a device needs.

    Of a study whose objective makes no model it shows the best trial.

    An export is compared with the model on all test images of its data set, which come from this
    machine's cache or the store. It is written only if every label is the same. A .safetensors
    file is a copy and is not compared.

    A training is repeated on the same images, which come from the cache or the store too. On the
    device and with the versions of the first one it gives the same weights.
    """
    from hyperhive.coordinator import stored_model

    options = stored_model.BestOptions(study, model, export, retrain)
    for text in stored_model.run(options, functools.partial(server, mongo, mongod)):
        console.print(text, soft_wrap=True)
