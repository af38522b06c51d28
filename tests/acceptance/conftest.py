"""A home for each module that shares one."""

from __future__ import annotations

from typing import Iterator

import pytest
from support.home import Home


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Give a home that a module's tests share."""
    home = Home(tmp_path_factory.mktemp("shared") / "home")
    yield home
    home.close()
