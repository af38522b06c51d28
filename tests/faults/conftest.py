"""A fleet, and a proxy, for each test that needs one."""

from __future__ import annotations

from typing import Iterator

import pytest
from support.fleet import Fleet
from support.home import Home
from support.proxy import Proxy

from hyperhive.store.store import Store


@pytest.fixture
def fleet(home: Home, mongo_uri: str, store: Store) -> Fleet:
    """Return a fleet on the session's server, its database emptied."""
    return Fleet(home, uri=mongo_uri)


@pytest.fixture
def own_fleet(home: Home) -> Fleet:
    """Return a fleet with a server of its own, which may be killed."""
    return Fleet(home)


@pytest.fixture
def between(mongo_uri: str) -> Iterator[Proxy]:
    """Give a proxy to the session's mongod."""
    with Proxy.of(mongo_uri) as opened:
        yield opened
