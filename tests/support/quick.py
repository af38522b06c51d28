"""Trials of the quick objective, posted without a coordinator, and what became of them."""

from __future__ import annotations

from hyperhive.store.blobs import BlobRef
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import Status
from hyperhive.store.trials.trial import Trial
from support.fleet import draft, ended


def post(store: Store, trials: int, study: str = "s", attempts: int = 3) -> None:
    """Post a study's trials."""
    for tid in range(trials):
        store.queue.post(draft(study, tid, max_attempts=attempts))


def all_done_once(store: Store, study: str = "s", seconds: float = 60.0) -> list[Trial]:
    """Wait for the end of a study; fail unless each trial was tried once, and its weights whole."""
    trials = ended(store, study, seconds)
    found = [(trial.status, trial.attempts, trial.late) for trial in trials]
    assert found == [(Status.DONE, 1, 0)] * len(trials), found
    weights_are_whole(store, trials)
    return trials


def weights_are_whole(store: Store, trials: list[Trial]) -> None:
    """Fail unless the weights of each trial are in the store and match their hash."""
    for trial in trials:
        assert trial.artifact is not None
        store.blobs.get(BlobRef.from_document(trial.artifact))
