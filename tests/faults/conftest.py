"""A fleet for each test that needs one."""

from __future__ import annotations

import pytest
from support.fleet import Fleet
from support.home import Home


@pytest.fixture
def fleet(home: Home) -> Fleet:
    """Return a fleet with a server and nothing else."""
    return Fleet(home)
