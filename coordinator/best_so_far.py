"""The best model so far, for those who label with it while the study still runs."""

from __future__ import annotations

from typing import Callable

from hyperhive.common.errors import InputError
from hyperhive.coordinator.search import Snapshot
from hyperhive.model.card import Card
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import CorruptBlob, NotFound, StoreUnavailable
from hyperhive.store.store import Store
from hyperhive.store.trial import Trial


class Offers:
    """Writes the model of a study's best trial into the study, each time that there is a better.

    Args:
        store: where the study is.
        card_of: returns the card of a trial's model; raises ``InputError`` where it has none.
    """

    def __init__(self, store: Store, card_of: Callable[[Trial, BlobRef], Card]) -> None:
        self._store = store
        self._card_of = card_of
        self._seen = 0
        self._last: int | None = None

    def look(self, snapshot: Snapshot) -> None:
        """Offer the best trial of a snapshot, unless it was the last that was offered."""
        if len(snapshot.finished) == self._seen:
            return
        best = snapshot.best
        if best is not None and best.artifact is not None and best.tid != self._last:
            try:
                self._offer(snapshot.study, best, BlobRef.from_document(best.artifact))
            except (StoreUnavailable, NotFound):
                return  # the search tells of it; there is another look in a moment
            except (InputError, CorruptBlob):
                pass  # no model can be made of that trial: if it wins, the study's end says why
            self._last = best.tid
        self._seen = len(snapshot.finished)

    def _offer(self, study: str, best: Trial, weights: BlobRef) -> None:
        card = self._card_of(best, weights)
        self._store.studies.offer(study, {"card": card.to_json(), "weights": weights.as_document()})
