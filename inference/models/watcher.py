"""Takes the better models of a running study while predict-cam classifies."""

from __future__ import annotations

import threading

from hyperhive.common.errors import CheckpointError
from hyperhive.common.wording import percent
from hyperhive.inference.frames import Say
from hyperhive.inference.models.cache import ModelCache
from hyperhive.inference.models.file import predictor_of
from hyperhive.inference.predictor import Predictor
from hyperhive.model.card import SAFETENSORS, Card
from hyperhive.store.errors import CorruptBlob, StoreError, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.studies import StoredModel

POLL_S = 3.0
_TIMEOUT_S = 2.0


class Watcher:
    """Polls the store for a better model in its own thread, and gives it to the predictor.

    Classifying never waits for it, and goes on if the store fails. Use it as a context manager.

    Args:
        study: the name of the study.
        uri: of the store.
        cache: keeps the models on this device.
        predictor: becomes each better model, between two pictures.
        device: where PyTorch computes.
        say: is called with a sentence about each better model.
        warn: is called with a sentence if the store fails or a model is refused.
        poll: seconds between two polls.
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
        self._thread.join()  # a poll takes seconds at most

    def _run(self) -> None:
        try:
            with Store(self._uri, _TIMEOUT_S) as store:
                while not self._closed.wait(self._poll):
                    self._ask(store)
        except StoreError as error:
            self._tell(self._warn, f"{error}; labelling goes on with the present model")

    def _ask(self, store: Store) -> None:
        """Take the study's model if it is better; raise ``StoreError`` if polling is useless."""
        try:
            offered = store.model(self._study)
            if offered != self._refused:
                self._take(offered, store)
            self._is_away = False
        except StoreUnavailable as error:
            if not self._is_away:
                self._tell(self._warn, f"{error}; labelling goes on, and the store is asked again")
            self._is_away = True
        except (CheckpointError, CorruptBlob) as error:
            self._refused = offered
            self._tell(self._warn, f"a newer model was refused: {error}")

    def _take(self, offered: StoredModel, store: Store) -> None:
        if self._is_better(Card.from_json(offered.card), offered.is_final):
            self._become(*self._cache.get(offered, store))

    def _is_better(self, card: Card, is_final: bool) -> bool:
        """Return whether a model differs, and is the study's final one or validated better."""
        now = self._predictor.card
        if card.weights_sha256 == now.weights_sha256:
            return False
        return is_final or (card.validation_accuracy or 0.0) > (now.validation_accuracy or 0.0)

    def _become(self, packed: bytes, card: Card) -> None:
        now = self._predictor.card
        if (card.classes, card.channels) != (now.classes, now.channels):
            raise CheckpointError("it has other classes or colours; start predict-cam again")
        better = predictor_of(packed, SAFETENSORS, card, self._device, f"study {self._study!r}")
        self._predictor.become(better)
        accuracy, before = card.validation_accuracy or 0.0, now.validation_accuracy or 0.0
        self._tell(
            self._say,
            f"trial {card.trial} takes over: its validation accuracy is {percent(accuracy)} "
            f"instead of {percent(before)}",
        )

    def _tell(self, listener: Say, sentence: str) -> None:
        if not self._closed.is_set():
            listener(sentence)
