"""A home of its own for each test that runs hyperhive's commands."""

from pathlib import Path
from typing import Iterator

import pytest
from home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Give an empty home; what still runs in it at the end is killed."""
    home = Home(tmp_path / "home")
    yield home
    home.close()
