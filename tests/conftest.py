"""Fixtures for every test: one real mongod, a store on it, the shared data, and no one's home."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import site
from pathlib import Path
from typing import Iterator

import hypothesis
import pytest
from support.home import Home

from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store

REPOSITORY = Path(__file__).resolve().parent.parent
# Read now: the tests' own environment has none of the user's settings.
DATA = Path(os.environ.get("HYPERHIVE_DATA") or REPOSITORY.parent / "shared" / "data").resolve()

# Before torch is imported: two threads for each of several processes on two cores mostly wait for
# each other. A worker's slot and predict-cam have one too.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Many containers set it: then each process that a test starts compiles all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in every run: a change that breaks something fails at once, or not at all.
hypothesis.settings.register_profile("same", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("same")
# pytest --hypothesis-profile=long: other examples in every run, longer and many more of them.
hypothesis.settings.register_profile(
    "long", derandomize=False, print_blob=True, max_examples=1000, stateful_step_count=100
)


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every test and its subprocesses out of the user's own directories and settings."""
    home = tmp_path_factory.mktemp("home")
    real_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    patch = pytest.MonkeyPatch()
    for name in [name for name in os.environ if name.startswith("HYPERHIVE_")]:
        patch.delenv(name)
    # What is installed in the real home is not the user's data: browsers, and packages of "--user".
    if "PLAYWRIGHT_BROWSERS_PATH" not in os.environ and (real_cache / "ms-playwright").exists():
        patch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(real_cache / "ms-playwright"))
    patch.setenv("PYTHONUSERBASE", site.getuserbase())
    patch.setenv("HOME", str(home))
    for name in ("DATA", "CACHE", "CONFIG", "STATE"):
        patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def mongo_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the session's mongod; ``mongo_uri`` starts it."""
    return tmp_path_factory.mktemp("mongo")


@pytest.fixture(scope="session")
def mongo_uri(mongo_directory: Path) -> Iterator[str]:
    """Run one mongod for the whole session; give the URI of its user, who may read and write."""
    with embedded_server(mongo_directory) as uri:
        yield uri
    shutil.rmtree(mongo_directory / "data")  # 300 MB, which pytest would keep for three sessions


@pytest.fixture(scope="session")
def admin_uri(mongo_uri: str, mongo_directory: Path) -> str:
    """Return the URI of the session's mongod for its administrator."""
    login: dict[str, str] = json.loads((mongo_directory / "login.json").read_text())
    hosts = mongo_uri.rpartition("@")[2].partition("/")[0]
    return "mongodb://admin:{}@{}/hyperhive?authSource=admin".format(login["admin"], hosts)


@pytest.fixture
def store(mongo_uri: str) -> Iterator[Store]:
    """Give a store whose collections are empty and have their indexes, as a worker's user."""
    with Store(mongo_uri) as opened:
        database = opened.client.get_default_database()
        for name in database.list_collection_names():
            database[name].delete_many({})
        opened.ensure_indexes()
        yield opened


@pytest.fixture
def stores(mongo_uri: str, store: Store) -> Iterator[list[Store]]:
    """Give eight stores with open connections, on a database that was emptied."""
    with contextlib.ExitStack() as opened:
        several = [opened.enter_context(Store(mongo_uri)) for _ in range(8)]
        for each in several:
            each.ping()
        yield several


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Give an empty home; what still runs in it at the end is killed."""
    home = Home(tmp_path / "home")
    yield home
    home.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder with the archives of the data sets, or skip: the project holds no copy."""
    if not DATA.is_dir():
        pytest.skip(
            "set HYPERHIVE_DATA to a folder with simpsons-mnist.zip and cmu-faces-quarter.zip"
        )
    return DATA


@pytest.fixture(scope="session")
def simpsons_zip(shared_data: Path) -> Path:
    """Return the archive of Simpsons-MNIST."""
    return shared_data / "simpsons-mnist.zip"


@pytest.fixture(scope="session")
def faces_zip(shared_data: Path) -> Path:
    """Return the archive of the CMU faces."""
    return shared_data / "cmu-faces-quarter.zip"
