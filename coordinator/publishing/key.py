"""The key with which this user signs: one for each store, in the user's data directory.

So a revocation in a store reaches every device that trusts the key. The private key never leaves
this machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hyperhive.common import files
from hyperhive.common.errors import InputError
from hyperhive.common.locks import ALONE, locked
from hyperhive.store.signed.keys import text_of
from hyperhive.store.signed.seen import folder


@dataclass(frozen=True)
class SigningKey:
    """A private key; ``public`` is the text of its public key."""

    public: str
    private: Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        """Return the signature of these bytes."""
        return self.private.sign(data)


def existing(store: str | None) -> SigningKey | None:
    """Return the key for the store of this identity, None if there is none.

    Raises ``ReadableByOthers``, ``InputError`` for a damaged file, ``OSError``.
    """
    path = _file(str(store))
    return _read(path) if path.exists() else None


def _read(path: Path) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(files.read_private(path).encode(), None)
    except ValueError as error:
        raise InputError(f"{path} is no private key: restore it from a copy") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError(f"{path} is no Ed25519 key: restore it from a copy")
    raw, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return SigningKey(text_of(private.public_key().public_bytes(raw, form)), private)


def made(store: str) -> SigningKey:
    """Return the key for the store of this identity; make it if there is none."""
    path = _file(store)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(path.with_suffix(".lock"), ALONE):  # two commands at once make one key
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            files.write_private(path, pem.decode())
        return _read(path)


def forget(store: str, public: str) -> None:
    """Delete the key for a store, if it is this one: it was revoked."""
    path = _file(store)
    with locked(path.with_suffix(".lock"), ALONE):
        found = existing(store)
        if found is not None and found.public == public:
            path.unlink()


def _file(store: str) -> Path:
    """Return the file of a key; the store may have any identity, so its hash is in the name."""
    return folder() / f"key-{hashlib.sha256(store.encode()).hexdigest()[:16]}.pem"
