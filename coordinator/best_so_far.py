"""The best model so far, for devices that classify with it while the study still runs."""

from __future__ import annotations

from typing import Callable

from hyperhive.common.errors import InputError
from hyperhive.coordinator.views.study_state import StudyState
from hyperhive.model.card import Card
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trials.trial import Trial


class BestModelPublisher:
    """Stores the model of a study's best trial in the study, whenever there is a better one.

    Args:
        store: where the study is.
        card_of: returns the card of a trial's model; raises ``InputError`` if no model can be made.
    """

    def __init__(self, store: Store, card_of: Callable[[Trial, BlobRef], Card]) -> None:
        self._store = store
        self._card_of = card_of
        self._ended = 0
        self._published: int | None = None

    def look(self, study: StudyState) -> None:
        """Publish the best trial's model, unless it is the one that was published last."""
        if study.ended == self._ended:
            return
        best = study.best
        if best is not None and best.artifact is not None and best.tid != self._published:
            try:
                self._publish(study.name, best, BlobRef.from_document(best.artifact))
            except (StoreUnavailable, NotFound):
                return  # the search reports it; the next look tries again
            except (InputError, CorruptBlob):
                pass  # no model can be made of that trial: if it wins, the study's end says why
            self._published = best.tid
        self._ended = study.ended

    def _publish(self, study: str, best: Trial, weights: BlobRef) -> None:
        card = self._card_of(best, weights)
        self._store.studies.offer(study, {"card": card.to_json(), "weights": weights.as_document()})
