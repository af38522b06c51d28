"""Public keys as people paste them, and whether a key has signed something.

A key is Ed25519 (RFC 8032). Its text is ``ed25519:`` and, in base64url, the 32 bytes of the public
key with the first 4 bytes of their SHA-256, by which a typing error is found.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from hyperhive.common.errors import UsageError
from hyperhive.common.text import printable

PREFIX = "ed25519:"
_LENGTH = 32
_CHECK = 4
_TEXT = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{48}")
_SHOWN = len(PREFIX) + 8


def text_of(public: bytes) -> str:
    """Return the text of a public key, which is 32 bytes."""
    return PREFIX + base64.urlsafe_b64encode(public + _check_of(public)).decode()


def bytes_of(text: str) -> bytes:
    """Return the 32 bytes of a public key; raises ``UsageError`` for what is none."""
    try:
        decoded = base64.urlsafe_b64decode(text[len(PREFIX) :]) if _TEXT.fullmatch(text) else b""
    except binascii.Error:
        decoded = b""
    public = decoded[:_LENGTH]
    if len(public) != _LENGTH or decoded[_LENGTH:] != _check_of(public):
        raise UsageError(
            f"{printable(text):.80} is no key, or it has a typing error: paste the whole line of "
            "`hyperhive mongo invite` again, or the key of `hyperhive objectives list`"
        )
    return public


def short(text: str) -> str:
    """Return the beginning of a key, for a sentence that has no room for all of it."""
    return text[:_SHOWN] + "…"


def has_signed(key: str, signature: bytes, data: bytes) -> bool:
    """Return whether a signature is this key's of these bytes; never for what is no key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes_of(key)).verify(signature, data)
    except (InvalidSignature, UsageError):
        return False
    return True


def _check_of(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:_CHECK]
