"""Where a server's address and login come from: as they are given, or out of a file.

An address can hold all that a device needs, the certificate of the server's CA included, as our own
option ``tlsCA``: so one line that is pasted is enough, and one file to be copied. PyMongo wants a
file for it: ``resolve`` writes that file and gives the standard URI.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import Path
from urllib.parse import quote, unquote, unquote_plus

from hyperhive.common import files, paths
from hyperhive.store.errors import BadAddress

VARIABLES = ["HYPERHIVE_MONGO", "HYPERHIVE_MONGO_FILE"]
"""Where a command finds what ``resolve`` takes, if it is not said; the first goes before."""

_CERTIFICATE = re.compile(
    "-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\\s]+)-----END CERTIFICATE-----"
)
_TO_URI = str.maketrans("+/", "-_", "=\n\r \t")
_FROM_URI = str.maketrans("-_", "+/")
_SEVERAL = "."
"""Between the certificates of one option; a URI leaves it as it is."""
_OPTION = re.compile("(?<=[?&;])(tlsca|tlscafile)=([^&;]*)", re.IGNORECASE)

_MAY_HOLD_A_PASSWORD = re.compile("@|:|%40")
"""An address whose scheme was forgotten looks like a path; a path seldom has one of these."""


def folder() -> Path:
    """Return where this user's login and the certificates that go with it are kept."""
    return paths.config_directory()


def saved_file() -> Path:
    """Return the file of the login that ``hyperhive worker --save-login`` keeps."""
    return folder() / "login.uri"


def save(uri: str) -> Path:
    """Keep a login for this user's next workers; return the file, which nobody else can read."""
    path = saved_file()
    files.write_private(path, portable(uri) + "\n")
    return path


def saved() -> str | None:
    """Return the login that was kept, None if there is none.

    Raises ``ReadableByOthers`` if others may read the file by now, ``BadAddress``, ``OSError``.
    """
    path = saved_file()
    return _uri_in(path, files.read_private(path)) if path.exists() else None


def resolve(given: str | None) -> str | None:
    """Return the standard URI of what was given: a URI, or the path of a file that holds one.

    None stays None. Who may read a file that was named is not looked at: a container's secret has
    the owner and mode of a file elsewhere. Raises ``BadAddress`` if it is neither, or cannot be
    read, ``OSError``.
    """
    if given is None or "://" in given:
        return given if given is None else with_ca_file(given)
    try:
        path = Path(given).expanduser()
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, RuntimeError, ValueError) as error:  # no such file, home or name of a file
        what = "that is no such file" if _MAY_HOLD_A_PASSWORD.search(given) else _why(given, error)
        raise BadAddress(
            "the MongoDB address must start with mongodb:// or mongodb+srv://, or be the path of "
            f"a file that holds it: {what}"
        ) from None
    return _uri_in(path, text)


def _why(path: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no {path}"
    return f"{path}: {error.strerror if isinstance(error, OSError) else error}"


def _uri_in(path: Path, text: str) -> str:
    words = text.split()
    if len(words) != 1 or "://" not in words[0]:
        raise BadAddress(f"{path} holds no MongoDB address, or more than that")
    return with_ca_file(words[0])


def portable(uri: str) -> str:
    """Return a URI that needs no file: the certificates that ``tlsCAFile`` names are in it.

    Raises ``BadAddress`` if that file holds none, ``OSError`` if it cannot be read.
    """

    def embed(option: re.Match[str]) -> str:
        if option.group(1).lower() == "tlsca":
            return option.group()
        path = Path(unquote_plus(option.group(2)))
        bodies = _CERTIFICATE.findall(path.read_text(encoding="latin-1"))
        if not bodies:
            raise BadAddress(f"{path} (tlsCAFile) holds no certificate")
        return "tlsCA=" + _SEVERAL.join(body.translate(_TO_URI) for body in bodies)

    return _OPTION.sub(embed, uri)


def with_ca_file(uri: str) -> str:
    """Return a standard URI: certificates in it go to a file, written if it is not there.

    Raises ``BadAddress`` for what is no certificate, ``OSError`` if it cannot be written.
    """

    def name_file(option: re.Match[str]) -> str:
        if option.group(1).lower() == "tlscafile":
            return option.group()
        return "tlsCAFile=" + quote(str(_kept(option.group(2).split(_SEVERAL))))

    return _OPTION.sub(name_file, uri)


def user_of(uri: str) -> tuple[str, str]:
    """Return the user and the password of a URI; raises ``BadAddress`` if it has none."""
    login = uri.partition("://")[2].rpartition("@")[0]
    user, _, password = login.partition(":")
    if not (user and password):
        raise BadAddress("the MongoDB address has no login: USER:PASSWORD@ before the host")
    return unquote(user), unquote(password)


def _kept(certificates: list[str]) -> Path:
    """Return the file of these certificates; they are no secret, and a name stands for its file."""
    pem = "".join(map(_armoured, certificates))
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise BadAddress(
            "tlsCA in the MongoDB address is no certificate: was the line pasted whole?"
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
