"""What is published: files, folders, objectives, requirements; keys as people paste them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hyperhive.common.errors import NotTrusted, UsageError
from hyperhive.coordinator.publishing import key as keys
from hyperhive.coordinator.publishing.listing import lines
from hyperhive.coordinator.publishing.pinning import pinned
from hyperhive.coordinator.publishing.publisher import Publisher
from hyperhive.coordinator.publishing.source import read
from hyperhive.store.errors import NotFound
from hyperhive.store.signed.catalog import Catalog
from hyperhive.store.signed.keys import bytes_of, has_signed, text_of
from hyperhive.store.signed.modules import modules_of
from hyperhive.store.signed.package import files_of, packed, unpacked, wrong_path
from hyperhive.store.signed.seen import Seen
from hyperhive.store.signed.seen import read as read_catalog
from hyperhive.store.store import Store

SOURCE = """# /// script
# requires-python = ">=3.8"
# dependencies = [
#   "scikit-learn>=1.0",
#   "tomli; python_version < '3.11'",
# ]
# ///
import hyperhive
import no_such_package


def train(config, trial):
    return 0


def only(config):
    return 0


def helper(model, images, labels):
    return 0


def _private(config):
    return 0


echo: object = hyperhive.command("echo {x}")
"""
NEEDS = "# /// script\n# dependencies = {}\n# ///\ndef train(config, trial):\n    return 0\n"
PLAIN = "def train(config, trial):\n    return 0\n"


def test_a_file_is_read_and_not_run(tmp_path: Path) -> None:
    """Its objectives are those that a worker finds in it; its requirements those of PEP 723."""
    file = tmp_path / "digits.py"
    file.write_text(SOURCE)
    entry, package = read(file)
    assert entry.name == "digits.py"
    assert entry.functions == ("digits.py:train", "digits.py:only", "digits.py:echo")
    assert entry.objectives[0] == f"digits.py:train@{entry.sha256[:12]}"
    assert entry.needs.startswith("scikit-learn>=1.0, tomli")
    assert entry.needs.endswith(", Python >=3.8")
    assert unpacked(package) == {"digits.py": SOURCE.encode()}


def test_a_folder_is_one_package(tmp_path: Path) -> None:
    """A helper's functions of one argument are no objectives; hidden and compiled files stay."""
    folder = tmp_path / "mnist"
    for path in ("sub/data.txt", ".git/config", "__pycache__/helper.pyc", "sub/.hidden"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")
    (folder / "digits.py").write_text(SOURCE)
    (folder / "helper.py").write_text("def load(path):\n    return 0\n")
    entry, package = read(folder)
    assert entry.title == f"mnist@{entry.sha256[:12]}"
    assert entry.functions == ("digits.py:train", "digits.py:only", "digits.py:echo")
    assert sorted(unpacked(package)) == ["digits.py", "helper.py", "sub/data.txt"]
    os.utime(folder / "helper.py", (0, 0))
    assert read(folder)[0] == entry
    for path in ("models/mnist/model.json", "predictions/1.png"):  # what hyperhive itself writes
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("x")
    assert read(folder)[0] == entry
    (folder / "models/net.py").write_text("")
    assert "models/net.py" in unpacked(read(folder)[1])
    os.symlink(folder / "helper.py", folder / "link.py")
    with pytest.raises(UsageError, match=r"link\.py is a link"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"logging.py", "has a module logging, as Python or hyperhive has itself: rename it"),
        (b"hyperhive/x.py", "has a module hyperhive, as Python or hyperhive has itself: rename it"),
        (b"caf\xe9.txt", "which is not plain and relative"),
        (b"data.bin", "has more than 10 MB"),
    ],
)
def test_a_folder_is_refused_before_it_is_packed(tmp_path: Path, name: bytes, said: str) -> None:
    """For a name that would hide a module or is none on some systems, and for what is too large."""
    (tmp_path / "digits.py").write_text(PLAIN)
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    path.parent.mkdir(exist_ok=True)
    path.touch()
    if path.suffix == ".bin":
        os.truncate(path, 1 << 40)  # a hole, which no memory has room for
        with pytest.raises(UsageError, match="too much"):
            files_of(tmp_path)
    with pytest.raises(UsageError) as refused:
        read(tmp_path)
    assert said in str(refused.value)


def test_a_name_stands_for_one_thing(tmp_path: Path) -> None:
    """A link to a file is published under its own name; a function that is defined twice is one."""
    (tmp_path / "digits_v2.py").write_text(PLAIN * 2)
    (tmp_path / "digits.py").symlink_to(tmp_path / "digits_v2.py")
    entry, _ = read(tmp_path / "digits.py")
    assert (entry.name, entry.functions) == ("digits.py", ("digits.py:train",))


def test_a_file_without_what_it_imports_is_refused(tmp_path: Path) -> None:
    """A module or package beside it; neither Python's own, nor what another use of it needs."""
    file = tmp_path / "digits.py"
    (tmp_path / "package").mkdir()
    for name in ("helper.py", "plots.py", "hyperhive.py", "package/__init__.py"):
        (tmp_path / name).touch()
    allowed = "import hyperhive, digits, nothing\nif True:\n    import plots\n"
    file.write_text(allowed + PLAIN)
    read(file)
    for source, name in [
        ("import os, helper.below\n" + PLAIN, "helper.py"),
        (PLAIN + "    from package import x\n", "package/__init__.py"),
    ]:
        file.write_text(allowed + source)
        said = f"imports {name}, which lies beside it and is not included: publish the folder "
        with pytest.raises(UsageError, match=said):
            read(file)


def test_a_file_of_data_is_no_module() -> None:
    """Only what Python would import counts, under the name that it is imported by."""
    files = ["numpy.md", "torch/w.bin", "a.py", "b.abi3.so", "c/d/e.py", "torch.old/x.txt", "f.pyc"]
    assert modules_of(files) == {"a", "b", "c", "f"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n", "has no function of (config, trial)"),
        ("def train(config:\n", "line 1: "),
        (SOURCE.replace('">=3.8"', '">=three"'), "block `# /// script` has "),
        (SOURCE.replace("scikit-learn>=1.0", "a @ https://h/a.whl"), "has an address: omit it"),
        (SOURCE.replace("# dependencies = [", "# dependencies = ["[:-1]), "`# /// script`: "),
        ("#" * 10_000_001, "has more than 10 MB, the most that can be published"),
        ("if True:\n    def train(config, trial):\n        return 0\n", "at the top level"),
        (NEEDS.format('"numpy"'), "dependencies must be a list of text"),
        (NEEDS.format("[\"numpy; sys_platform ~= 'linux'\"]"), "cannot be evaluated"),
    ],
    ids=(
        *("nothing in it", "syntax", "python", "address", "toml", "large", "below if"),
        *("needs as text", "marker"),
    ),
)
def test_what_cannot_be_published_is_one_sentence(tmp_path: Path, source: str, said: str) -> None:
    """It says what is wrong with the file."""
    file = tmp_path / "digits.py"
    file.write_text(source)
    with pytest.raises(UsageError) as refused:
        read(file)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    "paths",
    [
        ["a.py", "A.py"],
        ["a", "a/b.py"],
        ["ä.py", "a\u0308.py"],
        ["a//b.py"],
        ["a/.."],
        ["a./b"],
        ["con:stream"],
        ["a\nb"],
        ["a/NUL.py"],
        [],
    ],
)
def test_paths_mean_the_same_on_every_system(paths: list[str]) -> None:
    """Two that are one file somewhere, or that are none somewhere, are refused."""
    assert wrong_path(dict.fromkeys(paths, b"")) is not None
    with pytest.raises(NotTrusted):
        unpacked(packed(dict.fromkeys(paths, b"")))


def test_a_file_that_is_there_twice_is_refused() -> None:
    """A reader takes one of the two, and another reader perhaps the other."""
    once = packed({"a.py": b"1"})
    element = once[4:-1]
    twice = (len(once) + len(element)).to_bytes(4, "little") + element * 2 + b"\0"
    with pytest.raises(NotTrusted, match="twice"):
        unpacked(twice)


def test_a_key_with_a_typing_error_is_found() -> None:
    """Any one letter; what is right is the same bytes again, and fits no other signature."""
    text = text_of(bytes(range(32)))
    assert bytes_of(text) == bytes(range(32))
    for at in (8, 20, len(text) - 1):
        for wrong in (text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :], text[:at]):
            with pytest.raises(UsageError, match="typing error"):
                bytes_of(wrong)


def test_a_key_is_made_once_for_each_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else can read its file; a store's identity, which is anybody's, names no folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert keys.existing("../../x") is None
    one, other = keys.made("../../x"), keys.made("y")
    assert keys.made("../../x").public == one.public != other.public
    assert has_signed(one.public, one.sign(b"data"), b"data")
    assert not has_signed(other.public, one.sign(b"data"), b"data")
    files = list(tmp_path.rglob("*.pem"))
    assert {file.parent.name for file in files} == {"objectives"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert files[0].parent.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def publisher(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """Give what a user without a key publishes with."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return Publisher(store, pytest.fail)


def test_a_study_takes_the_version_that_is_on_the_disk(
    store: Store, publisher: Publisher, tmp_path: Path
) -> None:
    """Of a file or of its folder; none that differs, and none at all if nothing is published."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    file, helper = folder / "digits.py", folder / "helper.py"
    file.write_text("def train(config, trial):\n    return 0\n")
    helper.write_text("LOSS = 1\n")
    name = "digits.py:train"
    assert pinned(name, file, "s", store) == name

    first = publisher.publish(folder).entry
    assert pinned(name, file, "s", store) == f"{name}@{first.version}"
    store.studies.open("before", {"objective": f"{name}@{first.version}"})
    helper.write_text("LOSS = 2\n")
    differs = (
        r"mnist is not what was published as mnist@\w+ \(helper\.py differs\): publish it again "
    )
    with pytest.raises(UsageError, match=differs):
        pinned(name, file, "s", store)
    assert pinned(name, file, "before", store) == f"{name}@{first.version}"
    second = publisher.publish(folder).entry
    assert pinned(name, file, "s", store) == f"{name}@{second.version}"
    helper.write_text("LOSS = 3\n")
    with pytest.raises(UsageError, match=rf"{second.title} .* publish it again .* or restore it"):
        pinned(name, file, "s", store)
    helper.write_text("LOSS = 1\n")
    assert pinned(name, file, "s", store) == f"{name}@{first.version}"
    assert pinned("other.py:train", folder / "other.py", "s", store) == "other.py:train"

    store.studies.open("ended", {"objective": f"{name}@{first.version}"})
    store.studies.cancel("ended")
    assert publisher.withdraw(first.title) == ["before"]
    assert publisher.withdraw(second.title) == []
    assert pinned(name, file, "s", store) == name
    publisher.publish(file)
    helper.unlink()
    again = publisher.publish(folder).entry
    assert pinned(name, file, "s", store) == f"{name}@{again.version}"
    publisher.withdraw(again.title)  # the same bytes as the file: nothing else offers them
    assert pinned(name, file, "s", store) == name
    publisher.publish(file)
    store.database["objectives"].update_many({}, {"$set": {"signature": b"x"}})
    with pytest.raises(NotTrusted, match="was changed by somebody without the key"):
        pinned(name, file, "s", store)
    with pytest.raises(NotFound, match="not published mnist@1 here: published is nothing"):
        Publisher(store, [].append).withdraw("mnist@1")


def test_what_is_listed_is_what_was_signed(
    store: Store, publisher: Publisher, tmp_path: Path
) -> None:
    """A catalog that its key did not sign is named, and shows nothing of what is in it."""
    assert list(lines(store)) == ["nothing is published"]
    file = tmp_path / "digits.py"
    file.write_text(SOURCE)
    done = publisher.publish(file)
    listed = "\n".join(lines(store))
    assert listed.startswith(f"key {done.key}, this user's:\n  {done.entry.title} (20")
    assert listed.endswith(f"{done.entry.objectives[2]}, needs {done.entry.needs}")
    file.write_text(PLAIN)
    newest = publisher.publish(file).entry.title
    assert [line.split()[0] for line in list(lines(store))[1:]] == [newest, done.entry.title]
    catalogs = store.database["objectives"]
    before = catalogs.find_one_and_update({"_id": done.key}, {"$set": {"signature": b"x"}})
    (line,) = lines(store)
    assert line.endswith(
        "this user's: its catalog in the store was changed by somebody without the key"
    )
    catalogs.replace_one({"_id": done.key}, before)
    publisher.revoke()
    assert list(lines(store)) == [f"key {done.key}: revoked"]


def test_a_key_that_was_restored_goes_on_above_what_devices_have_seen(
    store: Store, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Publishing what is there already is enough; the list shows what a worker would refuse."""
    file, identity = tmp_path / "digits.py", str(store.identity())
    file.write_text(PLAIN)
    done = publisher.publish(file)
    old = Catalog(identity, 2, entries=(done.entry,)).encode()
    signed = {"signed": old, "signature": keys.made(identity).sign(old)}
    store.database["objectives"].update_one({"_id": done.key}, {"$set": signed})
    (line,) = lines(store)
    assert "its catalog in the store, number 2, is older than number " in line
    for memory in (tmp_path / "data").rglob("seen.json"):  # a new machine has the key alone
        memory.unlink()
    assert not Publisher(store, pytest.fail).publish(file).is_new
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "device"))
    Seen().accept(done.key, Catalog(identity, 6))  # while publishers counted from 1
    assert read_catalog(store.catalogs, done.key, identity, Seen()).catalog.entries == (done.entry,)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    store.database["objectives"].delete_one({"_id": done.key})
    (line,) = lines(store)
    assert line.endswith("this user's: its catalog is gone from the store: publish again")
