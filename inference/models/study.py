"""A study's model: from the store, or from this device's copy while the store is unavailable."""

from __future__ import annotations

import contextlib
from typing import Iterator

from hyperhive.common.errors import CheckpointError
from hyperhive.inference.frames import Say
from hyperhive.inference.models.cache import ModelCache
from hyperhive.inference.models.file import Chosen, predictor_of
from hyperhive.inference.models.watcher import Watcher
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.server.address import address
from hyperhive.store.server.choice import named, opened
from hyperhive.store.store import Store

_OWN_SERVER = "this machine's own server"


@contextlib.contextmanager
def from_study(
    name: str, uri: str | None, device: str, watch: bool, say: Say, warn: Say
) -> Iterator[Chosen]:
    """Yield a study's model; the best one so far if the study has not ended.

    Args:
        name: the name of the study.
        uri: of the store, if the command is given one: see ``store.server.choice``.
        device: where PyTorch computes.
        watch: take each better model that the study finds while this is open.
        say: is called with a sentence about each better model.
        warn: is called with a sentence if the model is this device's copy, and if a better model
            cannot be taken.

    Raises ``StoreError`` if the store has no such model, or does not answer and there is no copy;
    ``CheckpointError`` if the model cannot be trusted.
    """
    uri = named(uri)
    cache = ModelCache(name, _OWN_SERVER if uri is None else address(uri), warn)
    with contextlib.ExitStack() as stack:
        reachable = stack.enter_context(opened(uri))
        packed, card = _model_or_copy(name, reachable, cache, warn)
        predictor = predictor_of(packed, SAFETENSORS, card, device, f"study {name!r}")
        if watch:
            stack.enter_context(Watcher(name, reachable, cache, predictor, device, say, warn))
        else:
            stack.close()  # a server that was started for this is not needed while labelling
        yield Chosen(predictor, f"study {name}")


def _model_or_copy(name: str, uri: str, cache: ModelCache, warn: Say) -> tuple[bytes, Card]:
    """Return a study's model, or this device's copy of it if the store does not answer."""
    try:
        with Store(uri) as store:
            return cache.get(store.model(name), store)
    except CheckpointError as error:
        raise CheckpointError(f"study {name!r}: {error}") from error
    except StoreUnavailable as error:
        copy = cache.copy()
        if copy is None:
            raise
        warn(
            f"{error}; using this device's copy of the study's model, made on {cache.age()}, "
            f"SHA-256 {copy[1].weights_sha256[:12]}..."
        )
        return copy
