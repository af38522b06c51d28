"""A fleet for each test that needs one."""

import pytest
from fleet import Fleet
from home import Home


@pytest.fixture
def fleet(home: Home) -> Fleet:
    """Return a fleet with a server and nothing else."""
    return Fleet(home)
