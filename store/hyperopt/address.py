"""hyperopt's way to write a server's address, as a standard MongoDB URI."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

from hyperhive.store.errors import BadAddress


def standard_uri(uri: str) -> str:
    """Return the standard MongoDB URI for any address that ``MongoTrials`` takes.

    hyperopt's own ``mongo://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE/jobs`` is rewritten as hyperopt
    reads it: USER and PASSWORD are taken literally, a missing PASSWORD is read from
    ``~/.hyperopt``, and the user ``hyperopt`` belongs to the database ``admin``. Raises
    ``BadAddress``.
    """
    scheme, _, rest = uri.partition("://")
    if scheme in ("mongodb", "mongodb+srv"):
        return uri
    if scheme in ("mongo+ssh", "ssh+mongo"):
        raise BadAddress(
            "an SSH tunnel cannot be part of the MongoDB address: open it yourself (ssh -L "
            "27017:localhost:27017 HOST), then use mongodb://localhost:27017/DATABASE"
        )
    where, _, path = rest.partition("/")
    login, _, host = where.rpartition("@")
    path, _, options = path.partition("?")
    database, _, collection = path.partition("/")
    if scheme != "mongo" or not database or collection != "jobs":
        raise BadAddress(
            "the MongoDB address must look like mongodb://USER:PASSWORD@HOST:27017/DATABASE, or "
            "as hyperopt writes it: mongo://HOST:27017/DATABASE/jobs"
        )
    if login:
        user, _, password = login.partition(":")
        host = f"{_quoted(user)}:{_quoted(password or _password())}@{host}"
        if user == "hyperopt" and "authsource=" not in options.lower():
            options = "&".join(filter(None, (options, "authSource=admin")))
    return f"mongodb://{host}/{database}" + (f"?{options}" if options else "")


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _password() -> str:
    try:
        return (Path.home() / ".hyperopt").read_text().rstrip("\n")
    except OSError as error:
        raise BadAddress(
            "the MongoDB address has a user but no password, and ~/.hyperopt cannot be read: "
            "write the password there, or into the address as USER:PASSWORD@"
        ) from error
