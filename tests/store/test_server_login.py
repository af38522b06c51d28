"""An address is given as a URI or in a file, and may contain the certificate of its CA."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import trustme

from hyperhive.common import files
from hyperhive.common.errors import ReadableByOthers
from hyperhive.store.errors import BadAddress
from hyperhive.store.server import login
from hyperhive.store.server.address import address

URI = "mongodb://nano:s3cr3t@h:27017/hyperhive"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """Return a file with the certificates of two CAs and a comment between them."""
    path = tmp_path / "a ca.pem"
    pem = [trustme.CA().cert_pem.bytes() for _ in range(2)]
    path.write_bytes(pem[0] + b"# and another\n" + pem[1])
    return path


def test_a_portable_address_needs_no_file(ca: Path, tmp_path: Path) -> None:
    """The certificates travel in the address and arrive unchanged."""
    there = f"{URI}?tls=true&tlsCAFile={login.quote(str(ca))}&directConnection=true"
    portable = login.portable(there)
    assert str(tmp_path) not in portable
    assert login.portable(portable) == portable
    here = login.resolve(portable)
    assert here is not None
    assert here.startswith(URI + "?tls=true&tlsCAFile=")
    assert here.endswith("&directConnection=true")
    assert address(here) == "h:27017/hyperhive"  # PyMongo accepts it and finds the file
    written = Path(here.partition("tlsCAFile=")[2].partition("&")[0])
    assert written.parent == login.folder()
    kept = written.read_bytes().splitlines()
    assert kept == [line for line in ca.read_bytes().splitlines() if line != b"# and another"]
    assert login.resolve(portable) == here


@pytest.mark.parametrize("uri", [URI, URI + "?tls=true", "mongodb+srv://h.org/x?tls=true&w=1"])
def test_other_addresses_stay_as_they_are(uri: str) -> None:
    """An address without certificates is not changed."""
    assert (login.resolve(uri), login.portable(uri)) == (uri, uri)


@pytest.mark.parametrize("cut", [0, 7, 200])
def test_a_line_that_was_not_pasted_whole_is_refused(ca: Path, cut: int) -> None:
    """Half a certificate is refused in a sentence without the password."""
    portable = login.portable(f"{URI}?tlsCAFile={ca}")
    half = portable[: portable.index("tlsCA=") + 6 + cut]
    with pytest.raises(BadAddress, match="paste the whole line") as refused:
        login.resolve(half)
    assert "s3cr3t" not in str(refused.value)


def test_a_file_holds_an_address(tmp_path: Path) -> None:
    """The path of a file is replaced by the address in it."""
    path = tmp_path / "worker.uri"
    files.write_private(path, URI + "\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert login.resolve(str(path)) == URI
    assert [entry.name for entry in tmp_path.iterdir()] == ["worker.uri"]


def test_a_folder_that_cannot_hold_the_certificate_is_named(
    ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose file system is read-only; the file with the address is fine."""
    file = tmp_path / "nano.uri"
    file.write_text(login.portable(f"{URI}?tlsCAFile={login.quote(str(ca))}"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(ca))
    with pytest.raises(OSError, match=ca.name):
        login.resolve(str(file))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_with_a_byte_order_mark_holds_an_address(tmp_path: Path, encoding: str) -> None:
    """Notepad and PowerShell write a mark; it is no part of the address."""
    path = tmp_path / "address.txt"
    path.write_bytes((URI + "\r\n").encode(encoding))
    assert login.resolve(str(path)) == URI
    saved = login.save(URI)
    try:
        saved.write_bytes((URI + "\r\n").encode(encoding))
        assert login.saved() == URI
    finally:
        saved.unlink()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_saved_login_that_others_may_read_is_refused(mode: int) -> None:
    """The sentence has the command that fixes it; the mode of any other file is not checked."""
    path = login.save(URI)
    try:
        path.chmod(mode)
        with pytest.raises(ReadableByOthers, match=f"chmod 600 {path}"):
            login.saved()
        assert login.resolve(str(path)) == URI
        path.chmod(0o600)
        path.write_bytes(b"\xff")
        with pytest.raises(BadAddress, match="must contain a MongoDB address"):
            login.saved()
    finally:
        path.unlink()


@pytest.mark.parametrize("text", ["", "nonsense s3cr3t", URI + "\n" + URI, "\xff"])
def test_a_file_without_an_address_is_refused(tmp_path: Path, text: str) -> None:
    """The error names the file and quotes nothing from it."""
    path = tmp_path / "worker.uri"
    files.write_private(path, "")
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadAddress, match=str(path)) as refused:
        login.resolve(str(path))
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("/no/file", True),
        ("/", True),
        ("~nobody-of-that-name/x", True),
        ("nano:s3cr3t@host", False),
        ("nano:s3cr3t", False),
        ("nano:s3cr3t%40host", False),
        ("s3cr3t%40host", False),
        ("nano:s3cr3t@h:27017?tlsCA=" + 300 * "A", False),
        ("~nano:s3cr3t@h/x", False),
        ("nano:s3cr3t\0", False),
    ],
)
def test_what_is_neither_is_refused(given: str, shown: bool) -> None:
    """The value is quoted only if it cannot contain a password."""
    with pytest.raises(BadAddress, match="must start with mongodb://") as refused:
        login.resolve(given)
    assert (given in str(refused.value)) == shown
    assert "s3cr3t" not in str(refused.value)


def test_a_saved_login_needs_no_other_file(ca: Path) -> None:
    """A saved login contains the CA's certificate, replaces the one before, and has mode 0600."""
    login.save(URI)
    path = login.save(f"{URI}?tls=true&tlsCAFile={login.quote(str(ca))}")
    ca.unlink()
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert address(login.saved() or "") == "h:27017/hyperhive"
        assert login.user_of(path.read_text()) == ("nano", "s3cr3t")
    finally:
        path.unlink()
    assert login.saved() is None


def test_keys_belong_to_the_login_that_they_were_saved_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next login that is saved replaces them too."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert login.trusted() == ()
    login.save(URI, ["ed25519:one", "ed25519:two"])
    assert login.trusted() == ("ed25519:one", "ed25519:two")
    login.save(URI)
    assert login.trusted() == ()
