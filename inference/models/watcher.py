"""Taking better models of a study that runs, while it labels."""

from __future__ import annotations

import threading

from hyperhive.common.errors import CheckpointError
from hyperhive.inference.frames import Say
from hyperhive.inference.models.cache import ModelCache
from hyperhive.inference.models.choice import predictor_of
from hyperhive.inference.predictor import Predictor
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.store.errors import CorruptBlob, StoreError, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredModel

POLL_S = 3.0
_TIMEOUT_S = 2.0


class Watcher:
    """Asks the store for a better model in a thread of its own, and has the predictor be it.

    Labelling never waits for it, and goes on whatever becomes of the store. Use it as a context
    manager.

    Args:
        study: its name.
        uri: of the store.
        cache: where the models are kept.
        predictor: what labels; it becomes each better model between two pictures.
        device: where PyTorch is to compute.
        say: is told of each better model.
        warn: is told what is in the way of one.
        poll: seconds between two questions.
    """

    def __init__(
        self,
        study: str,
        uri: str,
        cache: ModelCache,
        predictor: Predictor,
        device: str,
        say: Say,
        warn: Say,
        poll: float = POLL_S,
    ) -> None:
        self._study = study
        self._uri = uri
        self._cache = cache
        self._predictor = predictor
        self._device = device
        self._say = say
        self._warn = warn
        self._poll = poll
        self._refused: StoredModel | None = None
        self._is_away = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()  # a question under way takes seconds at most

    def _run(self) -> None:
        try:
            with Store(self._uri, _TIMEOUT_S) as store:
                while not self._closed.wait(self._poll):
                    self._ask(store)
        except StoreError as error:
            self._tell(self._warn, f"{error}; labelling goes on with the model it has")

    def _ask(self, store: Store) -> None:
        """Take the study's model if it is better; raise ``StoreError`` if it is no use to go on."""
        try:
            found = store.model(self._study)
            if found != self._refused:
                self._take(found, store)
            self._is_away = False
        except StoreUnavailable as error:
            if not self._is_away:
                self._tell(self._warn, f"{error}; labelling goes on, and asks again")
            self._is_away = True
        except (CheckpointError, CorruptBlob) as error:
            self._refused = found
            self._tell(self._warn, f"a newer model was not taken: {error}")

    def _take(self, found: StoredModel, store: Store) -> None:
        if self._is_better(Card.from_json(found.card), found.is_final):
            self._become(*self._cache.get(found, store))

    def _is_better(self, card: Card, is_final: bool) -> bool:
        """Whether a model is another one, and what the study ended with or better validated."""
        now = self._predictor.card
        if card.weights_sha256 == now.weights_sha256:
            return False
        return is_final or (card.validation_accuracy or 0.0) > (now.validation_accuracy or 0.0)

    def _become(self, packed: bytes, card: Card) -> None:
        now = self._predictor.card
        if (card.classes, card.channels) != (now.classes, now.channels):
            raise CheckpointError("it is of other classes or colours: start predict-cam again")
        better = predictor_of(packed, SAFETENSORS, card, self._device, f"study {self._study!r}")
        self._predictor.become(better)
        self._tell(
            self._say,
            f"from here on by trial {card.trial}, {card.validation_accuracy or 0.0:.1%} of "
            f"validation images instead of {now.validation_accuracy or 0.0:.1%}",
        )

    def _tell(self, whom: Say, sentence: str) -> None:
        if not self._closed.is_set():
            whom(sentence)
