"""Fault 26: whoever can write to the database cannot run code on a worker.

The attacker has a coordinator's login, and so may write whatever a role of ours may write, but not
the private key. What is refused does not run, and the worker tells it: in its log, and in its
record, which ``status`` shows.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

import pymongo
import pytest
from bson import Int64
from support.bench import Bench, living, succeeds
from support.home import until

from hyperhive.coordinator.publishing import key as keys
from hyperhive.coordinator.publishing.publisher import Publisher
from hyperhive.store.server.privileges import COORDINATOR
from hyperhive.store.signed.catalog import Catalog, Entry
from hyperhive.store.signed.package import digest, packed
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import Status
from hyperhive.worker.objectives.lacking import Lacking
from hyperhive.worker.signed import published

GOOD = "import pathlib\n\ndef train(config):\n    return {loss}\n"
EVIL = "import pathlib\n\npathlib.Path({mark!r}).touch()\n\ndef train(config):\n    return 0\n"


@dataclass
class Scene:
    """A store with published code, an attacker who writes to it, and a device that trusts the key.

    ``mark`` is the file that the attacker's code would make.
    """

    store: Store
    attacker: Store
    publisher: Publisher
    entry: Entry
    key: str
    mark: Path
    folder: Path
    uri: str

    @property
    def name(self) -> str:
        """The objective that was published."""
        return self.entry.objectives[0]

    @property
    def objectives(self) -> Any:
        """The collection, as the attacker may use it."""
        return self.attacker.database["objectives"]

    def catalog(self) -> dict[str, Any]:
        """Return the document of the key's catalog."""
        found: dict[str, Any] = self.objectives.find_one({"_id": self.key})
        return found

    def sign(self, *entries: Entry, store: str | None = None) -> None:
        """Write a catalog that the right key has signed, as its owner never would."""
        identity = str(self.store.identity())
        serial = int(time.time()) + 100  # above what was published
        signed = Catalog(store or identity, serial, entries=entries).encode()
        key = keys.made(identity)
        fields = {"signed": signed, "signature": key.sign(signed)}
        self.objectives.update_one({"_id": self.key}, {"$set": fields})

    def evil(self, path: str = "digits.py") -> tuple[Entry, bytes]:
        """Return an entry and a package with the attacker's code in this file."""
        package = packed({path: EVIL.format(mark=str(self.mark)).encode()})
        entry = Entry("digits.py", digest(package), len(package), (f"{Path(path).name}:train",))
        return entry, package

    @contextlib.contextmanager
    def device(self, posts: str | None = None, also: str | None = None) -> Iterator[Bench]:
        """Run a worker that trusts the key, while a trial waits for an objective."""
        trusted = tuple(filter(None, (self.key, also)))
        self.store.queue.post(Draft("s", 0, {}, {}, objective=posts or self.name))
        lacking = Lacking((), "s")
        with living(self.uri, self.folder, succeeds, keys=trusted, lacking=lacking) as (it, _):
            yield it

    def is_told(self, why: str) -> None:
        """Wait until the worker's record says this."""

        def said() -> bool:
            present = self.store.workers.present()
            return any(why in reason for worker in present for _, reason in worker.refused)

        until(said, why)


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this test a user's folders of its own."""
    for name in ("DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setattr(published, "_LOOK_EVERY_S", 0.05)


@pytest.fixture(scope="module")
def attacker(admin_uri: str) -> Iterator[Store]:
    """Give the store to somebody who has a coordinator's login, and no key."""
    with Store(admin_uri) as admin:
        admin.roles.ensure()
        login = f"mongodb://thief:{admin.roles.invite('thief', COORDINATOR)}@{admin.address}"
        with Store(login) as attacker:
            yield attacker
        admin.roles.revoke("thief")


@pytest.fixture
def scene(
    store: Store, attacker: Store, mongo_uri: str, tmp_path: Path, own_folders: None
) -> Scene:
    attacker._identity = None  # the database was emptied
    file = tmp_path / "digits.py"
    file.write_text(GOOD.format(loss=0.5))
    publisher = Publisher(store, pytest.fail)
    done = publisher.publish(file)
    folder = tmp_path / "outbox"
    return Scene(
        store, attacker, publisher, done.entry, done.key, tmp_path / "ran", folder, mongo_uri
    )


def put_under_the_key(scene: Scene, **fields: Any) -> None:
    scene.objectives.update_one({"_id": scene.key}, {"$set": fields})


def forged(scene: Scene) -> None:
    """Sign a catalog with a key of one's own."""
    entry, package = scene.evil()
    scene.attacker.catalogs.upload(package)
    signed = Catalog(str(scene.store.identity()), 9, entries=(entry,)).encode()
    put_under_the_key(scene, signed=signed, signature=keys.made("another").sign(signed))


def changed(scene: Scene) -> None:
    """Put another package's hash into the signed catalog."""
    entry, package = scene.evil()
    scene.attacker.catalogs.upload(package)
    signed = scene.catalog()["signed"].replace(scene.entry.sha256.encode(), entry.sha256.encode())
    # A signature that differs: else a worker that has seen the catalog would not look at it again.
    put_under_the_key(scene, signed=signed, signature=b"x" * 64)


def unsigned(scene: Scene) -> None:
    """Write a catalog without a signature."""
    entry, package = scene.evil()
    scene.attacker.catalogs.upload(package)
    signed = Catalog(str(scene.store.identity()), 9, entries=(entry,)).encode()
    put_under_the_key(scene, signed=signed, signature=None)


def of_another_store(scene: Scene) -> None:
    """Copy a catalog from another store, in which the owner published something else."""
    entry, package = scene.evil()
    scene.attacker.catalogs.upload(package)
    scene.sign(entry, store="another")


def swapped(scene: Scene) -> None:
    """Put another package in the place of the signed one."""
    data = scene.evil()[1]
    scene.objectives.update_one({"_id": scene.entry.sha256}, {"$set": {"data": data}})


def truncated(scene: Scene) -> None:
    """Cut the signed package."""
    data = scene.objectives.find_one({"_id": scene.entry.sha256})["data"][:-1]
    scene.objectives.update_one({"_id": scene.entry.sha256}, {"$set": {"data": data}})


def deleted(scene: Scene) -> None:
    """Delete the signed package."""
    scene.objectives.delete_one({"_id": scene.entry.sha256})


def undatable(scene: Scene) -> None:
    """Put a date that Python cannot hold in the place of the signature."""
    far = [{"$set": {"signature": {"$toDate": Int64(2**60)}}}]
    scene.objectives.update_one({"_id": scene.key}, far)


def undatable_package(scene: Scene) -> None:
    """Put such a date in the place of the signed package."""
    far = [{"$set": {"data": {"$toDate": Int64(2**60)}}}]
    scene.objectives.update_one({"_id": scene.entry.sha256}, far)


READS_ANY_DATE = pymongo.version_tuple >= (4, 3)

ATTACKS: Mapping[Callable[[Scene], None], str] = {
    forged: "was changed by somebody without the key",
    changed: "was changed by somebody without the key",
    unsigned: "its catalog in the store is not signed",
    of_another_store: "was signed for another store",
    swapped: "its package in the store is not the one that was signed",
    truncated: "its package in the store is not the one that was signed",
    deleted: "its package is not in the store",
    undatable: "is not signed" if READS_ANY_DATE else "this PyMongo cannot read",
    undatable_package: "not the one that was signed" if READS_ANY_DATE else "cannot be read",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_26_what_the_key_did_not_sign_does_not_run(
    scene: Scene, attack: Callable[[Scene], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the attacker's code runs nor any trial; the worker's log and record say why."""
    attack(scene)
    waiting = scene.evil()[0].objectives[0] if attack in (forged, unsigned) else scene.name
    with scene.device(posts=waiting) as worker:
        scene.is_told(ATTACKS[attack])
        until(lambda: ATTACKS[attack] in caplog.text, "the worker's log")
        assert not set(worker.objectives) - {"lenet5"}
    assert not scene.mark.exists()
    assert [trial.status for trial in scene.store.trials.find("s")] == [Status.NEW]


@pytest.mark.parametrize(
    "path",
    [
        "../digits.py",
        "/digits.py",
        "a/../../digits.py",
        "C:/digits.py",
        "a\\digits.py",
        "./digits.py",
    ],
)
def test_26_a_signed_path_that_climbs_out_writes_nothing(
    scene: Scene, tmp_path: Path, path: str
) -> None:
    """Even the owner's key signs no way out of the package's own folder."""
    entry, package = scene.evil(path)
    scene.store.catalogs.upload(package)
    scene.sign(replace(entry, functions=("digits.py:train",)))
    (name,) = replace(entry, functions=("digits.py:train",)).objectives
    with scene.device(posts=name):
        scene.is_told("which is not plain and relative")
    assert not scene.mark.exists()
    assert not list((tmp_path / "cache").rglob("*.py"))


def test_26_an_old_catalog_is_not_believed_again(scene: Scene) -> None:
    """What was withdrawn stays withdrawn on a device that knows, also after it is restarted."""
    old = scene.catalog()
    with scene.device() as worker:
        until(lambda: scene.name in worker.objectives, "the objective")
        scene.publisher.withdraw(scene.entry.title)
        until(lambda: scene.name not in worker.objectives, "its end")
        scene.objectives.replace_one({"_id": scene.key}, old)
        scene.is_told("which was here before")
    with scene.device(posts=scene.name) as worker:
        scene.is_told("which was here before")
        assert scene.name not in worker.objectives


def test_26_a_revoked_key_is_never_trusted_again(scene: Scene) -> None:
    """Nor if the revocation is deleted from the database; the next publication has a new key."""
    old = scene.catalog()
    with scene.device() as worker:
        assert scene.publisher.revoke() == scene.key
        scene.is_told("it was revoked")
        scene.objectives.replace_one({"_id": scene.key}, old)
    with scene.device() as worker:
        scene.is_told("it was revoked")
        assert scene.name not in worker.objectives
    assert scene.publisher.key().public != scene.key


def test_26_a_device_alone_knows_what_was_revoked(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory is on its own disk; a device that never saw the revocation cannot know it."""
    old = scene.catalog()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "device"))
    with scene.device() as worker:
        until(lambda: scene.name in worker.objectives, "the objective")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    scene.publisher.revoke()
    scene.objectives.replace_one({"_id": scene.key}, old)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "device"))
    with scene.device() as worker:
        until(lambda: scene.name in worker.objectives, "a limit that docs/security.md states")


def test_26_the_identity_of_another_store_offers_no_more_than_trusted_keys_signed_there(
    scene: Scene, admin_uri: str
) -> None:
    """Whoever owns the whole database can change it; docs/security.md states what that allows."""
    second, package = keys.made("another"), packed({"digits.py": GOOD.format(loss=1).encode()})
    entry = Entry("digits.py", digest(package), len(package), ("digits.py:train",))
    signed = Catalog("another", 1, entries=(entry,)).encode()
    scene.attacker.catalogs.upload(package)
    scene.attacker.catalogs.put(second.public, signed, second.sign(signed), [], None)
    with Store(admin_uri) as admin:
        identity = {"_id": "identity"}
        admin.database["meta"].update_one(identity, {"$set": {"value": "another"}})
        with scene.device(posts=entry.objectives[0], also=second.public) as worker:
            scene.is_told("was signed for another store")
            until(lambda: scene.store.trials.find("s")[0].is_final, "a trial of the other store's")
            assert set(worker.objectives) == {"lenet5", *entry.objectives}
        admin.database["meta"].update_one(identity, {"$unset": {"value": 1}})
        with scene.device(also=second.public) as worker:
            until(lambda: not set(worker.objectives) - {"lenet5"}, "nothing to be offered")
            scene.is_told("was signed for another store")


def test_26_a_name_that_no_catalog_has_is_not_offered(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """A trial may name any hash; code of that name without the hash is not run for it."""
    name = "digits.py:train@" + "0" * 12
    with scene.device(posts=name) as worker:
        until(lambda: f"waits for {name}, which this worker does not have" in caplog.text, "a word")
        assert name not in worker.objectives


def test_26_other_code_under_the_same_name_is_refused(scene: Scene) -> None:
    """A second key whose code has a hash with the same beginning replaces nothing."""
    same = Entry("digits.py", scene.entry.version + "0" * 52, 1, scene.entry.functions)
    second, identity = keys.made("second"), str(scene.store.identity())
    signed = Catalog(identity, 1, entries=(same,)).encode()
    assert same.objectives == scene.entry.objectives
    scene.attacker.catalogs.put(second.public, signed, second.sign(signed), [], None)
    scene.key, first = second.public, scene.key
    with scene.device(also=first) as worker:
        scene.is_told("two keys have published different code under this name")
        assert scene.name not in worker.objectives


def test_26_a_copy_that_was_changed_on_the_disk_is_not_run(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor a file that was put beside it: the signed code is fetched again, and runs."""
    with scene.device():
        until(lambda: scene.store.trials.find("s")[0].is_final, "the first trial")
    (copy,) = (tmp_path / "cache").rglob("digits.py")
    source = EVIL.format(mark=str(scene.mark))
    copy.write_text(source)
    (copy.parent / "pathlib.py").write_text(source)
    os.close(os.open(os.path.join(os.fsencode(copy.parent), b"caf\xe9"), os.O_CREAT))
    killed = copy.parent.with_suffix(".part")  # what a worker leaves that is killed while it writes
    killed.mkdir()
    (killed / "pathlib.py").write_text(source)
    scene.store.queue.post(Draft("s", 1, {}, {}, objective=scene.name))
    with scene.device():
        until(lambda: scene.store.trials.find("s")[1].is_final, "the second trial")
    assert [trial.loss for trial in scene.store.trials.find("s")] == [0.5, 0.5]
    assert "was changed on this disk: it is not run, and fetched again" in caplog.text
    assert not scene.mark.exists()
    assert os.listdir(copy.parent) == ["digits.py"]
    assert not killed.exists()


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (lambda scene, old: scene.objectives.replace_one({"_id": scene.key}, old), "is older than"),
        (lambda scene, old: forged(scene), "was changed by somebody without the key"),
        (lambda scene, old: scene.objectives.delete_one({"_id": scene.key}), "is gone"),
    ],
    ids=("an older one", "a forged one", "none"),
)
def test_26_the_owner_signs_nothing_that_somebody_else_put_there(
    scene: Scene, attack: Callable[[Scene, Any], None], said: str, tmp_path: Path
) -> None:
    """A publisher that finds its catalog replaced begins an empty one, and says so."""
    old = scene.catalog()
    scene.publisher.withdraw(scene.entry.title)
    attack(scene, old)
    other = tmp_path / "other.py"
    other.write_text(GOOD.format(loss=1))
    warned: list[str] = []
    done = Publisher(scene.store, warned.append).publish(other)
    assert [said in text for text in warned] == [True]
    with scene.device(posts=done.entry.objectives[0]) as worker:
        until(lambda: scene.store.trials.find("s")[0].is_final, "a trial of the new one")
        assert set(worker.objectives) == {"lenet5", *done.entry.objectives}
