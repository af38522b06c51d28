"""Fault 27: publishing that is killed, loses a reply, or is done twice at once."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any, Callable

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from support.home import Home, until
from support.proxy import Command, Proxy

from hyperhive.common.errors import NotTrusted
from hyperhive.coordinator.publishing.listing import lines
from hyperhive.coordinator.publishing.publisher import Publisher
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.signed.catalog import verified
from hyperhive.store.signed.package import MOST_BYTES, packed, unpacked
from hyperhive.store.signed.seen import Seen, read
from hyperhive.store.store import Store

SOURCE = "def train(config):\n    return {loss}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file to publish, by a user who has no key yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    path = tmp_path / "digits.py"
    path.write_text(SOURCE.format(loss=1))
    return path


def published(store: Store) -> list[str]:
    """Return the titles in the only catalog, which its key has signed."""
    (stored,) = store.catalogs.all()
    catalog = verified(stored.key, stored.signed, stored.signature, store.identity())
    return [entry.title for entry in catalog.entries]


def is_upload(command: Command) -> bool:
    return command.get("update") == "objectives" and command["$db"] == "hyperhive"


def is_catalog(command: Command) -> bool:
    return command.get("insert") == "objectives"


@pytest.mark.long
@pytest.mark.parametrize("after", [lambda c: "find" in c, is_upload, is_catalog])
def test_27_a_publisher_that_is_killed_can_publish_again(
    home: Home, store: Store, mongo_uri: str, after: Callable[[Command], bool]
) -> None:
    """Before and after its upload, and before it hears of its catalog; it makes no second key."""
    file = home.work / "digits.py"
    file.write_text(SOURCE.format(loss=1))
    reached = threading.Event()

    def silence(command: Command) -> bool:
        if after(command):
            proxy.go_silent()
            reached.set()
        return False

    with Proxy.of(mongo_uri, silence) as proxy:
        program = home.start(
            "objectives", "publish", "digits.py", HYPERHIVE_MONGO=proxy.uri(mongo_uri)
        )
        until(reached.is_set, "the command")
        program.signal(signal.SIGKILL)
        program.end()
    assert len(store.catalogs.all()) == (1 if after is is_catalog else 0)
    again = home.call("objectives", "publish", "digits.py", HYPERHIVE_MONGO=mongo_uri)
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert ("published before" in again.stdout) is (after is is_catalog)
    assert published(store) == [again.stdout.split(" as ")[1].partition(":")[0]]
    assert len(list((home.mongo.parent / "objectives").glob("*.pem"))) == 1


def test_27_a_reply_that_was_lost_changes_nothing(store: Store, mongo_uri: str, file: Path) -> None:
    """The catalog was written: the same command says so, and no second version exists."""
    with Proxy.of(mongo_uri, is_catalog) as proxy, Store(proxy.uri(mongo_uri)) as away:
        publisher = Publisher(away, pytest.fail)
        with pytest.raises(StoreUnavailable):
            publisher.publish(file)
    done = Publisher(store, pytest.fail).publish(file)
    assert not done.is_new
    assert published(store) == [done.entry.title]


def test_27_two_publishers_at_once_lose_nothing(
    store: Store, stores: list[Store], file: Path
) -> None:
    """With one key, from several processes: the catalog has what each of them published."""
    errors: list[BaseException] = []

    def publish(number: int, each: Store) -> None:
        try:
            path = file.parent / f"file{number}.py"
            path.write_text(SOURCE.format(loss=number))
            Publisher(each, pytest.fail).publish(path)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=publish, args=each) for each in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    names = sorted(title.partition("@")[0] for title in published(store))
    assert names == sorted(f"file{number}.py" for number in range(len(stores)))


def test_27_a_revocation_is_not_taken_back(store: Store, mongo_uri: str, file: Path) -> None:
    """By a publisher that read the catalog before the key was revoked."""
    done = Publisher(store, pytest.fail).publish(file)
    file.write_text(SOURCE.format(loss=2))

    def revoke(command: Command) -> bool:
        if is_upload(command):
            Publisher(store, pytest.fail).revoke()
        return False

    with Proxy.of(mongo_uri, revoke) as proxy, Store(proxy.uri(mongo_uri)) as late:
        publisher = Publisher(late, pytest.fail)
        with pytest.raises(NotTrusted, match="has just been revoked: run the command again"):
            publisher.publish(file)
    stored = store.catalogs.get(done.key)
    assert stored is not None
    assert verified(done.key, stored.signed, stored.signature, store.identity()).revoked
    assert Publisher(store, pytest.fail).publish(file).key != done.key


def test_27_packages_that_no_catalog_names_are_deleted(store: Store, file: Path) -> None:
    """Once they are old; what is named stays, and what was just uploaded."""
    first = Publisher(store, pytest.fail).publish(file).entry
    file.write_text(SOURCE.format(loss=2))
    second = Publisher(store, pytest.fail).publish(file).entry
    Publisher(store, pytest.fail).withdraw(first.title)

    def packages() -> set[Any]:
        return {each["_id"] for each in store.database["objectives"].find({"data": {"$ne": None}})}

    assert packages() == {first.sha256, second.sha256}
    store.catalogs.collect(older_than=0)
    assert packages() == {second.sha256}


def test_27_rubbish_among_the_catalogs_stops_no_publisher(store: Store, file: Path) -> None:
    """Another's catalog that names no packages, and a signature that never equals itself."""
    key = Publisher(store, pytest.fail).publish(file).key
    objectives = store.database["objectives"]
    objectives.insert_one({"_id": "ed25519:\x1b[31mX", "packages": 5})
    objectives.delete_one({"_id": key})
    twice = b"\x10a\x00\x01\x00\x00\x00" * 2 + b"\x00"
    signature = b"\x03signature\x00" + (len(twice) + 4).to_bytes(4, "little") + twice
    document = bson.encode({"_id": key})[4:-1] + signature + b"\x00"
    objectives.insert_one(RawBSONDocument((len(document) + 4).to_bytes(4, "little") + document))
    wrong = "its catalog in the store is not signed: publish again"
    assert set(lines(store)) == {
        rf"key ed25519:\x1b[31mX: {wrong}",
        f"key {key}, this user's: {wrong}",
    }
    done = Publisher(store, [].append).publish(file)
    assert done.is_new
    assert read(store.catalogs, key, str(store.identity()), Seen()).catalog.entries == (done.entry,)


def test_27_the_largest_package_arrives(store: Store, file: Path) -> None:
    """It fits into one document, and comes back unchanged."""
    size = MOST_BYTES - len(packed({file.name: b""}))
    file.write_bytes(SOURCE.format(loss=1).encode().ljust(size, b"#"))
    entry = Publisher(store, pytest.fail).publish(file).entry
    assert entry.length == MOST_BYTES
    package = store.catalogs.download(entry.sha256, entry.length)
    assert unpacked(package) == {file.name: file.read_bytes()}
