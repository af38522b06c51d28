"""The command ``hyperhive best``: what it says about a model, what it exports, and what it repeats.

It must run on a device: only an export and a training import PyTorch, and hyperopt is never needed.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterator, Mapping

from rich.text import Text

from hyperhive.common.console import Screen, console
from hyperhive.common.errors import InputError, UsageError
from hyperhive.common.files import require_writable
from hyperhive.common.wording import counted, in_words, percent
from hyperhive.coordinator import hyperopt_experiment
from hyperhive.coordinator.results.repeated import (
    Repeated,
    best_of_study,
    repeat_lines,
    repeated_of,
)
from hyperhive.coordinator.views.wording import (
    balanced,
    facts,
    judged,
    on_folds,
    on_test_images,
)
from hyperhive.model import model_files
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.model.data.cache import DatasetCache
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.images import SIZE
from hyperhive.model.model_files import OTHER_WEIGHTS_FILE, WEIGHTS_FILE
from hyperhive.store.errors import NotFound, StoreError
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH
from hyperhive.store.trials.trial import Trial


class NotCheckable(InputError):
    """The images that an export must be compared on are not available."""


@dataclass(frozen=True)
class BestOptions:
    """The options of ``hyperhive best``."""

    study: str | None
    model: Path | None
    export: Path | None
    retrain: bool = False

    @property
    def needs_model(self) -> bool:
        """Whether a description of a trial is not enough."""
        return self.retrain or self.export is not None


@dataclass(frozen=True)
class DescribedModel:
    """A model: its safetensors file and card, where it lies, and its state in a few words.

    ``repeated`` is what the repeats of its study's best trials gave, if there were any; ``trial``
    is the one of the search whose model it is, if the store has it.
    """

    packed: bytes
    card: Card
    where: str
    state: str
    repeated: tuple[Repeated, ...] = ()
    trial: Trial | None = None


def run(
    options: BestOptions, connect: Callable[[], ContextManager[str]], console: Screen = console
) -> Iterator[Text]:
    """Describe the model that is asked for; train it again and export it if that is asked for too.

    What is exported of a model that was trained again is what that gave.

    Args:
        options: which model, and where to.
        connect: opens the server and gives its URI; called only if the store is needed.
        console: is told how far a training is.

    Yields what is to be printed. Raises ``UsageError``, ``NotFound``, ``CheckpointError``,
    ``NotRetrainable``, ``NotCheckable`` and ``ExportFailed``.
    """
    if options.study is not None and options.model is not None:
        raise UsageError("STUDY and --model exclude each other: give one")
    if options.export is not None:
        from hyperhive.model.engines.export import require_path

        require_path(options.export)
    with contextlib.ExitStack() as opened:

        @functools.lru_cache(maxsize=None)
        def store() -> Store:
            return opened.enter_context(Store(opened.enter_context(connect())))

        found = _found(options, store)
        if isinstance(found, Text):
            yield found
            return
        yield describe(found)
        yield from _used(found, options, store, console)


def _found(options: BestOptions, store: Callable[[], Store]) -> DescribedModel | Text:
    """Return the model that is asked for; of what has none, what there is to say of it."""
    if options.model is not None:
        return from_file(options.model)
    if options.study is not None and store().is_experiment(options.study):
        return hyperopt_experiment.describe(store(), options.study, options.needs_model)
    name = options.study or _newest(store())
    best = None if options.needs_model else best_without_model(store(), name)
    return from_store(store(), name) if best is None else describe_trial(store(), name, best)


def _used(
    model: DescribedModel, options: BestOptions, store: Callable[[], Store], console: Screen
) -> Iterator[Text]:
    """Train a model again, and export it; yield what became of that."""

    def fetch(content_hash: str) -> bytes:
        return store().datasets.fetch(content_hash)

    def fetch_answers(sha256: str) -> bytes:
        return store().answers(str(model.card.study), sha256)

    if options.retrain:
        from hyperhive.coordinator.results.retrained import comparison, retrain

        retrained = retrain(model.packed, model.card, fetch, fetch_answers, console)
        yield comparison(model.card, retrained)
        model = replace(model, packed=retrained.packed, card=retrained.card)
    if options.export is not None:
        yield _export(model, options.export, fetch)


def from_file(path: Path) -> DescribedModel:
    """Return the model in a directory or of a safetensors file.

    Raises ``CheckpointError`` if it is not there or cannot be trusted, ``UsageError`` for a form
    that was exported from one.
    """
    weights = path / WEIGHTS_FILE if path.is_dir() else path
    model_files.require_file(weights)
    if weights.suffix != SAFETENSORS:
        raise UsageError(
            f"--model {path} is not a {SAFETENSORS} file: give the one that it was exported from, "
            f"or the directory that has {WEIGHTS_FILE}"
        )
    packed, card = model_files.read(weights)
    return DescribedModel(packed, card, str(weights), _state(card))


def from_store(store: Store, name: str) -> DescribedModel:
    """Return the model of a study.

    Raises ``NotFound`` if there is none, ``CheckpointError`` for one that cannot be trusted.
    """
    model, study = store.model(name), store.study(name)
    card, packed = Card.from_json(model.card), store.blobs.get(model.weights)
    model_files.require_hash(packed, card.weights_sha256)
    where = f"study {name} on {store.address}"
    state = _state(card, model.is_final, study.cancelled)
    tids = [] if card.trial is None else [card.trial]
    trials = store.trials.find(name, SEARCH, tids, in_short=True)
    return DescribedModel(packed, card, where, state, repeated_of(study.result), *trials[:1])


def best_without_model(store: Store, name: str) -> Trial | None:
    """Return the best trial of a study that has no model; None if it has one, or no result yet.

    Not every objective makes models. Raises ``NotFound`` if there is no such study.
    """
    study = store.study(name)
    if study.model is not None:
        return None
    return best_of_study(study, store.trials.find(name, SEARCH, in_short=True))


def describe_trial(store: Store, name: str, trial: Trial) -> Text:
    """Return what a person wants to know about the best trial of a study without a model."""
    study = store.study(name)
    result = study.result or {}
    reason = result.get("why_no_model")
    state = f"trial {trial.tid}{_so_far(study.cancelled)}"
    if result:
        ended = [each for each in store.trials.find(name, SEARCH, in_short=True) if each.is_final]
        state = f"ended, {counted(len(ended), 'trial')}"
    lines = {
        "study": f"{name} on {store.address}",
        "state": state,
        "best": f"trial {trial.tid}: {judged(trial)}",
        **on_folds(trial),
        **repeat_lines(repeated_of(result)),
    }
    if "dataset" in study.spec:  # nothing else can end with a model
        lines["model"] = "none yet" if reason is None else f"none for predict-cam: {reason}"
    if result.get("weights"):
        lines["weights"] = f"{OTHER_WEIGHTS_FILE} in the study's folder, where its coordinator ran"
    return facts(lines)


def _newest(store: Store) -> str:
    """Return the newest study that has a model, else the newest of all; raises ``NotFound``."""
    studies = store.studies.all()
    if not studies:
        raise NotFound(f"there is no study on {store.address}: `hyperhive coordinator` makes one")
    with_model = [study for study in studies if study.model is not None]
    return (with_model or studies)[-1].name


def describe(model: DescribedModel) -> Text:
    """Return what a person wants to know about a model, as a few lines."""
    card = model.card
    return facts(
        {
            "model": model.where,
            "state": model.state,
            "config": _configuration(card.config),
            "tuned": f"{percent(card.validation_accuracy)} of validation images",
            **on_folds(model.trial),
            **repeat_lines(model.repeated),
            "test": on_test_images(card),
            **balanced(card, model.trial),
            **_size(card),
            "classes": "{}: {}".format(len(card.classes), ", ".join(card.classes)),
            "weights": f"{len(model.packed) / 1000:.0f} kB, SHA-256 {card.weights_sha256}",
        }
    )


def dataset_of(card: Card, fetch: Callable[[str], bytes]) -> Dataset:
    """Return a model's data set, from this machine's cache or with ``fetch`` from the store.

    Raises ``NotCheckable``: a model that was not compared on its test images is not exported.
    """
    content_hash = card.dataset.get("content_hash")
    if not isinstance(content_hash, str):
        raise NotCheckable("the model's card does not say which data set to check the export on")
    try:
        return DatasetCache().get(content_hash, fetch)
    except StoreError as error:
        raise NotCheckable(
            "nothing was exported, because it could not be checked on the model's test images: "
            f"{error}"
        ) from error


def _export(model: DescribedModel, path: Path, fetch: Callable[[str], bytes]) -> Text:
    """Write the model in the form that the path's suffix names; return what to print."""
    from hyperhive.model.engines.export import export, is_compared

    require_writable(path.parent, "the exported model", "choose another with --export")
    if not is_compared(path):
        export(path, model.packed, model.card)
        return Text(f"written: {path} and its card, {model_files.card_file(path)}")
    images = dataset_of(model.card, fetch).test_images
    export(path, model.packed, model.card, images)
    return Text(
        f"written: {path} and its card, {model_files.card_file(path)}; same label on all "
        f"{len(images):,} test images"
    )


def _size(card: Card) -> dict[str, str]:
    """Return the size of its images, as a line, if it is not that of LeNet-5."""
    size = card.image_size
    return {} if size == SIZE else {"images": f"{size}x{size}"}


def _state(card: Card, is_final: bool = True, cancelled: bool = False) -> str:
    if not is_final:
        return f"trial {card.trial}{_so_far(cancelled)}"
    if card.trial is None:
        return "not from a study"
    is_refitted = card.config.get("train_on_all")
    refitted = ", refitted on training and validation data" if is_refitted else ""
    return f"trial {card.trial}{refitted}"


def _so_far(cancelled: bool) -> str:
    return f", the best so far: the study {'was cancelled' if cancelled else 'has not ended'}"


def _configuration(config: Mapping[str, Any]) -> str:
    # The state says whether it was refitted.
    return in_words({n: each for n, each in config.items() if n not in ("dataset", "train_on_all")})
