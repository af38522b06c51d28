"""What ``hyperhive best`` tells of a model, and what it exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping

from rich.text import Text

from hyperhive.common.errors import InputError, UsageError
from hyperhive.coordinator.views.summary import percent
from hyperhive.model import model_files
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.model_files import WEIGHTS_FILE
from hyperhive.store.errors import NotFound, StoreError
from hyperhive.store.store import Store


class NotCheckable(InputError):
    """The images that an export must be compared on cannot be had."""


@dataclass(frozen=True)
class Found:
    """A model: its safetensors file and card, where that lies, and what it is in a few words."""

    packed: bytes
    card: Card
    where: str
    state: str


def from_file(path: Path) -> Found:
    """Return the model in a directory or of a safetensors file.

    Raises ``CheckpointError`` if it is not there or cannot be trusted, ``UsageError`` for a form
    that was made of one.
    """
    weights = path / WEIGHTS_FILE if path.is_dir() else path
    model_files.require_file(weights)
    if weights.suffix != SAFETENSORS:
        raise UsageError(
            f"--model {path} is no {SAFETENSORS} file: give the one that it was exported from, "
            "or the directory "
            f"that has {WEIGHTS_FILE}"
        )
    packed, card = model_files.read(weights)
    return Found(packed, card, str(weights), _state(card))


def from_store(store: Store, name: str | None) -> Found:
    """Return the model of a study, by default the newest that has one.

    Raises ``NotFound`` if there is none, ``CheckpointError`` for one that cannot be trusted.
    """
    if name is None:
        names = [study.name for study in store.studies.all() if study.model is not None]
        if not names:
            raise NotFound(
                f"no study on {store.address} has a model: `hyperhive coordinator` makes one"
            )
        name = names[-1]
    model, cancelled = store.model(name), store.study(name).cancelled
    card, packed = Card.from_json(model.card), store.blobs.get(model.weights)
    model_files.require_hash(packed, card.weights_sha256)
    where = f"study {name} on {store.address}"
    return Found(packed, card, where, _state(card, model.is_final, cancelled))


def describe(found: Found) -> Text:
    """Return what a person wants to know of a model, as a few lines."""
    card = found.card
    lines = {
        "model": found.where,
        "state": found.state,
        "config": _configuration(card.config),
        "tuned": f"{percent(card.validation_accuracy)} of validation images",
        "test": f"{percent(card.test_accuracy)} of test images",
        "classes": "{}: {}".format(len(card.classes), ", ".join(card.classes)),
        "weights": f"{len(found.packed) / 1000:.0f} kB, SHA-256 {card.weights_sha256}",
    }
    text = Text()
    for label, said in lines.items():
        text.append(f"{label:<9}", style="dim")
        text.append(said + "\n", style="bold green" if label == "test" else "")
    text.rstrip()
    return text


def dataset_of(card: Card, fetch: Callable[[str], bytes]) -> Dataset:
    """Return a model's data set, from this machine's cache or with ``fetch`` from the store.

    Raises ``NotCheckable``: what was not compared on its test images is not exported.
    """
    content_hash = card.dataset.get("content_hash")
    if not isinstance(content_hash, str):
        raise NotCheckable("the model's card does not say which data set to check the export on")
    try:
        return DatasetCache().get(content_hash, fetch)
    except StoreError as error:
        raise NotCheckable(
            f"nothing was exported, for it could not be checked on the model's test images: {error}"
        ) from error


def _state(card: Card, is_final: bool = True, cancelled: bool = False) -> str:
    if not is_final:
        why = "was cancelled" if cancelled else "has not ended"
        return f"trial {card.trial}, the best so far: the study {why}"
    if card.trial is None:
        return "of no study"
    refitted = card.config.get("train_on_all")
    return "trial {}{}".format(
        card.trial, ", refitted on training and validation data" if refitted else ""
    )


def _configuration(config: Mapping[str, Any]) -> str:
    said = {name.replace("_", " "): value for name, value in config.items() if name != "dataset"}
    return ", ".join(
        "{} {}".format(name, f"{value:.4g}" if isinstance(value, float) else value)
        for name, value in said.items()
    )
