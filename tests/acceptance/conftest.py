"""A home of its own for each test, and for each module that shares one."""

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


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Give a home that a module's tests share."""
    home = Home(tmp_path_factory.mktemp("shared") / "home")
    yield home
    home.close()
