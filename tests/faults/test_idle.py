"""Those that wait ask for no more as time goes by: two minutes here, an hour in ``make faults``."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import idle
from support.idle import Growth

from hyperhive.store.store import Store

MINUTES = 2
LARGEST_GROWTH = 1 << 20
"""Bytes of memory: allocators round up."""


def test_an_idle_worker_grows_nothing(mongo_uri: str, store: Store, tmp_path: Path) -> None:
    """Neither its memory nor the database."""
    grown = idle.worker(mongo_uri, tmp_path, MINUTES * 60)
    assert grown.operations > MINUTES * 60
    check(grown)


@pytest.mark.long
def test_an_idle_coordinator_grows_nothing(mongo_uri: str, store: Store) -> None:
    """Neither its memory nor the database."""
    grown = idle.coordinator_alone(mongo_uri, MINUTES * 60)
    assert grown.operations >= MINUTES * 600
    check(grown)


def check(grown: Growth) -> None:
    assert (grown.data, grown.documents) == (0, 0)
    assert grown.memory < LARGEST_GROWTH
