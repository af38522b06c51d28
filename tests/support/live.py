"""What the live page gets from a store, read once."""

from __future__ import annotations

import json
from typing import Any

from hyperhive.coordinator.live.answers import Answers
from hyperhive.coordinator.live.readings import Readings
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.store.store import Store


def fleet_of(store: Store) -> dict[str, Any]:
    """Return what is beside the figures: studies, workers, incidents."""
    answer: dict[str, Any] = json.loads(Answers(store, Readings(FleetReader(store))).fleet())
    fleet: dict[str, Any] = answer["fleet"]
    return fleet


def study_of(store: Store, name: str) -> dict[str, Any]:
    """Return a study's figures."""
    answers = Answers(store, Readings(FleetReader(store)))
    study: dict[str, Any] = json.loads(answers.figures(name, None))["study"]
    return study
