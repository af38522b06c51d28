"""What ``hyperhive mongo share`` needs: an address, a current mongod, certificates."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Any, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hyperhive.common import files, paths
from hyperhive.common.errors import UsageError
from hyperhive.store.errors import NoServerBinary
from hyperhive.store.server import shared
from hyperhive.store.server.shared import current_mongod, listen


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the files of each test's server apart."""
    monkeypatch.setattr(paths, "data_directory", lambda: tmp_path)


@pytest.fixture
def used_port() -> Iterator[int]:
    """Give a port of 127.0.0.1 that another program uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def mongod(folder: Path, said: str) -> Path:
    """Return a program that says this when it is asked for its version."""
    path = folder / "mongod"
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return path


# -- the address ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "why"),
    [
        (None, "which address"),
        ("192.0.2.1", "is not this machine's address"),
        ("0.0.0.0", "is not this machine's address"),
        ("::", "is not this machine's address"),
        ("no-such-host.invalid", "no name or address that this machine knows"),
        ("192.168.1.10:27017", "no name or address"),
    ],
)
def test_an_address_that_devices_cannot_use_is_refused(host: str | None, why: str) -> None:
    """The sentence says why, and names --host."""
    with pytest.raises(UsageError, match=why) as refused:
        listen(host, 1024)
    assert "--host" in str(refused.value)


def test_a_name_that_means_only_this_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian gives a machine's own name the address 127.0.1.1, which no device can reach."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(UsageError, match=r"studio means 127\.0\.1\.1, which no other can reach"):
        listen("studio", 0)


def test_a_used_port_is_refused(used_port: int) -> None:
    """The sentence names --port."""
    with pytest.raises(UsageError, match=rf"port {used_port} of 127\.0\.0\.1 .* --port"):
        listen("127.0.0.1", used_port)


@pytest.mark.parametrize(
    ("host", "hosts"), [("127.0.0.1", "127.0.0.1:27999"), ("[::1]", "[::1]:27999")]
)
def test_the_next_run_listens_as_the_last(host: str, hosts: str) -> None:
    """Address and port are those in the administrator's login, unless they are given."""
    uri = f"mongodb://admin:p@{hosts}/hyperhive?authSource=admin"
    files.write_private(shared.default_directory() / "admin.uri", uri)
    again = listen(None, None)
    assert (again.hosts, again.is_local) == (hosts, True)
    assert listen(host, 27998).port == 27998


# -- mongod -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["4.4.29", "6.0.5", "6.9.99"])
def test_an_old_mongod_is_not_opened_to_a_network(tmp_path: Path, version: str) -> None:
    """It gets no security fixes; the sentence names the program and what to install."""
    path = mongod(tmp_path, f"db version v{version}")
    with pytest.raises(NoServerBinary, match=rf"{path} is MongoDB {version}, .* 7\.0 or newer"):
        current_mongod(str(path), is_local=False)
    assert current_mongod(str(path), is_local=True) == (path, version)


@pytest.mark.parametrize("version", ["7.0.0", "8.0.17", "10.1.2"])
def test_a_current_mongod_is_taken(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given with --mongod or installed, whichever way."""
    path = mongod(tmp_path, f"db version v{version}\nBuild Info: {{}}")
    assert current_mongod(str(path), is_local=False) == (path, version)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert current_mongod(None, is_local=False) == (path, version)


def test_the_mongod_of_the_extra_is_not_opened_to_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an installed one, the sentence does not advise the extra again."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoServerBinary, match="is too old") as refused:
        current_mongod(None, is_local=False)
    assert "pip install" not in str(refused.value)


def test_a_program_that_is_no_mongod_is_refused(tmp_path: Path) -> None:
    """What does not say its version is named."""
    path = mongod(tmp_path, "hello")
    with pytest.raises(NoServerBinary, match=f"{path} does not say its version"):
        current_mongod(str(path), is_local=False)


# -- certificates -----------------------------------------------------------------------------


def test_a_new_name_needs_no_new_ca(tmp_path: Path) -> None:
    """The devices trust the CA, so it stays; the server's certificate has the names of this run."""
    from hyperhive.store.server import certificates

    ca, server = tmp_path / "ca.pem", tmp_path / "mongo.pem"
    certificates.ensure(ca, server, ["localhost", "192.168.1.10"])
    first = ca.read_bytes(), (tmp_path / "ca.key").read_bytes(), server.read_bytes()
    certificates.ensure(ca, server, ["studio.local", "fd00::7"])
    assert (ca.read_bytes(), (tmp_path / "ca.key").read_bytes()) == first[:2]
    assert server.read_bytes() != first[2]
    made = x509.load_pem_x509_certificate(server.read_bytes())
    authority: Any = x509.load_pem_x509_certificate(first[0])
    assert made.issuer == authority.subject
    signed_with = ec.ECDSA(made.signature_hash_algorithm or hashes.SHA256())
    authority.public_key().verify(made.signature, made.tbs_certificate_bytes, signed_with)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["studio.local"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("fd00::7")]


def test_certificates_hold_for_a_clock_that_is_behind(tmp_path: Path) -> None:
    """They are valid since yesterday, and for years; nobody else can read the keys."""
    from hyperhive.store.server import certificates

    certificates.ensure(tmp_path / "ca.pem", tmp_path / "mongo.pem", ["localhost"])
    now = datetime.datetime.now(datetime.timezone.utc)
    for name in ("ca.pem", "mongo.pem"):
        made = x509.load_pem_x509_certificate((tmp_path / name).read_bytes())
        assert utc(made, "not_valid_before") < now - datetime.timedelta(hours=23)
        assert utc(made, "not_valid_after") > now + datetime.timedelta(days=3000)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


def utc(certificate: Any, name: str) -> datetime.datetime:
    """Return a time in a certificate; cryptography before 42 gives it without its zone."""
    aware = getattr(certificate, f"{name}_utc", None)
    return aware or getattr(certificate, name).replace(tzinfo=datetime.timezone.utc)
