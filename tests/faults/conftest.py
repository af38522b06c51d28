"""A fleet for each test that needs one."""

from pathlib import Path
from typing import Iterator

import pytest
from fleet import Fleet
from home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Give an empty home; what still runs in it at the end is killed."""
    home = Home(tmp_path / "home")
    yield home
    home.close()


@pytest.fixture
def fleet(home: Home) -> Fleet:
    """Return a fleet with a server and nothing else."""
    return Fleet(home)
