"""Real trials, of scikit-learn's digits: a fraction of a second an epoch."""

from __future__ import annotations

from typing import Any

from hyperhive.model.data.loading import digits
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.trial import Trial


def post(store: Store, study: str, tid: int = 0, **changes: Any) -> None:
    """Post a trial of one epoch, or with a configuration changed in some values."""
    data = digits()
    store.datasets.publish(data.content_hash, data.pack(), data.card())
    config = {"dataset": data.content_hash, "learning_rate": 0.05, "epochs": 1, "momentum": 0.5}
    store.queue.post(Draft(study, tid, {**config, **changes}, {}, objective="lenet5"))


def the_trial(store: Store, study: str, tid: int = 0) -> Trial:
    """Return a trial of a study as it stands."""
    (trial,) = store.trials.find(study, tids=[tid])
    return trial


def is_one_line(text: str) -> bool:
    """Whether this is how a command ends for an expected error."""
    return text.startswith("error: ") and text.endswith("\n") and text.count("\n") == 1
