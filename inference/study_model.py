"""A study's model: out of the store, or from the copy on this device while the store is away."""

import contextlib
from typing import Iterator, Optional

from inference.frames import Say
from inference.model_cache import ModelCache
from inference.models import Chosen, predictor_of
from inference.watching import Watcher
from model.card import SUFFIX
from model.errors import CheckpointError
from store.connection import Store
from store.driver import address
from store.embedded import embedded_server
from store.errors import StoreUnavailable

_OWN_SERVER = "this machine's own server"


@contextlib.contextmanager
def from_study(
    name: str, uri: Optional[str], device: str, watch: bool, say: Say, warn: Say
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
    title = "study {}".format(name)
    with contextlib.ExitStack() as opened:
        server = embedded_server() if uri is None else contextlib.nullcontext(uri)
        reachable = opened.enter_context(server)
        try:
            with Store(reachable) as store:
                packed, card = cache.get(store.model(name), store)
        except CheckpointError as error:
            raise CheckpointError("study {!r}: {}".format(name, error)) from error
        except StoreUnavailable as error:
            kept = cache.kept()
            if kept is None:
                raise
            packed, card = kept
            warn(
                "{}; this is the study's model as it was on {}, SHA-256 {}...".format(
                    error, cache.age(), card.weights_sha256[:12]
                )
            )
        predictor = predictor_of(packed, SUFFIX, card, device, "study {!r}".format(name))
        if watch:
            opened.enter_context(Watcher(name, reachable, cache, predictor, device, say, warn))
        else:
            opened.close()  # a server that was started for this is not needed while labelling
        yield Chosen(predictor, title)
