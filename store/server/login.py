"""A server's address and login, as a URI or in a file.

An address may contain the certificate of the server's CA in ``tlsCA``, an option of our own, so
that one pasted line or one copied file is all that a device needs. PyMongo needs the certificate in
a file: ``resolve`` writes that file and returns a standard URI.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import Path
from typing import Iterable
from urllib.parse import quote, unquote, unquote_plus

from hyperhive.common import files, paths
from hyperhive.common.text import decoded
from hyperhive.store.errors import BadAddress
from hyperhive.store.server.address import Address
from hyperhive.store.server.privileges import ROLES

_CERTIFICATE = re.compile(
    "-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\\s]+)-----END CERTIFICATE-----"
)
_TO_URI = str.maketrans("+/", "-_", "=\n\r \t")
_FROM_URI = str.maketrans("-_", "+/")
_SEVERAL = "."
"""Separates the certificates in one option; it needs no escape in a URI."""
_OPTION = re.compile("(?<=[?&;])(tlsca|tlscafile)=([^&;]*)", re.IGNORECASE)

DEVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Names that need no quoting in a URI or in a shell."""
_MAY_HOLD_A_PASSWORD = re.compile("@|:|%40")
"""An address without its scheme looks like a path, but a path seldom has one of these."""


def folder() -> Path:
    """Return the folder of this user's saved login and its certificates."""
    return paths.config_directory()


def saved_file() -> Path:
    """Return the file of the login that ``hyperhive worker --save-login`` saves."""
    return folder() / "login.uri"


def save(uri: str, keys: Iterable[str] = ()) -> Path:
    """Save a login for this user's next workers; return the file, which only this user can read.

    ``keys`` are those whose published objectives these workers run, in place of all saved before.
    """
    path = saved_file()
    files.write_private(_keys_file(), "".join(f"{key}\n" for key in keys))
    files.write_private(path, portable(uri) + "\n")
    return path


def trusted() -> tuple[str, ...]:
    """Return the keys that were saved with the login. Raises ``OSError``."""
    path = _keys_file()
    return tuple(files.read_text(path).split()) if path.exists() else ()


def _keys_file() -> Path:
    return folder() / "trusted.keys"


def saved() -> Address | None:
    """Return the saved login, None if there is none.

    Raises ``ReadableByOthers`` if other users may read the file, ``BadAddress``, ``OSError``.
    """
    path = saved_file()
    if not path.exists():
        return None
    uri = _uri_in(path, files.read_private(path))
    return Address(uri, f"{path}, the saved login", is_saved=True)


def resolve(given: str, source: str | None = None) -> Address:
    """Return the standard URI for a URI, or for the path of a file that contains one.

    The mode of the file is not checked: a container's secret has the mode of a file on its host.
    Raises ``BadAddress`` if it is neither or cannot be read, ``OSError``.

    Args:
        given: the URI or the path.
        source: the option or variable that it was given by, if that is known.
    """
    if "://" in given:
        return Address(with_ca_file(given), source)
    try:
        path = Path(given).expanduser()
        text = decoded(path.read_bytes(), errors="replace")
    except (OSError, RuntimeError, ValueError) as error:  # no such file, no home, not a file name
        of = f" in {source}" if source else ""
        is_secret = _MAY_HOLD_A_PASSWORD.search(given) is not None
        reason = "there is no such file" if is_secret else _why(given, error)
        raise BadAddress(
            f"the MongoDB address{of} must start with mongodb:// or mongodb+srv://, or be the path "
            f"of a file that contains it: {reason}"
        ) from None
    return Address(_uri_in(path, text), str(path))


def _why(path: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no {path}"
    return f"{path}: {error.strerror if isinstance(error, OSError) else error}"


def _uri_in(path: Path, text: str) -> str:
    words = text.split()
    if len(words) != 1 or "://" not in words[0]:
        raise BadAddress(f"{path} must contain a MongoDB address and nothing else")
    return with_ca_file(words[0])


def portable(uri: str) -> str:
    """Return a URI that needs no file: it contains the certificates of ``tlsCAFile``.

    Raises ``BadAddress`` if that file has none, ``OSError`` if it cannot be read.
    """

    def embed(option: re.Match[str]) -> str:
        if option.group(1).lower() == "tlsca":
            return option.group()
        path = Path(unquote_plus(option.group(2)))
        bodies = _CERTIFICATE.findall(path.read_text(encoding="latin-1"))
        if not bodies:
            raise BadAddress(f"{path}, which tlsCAFile names, contains no certificate")
        return "tlsCA=" + _SEVERAL.join(body.translate(_TO_URI) for body in bodies)

    return _OPTION.sub(embed, uri)


def with_ca_file(uri: str) -> str:
    """Return a standard URI; certificates in it are written to a file, unless that exists.

    Raises ``BadAddress`` if they are malformed, ``OSError`` if the file cannot be written.
    """

    def name_file(option: re.Match[str]) -> str:
        if option.group(1).lower() == "tlscafile":
            return option.group()
        return "tlsCAFile=" + quote(str(_certificate_file(option.group(2).split(_SEVERAL))))

    return _OPTION.sub(name_file, uri)


def device_of(uri: str | None) -> str | None:
    """Return the name under which a device was invited, None for any other login.

    ``invite`` makes a user of the database that the line names, so the line has no ``authSource``.
    A login that several machines share, such as compose.yaml's ``worker``, names no device.
    """
    user, _ = _user_and_password(uri or "")
    is_invited = DEVICE_NAME.fullmatch(user) and "authsource=" not in (uri or "").lower()
    return user if is_invited and user not in ROLES else None


def user_of(uri: str) -> tuple[str, str]:
    """Return the user and the password of a URI; raises ``BadAddress`` if it has none."""
    user, password = _user_and_password(uri)
    if not (user and password):
        raise BadAddress("the MongoDB address has no login: put USER:PASSWORD@ before the host")
    return user, password


def _user_and_password(uri: str) -> tuple[str, str]:
    user, _, password = uri.partition("://")[2].rpartition("@")[0].partition(":")
    return unquote(user), unquote(password)


def _certificate_file(certificates: list[str]) -> Path:
    """Return the file of these certificates. They are not secret; its name is their hash."""
    pem = "".join(map(_armoured, certificates))
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise BadAddress(
            "tlsCA in the MongoDB address is not a certificate: paste the whole line again"
        ) from None
    path = folder() / f"ca-{hashlib.sha256(pem.encode()).hexdigest()[:16]}.pem"
    if not path.exists():
        files.write_private(path, pem)
    return path


def _armoured(certificate: str) -> str:
    body = certificate.translate(_FROM_URI)
    body += "=" * (-len(body) % 4)
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
