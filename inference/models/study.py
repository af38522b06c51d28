"""A study's model: out of the store, or from the copy on this device while the store is away."""

from __future__ import annotations

import contextlib
from typing import Iterator

from hyperhive.common.errors import CheckpointError
from hyperhive.inference.frames import Say
from hyperhive.inference.models.cache import ModelCache
from hyperhive.inference.models.choice import Chosen, predictor_of
from hyperhive.inference.models.watcher import Watcher
from hyperhive.model.card import SAFETENSORS
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.server.mongo import address
from hyperhive.store.store import Store

_OWN_SERVER = "this machine's own server"


@contextlib.contextmanager
def from_study(
    name: str, uri: str | None, device: str, watch: bool, say: Say, warn: Say
) -> Iterator[Chosen]:
    """Give a study's model; the best so far where it has not ended.

    Args:
        name: of the study.
        uri: of the store; None is this machine's own embedded server.
        device: where PyTorch is to compute.
        watch: whether to take better models meanwhile, as the study finds them.
        say: is told of each better one.
        warn: is told where it is not the store's of now, and what is in the way of better ones.

    Raises ``StoreError`` if the store has no such model, or does not answer and there is no copy of
    an earlier one; ``CheckpointError`` if what it holds cannot be trusted.
    """
    where = _OWN_SERVER if uri is None else address(uri)
    cache = ModelCache(name, where, warn)
    title = f"study {name}"
    with contextlib.ExitStack() as opened:
        server = embedded_server() if uri is None else contextlib.nullcontext(uri)
        reachable = opened.enter_context(server)
        try:
            with Store(reachable) as store:
                packed, card = cache.get(store.model(name), store)
        except CheckpointError as error:
            raise CheckpointError(f"study {name!r}: {error}") from error
        except StoreUnavailable as error:
            kept = cache.kept()
            if kept is None:
                raise
            packed, card = kept
            warn(
                f"{error}; this is the study's model as it was on {cache.age()}, SHA-256 "
                f"{card.weights_sha256[:12]}..."
            )
        predictor = predictor_of(packed, SAFETENSORS, card, device, f"study {name!r}")
        if watch:
            opened.enter_context(Watcher(name, reachable, cache, predictor, device, say, warn))
        else:
            opened.close()  # a server that was started for this is not needed while labelling
        yield Chosen(predictor, title)
