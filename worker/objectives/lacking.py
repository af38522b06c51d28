"""What an idle worker says about trials that it cannot take: their objective is not on it."""

from __future__ import annotations

import logging
import shlex
import time
from typing import Collection

from hyperhive.common.text import shortened
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import ASK, HYPEROPT, LENET5, is_published

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 10.0
_MOST_SAID = 20
"""Anyone who may post a trial chooses the name of its objective."""
_LONGEST = 400


class Lacking:
    """Says once for each objective that trials wait for it, and how a worker gets it.

    Args:
        objectives: the names of those that the worker has, asked for at each look.
        study: the only one that it works for; None for any.
    """

    def __init__(self, objectives: Collection[str], study: str | None) -> None:
        self._objectives = objectives
        self._study = study
        self._said = {ASK}  # programs take those trials, and no worker
        self._next_look = 0.0

    def look(self, store: Store) -> None:
        """Look for such trials, but not often; raises ``StoreUnavailable``."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_EVERY_S
        waiting = store.trials.waiting_for_others(sorted(self._objectives), self._study)
        for study, objective, count in waiting:
            if objective not in self._said and len(self._said) <= _MOST_SAID:
                self._said.add(objective)
                log.warning("%s", shortened(_sentence(study, objective, count), _LONGEST))


def _sentence(study: str, objective: str, count: int) -> str:
    if objective == HYPEROPT:
        jobs = "1 job of hyperopt's waits" if count == 1 else f"{count} jobs of hyperopt's wait"
        of = f" (experiment {study})" if study else ""
        return (
            f"{jobs}{of} for a worker with --allow-pickled-objectives: this one was started without"
        )
    trials = (
        f"1 trial of study {study} waits" if count == 1 else f"{count} trials of study {study} wait"
    )
    return f"{trials} for {objective}, which this worker does not have: {_cure(objective)}"


def _cure(objective: str) -> str:
    if is_published(objective):
        return (
            "it was withdrawn or is refused here, or this worker was not given its key; start it "
            "with a new line of `hyperhive mongo invite`, which has --trust KEY"
        )
    file, _, function = objective.rpartition(":")
    if function and file.endswith(".py"):
        return f"start it with --objectives {shlex.quote(file)}"
    if objective == LENET5:
        return "install PyTorch here (pip install 'hyperhive[torch]') and start it again"
    return "install its package here (entry point hyperhive.objectives) and start it again"
