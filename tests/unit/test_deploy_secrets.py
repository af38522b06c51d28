"""`make secrets` and `make certs` write passwords and certificates, and overwrite nothing."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

REPOSITORY = Path(__file__).resolve().parents[2]


def run(folder: Path, script: str, *arguments: str, **variables: str) -> str:
    """Run a script of deploy/ in a folder; return its output."""
    done = subprocess.run(
        ["/bin/sh", str(REPOSITORY / "deploy" / script), *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout
    return done.stdout


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "secrets").iterdir()}


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files(folder)[name])


@pytest.mark.parametrize("tool", ["openssl", "python3"])
def test_secrets_are_made_once(tmp_path: Path, tool: str) -> None:
    """Each login has its own password, in a file that only its owner can read; a rerun keeps it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in (tool, "cat", "chmod", "mkdir", "mv"):
        program = sys.executable if name == "python3" else str(shutil.which(name))
        (tools / name).symlink_to(program)
    output = run(tmp_path, "make-secrets.sh", PATH=str(tools))
    made = files(tmp_path)
    logins = [name + ".uri" for name in ("admin", "coordinator", "worker", "viewer")]
    assert set(made) == {*logins, "admin.password"}
    passwords = [made[name].decode().partition("@")[0].rpartition(":")[2] for name in logins]
    assert passwords[0] == made["admin.password"].decode().strip()
    assert len(set(passwords)) == 4
    assert {len(password) for password in passwords} == {48}
    assert not any(password in output for password in passwords)
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for path in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "secrets" / "worker.uri").unlink()
    again = run(tmp_path, "make-secrets.sh", PATH=str(tools))
    assert again.count("exists: left unchanged") == 4
    changed = {name for name, content in files(tmp_path).items() if content != made[name]}
    assert changed == {"worker.uri"}


def test_certificates_are_backdated_and_keep_their_ca(tmp_path: Path) -> None:
    """A clock that is a day behind accepts them; a new HOST keeps the CA; a rerun does nothing."""
    run(tmp_path, "make-certs.sh")
    first = files(tmp_path)
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    for name in ("ca.pem", "mongo.pem"):
        valid_from = certificate(tmp_path, name).not_valid_before_utc
        assert abs(valid_from - yesterday) < datetime.timedelta(hours=1)
    assert "left unchanged" in run(tmp_path, "make-certs.sh")
    assert files(tmp_path) == first
    run(tmp_path, "make-certs.sh", "192.168.1.10", "studio.local", "::1")
    second = files(tmp_path)
    assert {name for name in first if first[name] == second[name]} == {"ca.pem", "ca.key"}
    names = certificate(tmp_path, "mongo.pem").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["mongo", "localhost", "studio.local"]
    assert names.value.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address(address) for address in ("127.0.0.1", "192.168.1.10", "::1")
    ]
    certificate(tmp_path, "mongo.pem").verify_directly_issued_by(certificate(tmp_path, "ca.pem"))
    for path in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("host", ["192.168.1.10,DNS:evil", "a b", "$(id)", "-x", "1.2.3"])
def test_an_invalid_host_is_refused(tmp_path: Path, host: str) -> None:
    """Only names and addresses get into the certificate."""
    output = run(tmp_path, "make-certs.sh", host)
    assert "mongo.pem written" not in output
    assert not (tmp_path / "secrets" / "mongo.pem").exists()
