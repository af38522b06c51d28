"""Configurations that a person wants to be run: posted at once, beside those that are suggested."""

from __future__ import annotations

from typing import Any, Mapping

from hyperhive.common.errors import UsageError
from hyperhive.common.wording import in_words
from hyperhive.coordinator.api.connection import patiently
from hyperhive.coordinator.search_trials import SearchTrials
from hyperhive.coordinator.searching.teaching import as_taught
from hyperhive.coordinator.study import Study
from hyperhive.store.errors import StudyWithdrawn
from hyperhive.store.store import Store


def enqueue(store: Store, name: str, config: Mapping[str, Any]) -> tuple[int, bool]:
    """Post a configuration of a study; return its number, and False if it was there already.

    Raises ``NotFound``, ``StudyWithdrawn``, ``UsageError`` for a configuration that is not in the
    space, and if the study has ended, its budget has no room, or its teacher is not trained yet.
    """
    stored = patiently(lambda: store.study(name))
    if stored.cancelled:
        raise StudyWithdrawn(f"study {name} was cancelled, and takes no more trials")
    study = patiently(lambda: as_taught(store, Study.stored(name, stored.spec)))
    study.known(0, config)  # a mistake in it is told first
    if stored.finishing or stored.result is not None:
        raise UsageError(
            f"study {name} has ended: start it again with more trials, and with this configuration "
            "in `try` (in Python: try_first)"
        )
    trials = SearchTrials(store, study)
    patiently(trials.load)
    return patiently(lambda: trials.enqueue(config))


def told(store: Store, name: str, config: Mapping[str, Any]) -> str:
    """Do what ``enqueue`` does, and return in a sentence which trial has the configuration."""
    number, is_new = enqueue(store, name, config)
    what = "is" if is_new else "has this configuration already:"
    return f"study {name}, trial {number} {what} {in_words(config)}"
