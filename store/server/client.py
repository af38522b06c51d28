"""Our use of PyMongo: client options, its errors as sentences, differences between versions."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
from typing import Any, Callable, Iterator

import pymongo
from pymongo import errors as mongo
from pymongo.uri_parser import parse_uri

from hyperhive.store.encoding import ENCODING_ERRORS, why
from hyperhive.store.errors import (
    BadAddress,
    BadCertificate,
    LoginRefused,
    NotAllowed,
    StoreError,
    StoreUnavailable,
    Unstorable,
)

DEFAULT_DATABASE = "hyperhive"
SERVER_SELECTION_TIMEOUT_S = 2.0
_LONGEST_TRANSFER_S = 86400.0

Guard = Callable[[], "contextlib.AbstractContextManager[None]"]
"""Opens ``translated_errors`` for one server; every access to the server is inside a guard."""

# A "/" or "?" in a password would end the login early, and the rest would be shown as a host.
_LATE_AT = re.compile(r"://[^/?]*[/?].*@", re.DOTALL)
_SRV = re.compile(r"mongodb\+srv://(?:[^/?]*@)?([\w.-]+)(/[^/?@]*)?(?:\?.*)?", re.DOTALL)

_OF_THE_SERVER = ("tls", "ssl", "tlscafile", "tlsca", "replicaset", "directconnection")

# The server quotes the whole command that it refuses, even a trial's history.
_COMMAND = re.compile(r"command \{ (\w+): (\"[^\"]*\"|\w+)?.*", re.DOTALL)

_AUTHENTICATION_FAILED, _ATLAS_ERROR, _UNAUTHORIZED, _USER_NOT_FOUND = 18, 8000, 13, 11
_NO_LOGIN = "requires authentication"  # the server's words without a login, or with a revoked one
_UNTRUSTED, _OUT_OF_TIME = "CERTIFICATE_VERIFY_FAILED", ("not yet valid", "has expired")  # OpenSSL

# PyMongo logs whole commands at DEBUG, which do not belong into a worker's log.
logging.getLogger("pymongo").setLevel(logging.WARNING)


def address(uri: str) -> str:
    """Return the part of a MongoDB URI that may be shown: hosts and database, but no login.

    Raises ``BadAddress`` if the URI cannot be parsed.
    """
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise BadAddress("the MongoDB address must start with mongodb:// or mongodb+srv://")
    if _LATE_AT.search(uri):
        raise _bad_address("an @ after the host")
    if uri.startswith("mongodb+srv://"):  # parse_uri would do a DNS lookup
        srv = _SRV.fullmatch(uri)
        if srv is None:
            raise _bad_address("mongodb+srv:// needs exactly one host name")
        return "".join(part for part in srv.groups() if part)
    try:
        parsed = parse_uri(uri, validate=True, warn=False)
    except OSError as error:
        raise BadAddress(
            f"the file {error.filename} in the MongoDB address cannot be read: {error.strerror}"
        ) from None
    except (mongo.InvalidURI, mongo.ConfigurationError, ValueError, TypeError) as error:
        # PyMongo's text may quote the URI, and the URI may hold a password.
        raise _bad_address(type(error).__name__) from None
    hosts = ",".join(
        host if port is None else f"{host}:{port}" for host, port in parsed["nodelist"]
    )
    return f"{hosts}/{parsed['database'] or DEFAULT_DATABASE}"


def with_login(uri: str, user: str, password: str, host: str | None = None) -> str:
    """Return a URI of the same server and database for another user of that database.

    Only the options that describe the server are kept: the others belong to the first user.

    Args:
        uri: the first user's URI.
        user: the other user's name, escaped as in a URI.
        password: the other user's password, escaped as in a URI.
        host: the server's address for this user, if it is another one.
    """
    scheme, _, rest = uri.partition("://")
    where, _, options = rest.rpartition("@")[2].partition("?")
    hosts, _, database = where.partition("/")
    of_the_server = [
        option
        for option in re.split("[&;]", options)
        if option.partition("=")[0].lower() in _OF_THE_SERVER
    ]
    query = "?" + "&".join(of_the_server) if of_the_server else ""
    return f"{scheme}://{user}:{password}@{host or hosts}/{database or DEFAULT_DATABASE}{query}"


def _bad_address(why: str) -> BadAddress:
    return BadAddress(
        f"the MongoDB address is not valid ({why}); it looks like "
        "mongodb://USER:PASSWORD@HOST:27017/hyperhive?authSource=admin, and each of ':/?#[]@%' "
        "in USER or PASSWORD must be written as %XX"
    )


@contextlib.contextmanager
def translated_errors(where: str, srv: bool = False) -> Iterator[None]:
    """Translate PyMongo's expected errors into a ``StoreError`` about the server at ``where``.

    A value that PyMongo cannot encode is expected too: names and numbers come from outside.
    For a ``mongodb+srv://`` address (``srv``) PyMongo reports a failed DNS lookup as an error of
    configuration. It is one of the network: a laptop may wake before its network does.
    """
    try:
        yield
    except ENCODING_ERRORS as error:
        raise Unstorable(f"the database cannot hold a value: {why(error)}") from error
    except mongo.OperationFailure as error:
        raise _refusal(where, error) from error
    except mongo.ConnectionFailure as error:
        raise _no_connection(where, _reason(error)) from error
    except mongo.ConfigurationError as error:
        if srv and importlib.util.find_spec("dns") is None:  # PyMongo requires it since 4.3
            raise BadAddress(
                "a mongodb+srv:// address needs dnspython: pip install dnspython"
            ) from error
        if srv and not isinstance(error, mongo.InvalidURI):
            raise StoreUnavailable(
                f"the DNS lookup of {where} failed: check the network and the address in --mongo "
                f"({_reason(error)})"
            ) from error
        raise BadAddress(
            f"the MongoDB address {where} is not valid: correct it in --mongo ({_reason(error)})"
        ) from error


def _refusal(where: str, error: mongo.OperationFailure) -> StoreError:
    """Return the error for a server that answered, but refused or failed."""
    if error.code in (_AUTHENTICATION_FAILED, _ATLAS_ERROR):
        return LoginRefused(
            f"MongoDB at {where} refused the login: check user, password and authSource in --mongo"
        )
    # A user who is revoked while the server looks the login up is a user that it does not find.
    is_gone = error.code == _USER_NOT_FOUND
    if is_gone or (error.code == _UNAUTHORIZED and _NO_LOGIN in str(error)):
        return LoginRefused(
            f"MongoDB at {where} requires a login: put USER:PASSWORD@ before the host in --mongo, "
            "or ask for a new login if yours was revoked"
        )
    if error.code == _UNAUTHORIZED:
        command = _COMMAND.sub(r"command \1 \2", _reason(error))
        return NotAllowed(
            f"MongoDB at {where} says this user may not do that ({command}): use a login whose "
            "role may, or run `hyperhive mongo init` again if hyperhive was updated"
        )
    if isinstance(error, mongo.CursorNotFound):  # a cursor of a server that has restarted
        return StoreUnavailable(f"MongoDB at {where} was restarted during the request: try again")
    if isinstance(error, (mongo.ExecutionTimeout, mongo.WTimeoutError)):
        return StoreUnavailable(f"MongoDB at {where} took too long to answer: try again later")
    return StoreError(f"MongoDB at {where} refused the request: {_reason(error)}")


def _no_connection(where: str, reason: str) -> StoreError:
    """Return the error for a server that was not reached, or is not trusted."""
    if _UNTRUSTED not in reason:
        return StoreUnavailable(
            f"MongoDB at {where} does not answer: start it, or check the address in --mongo "
            f"({reason})"
        )
    if any(word in reason for word in _OUT_OF_TIME):
        # Waiting may help: a Jetson has no clock battery and starts in 1970, until NTP answers.
        return StoreUnavailable(
            f"the certificate of MongoDB at {where} is not valid today: set this machine's "
            f"clock, or renew the certificate ({reason})"
        )
    return BadCertificate(
        f"MongoDB at {where} has a certificate that this machine does not trust: in --mongo, set "
        "tlsCAFile to the file of the CA that signed it, and write the host as the certificate "
        f"does ({reason})"
    )


def client_options(timeout: float) -> dict[str, Any]:
    """Return our options of ``MongoClient``: durability, and time-outs in seconds."""
    # Not timeoutMS: PyMongo would use it for the server selection too, and a request to a server
    # that is away would take all of it. GridFS, whose messages are large, uses transfer_time.
    # No retries: PyMongo would wait up to three time-outs for a half-open connection, and delay a
    # worker that is stopping. Code that works through an outage repeats its requests itself.
    return {
        "appname": "hyperhive",
        "tz_aware": True,
        "w": "majority",
        "journal": True,
        "connectTimeoutMS": int(timeout * 1000),
        "socketTimeoutMS": int(timeout * 1000),
        "retryReads": False,
        "retryWrites": False,
        "serverSelectionTimeoutMS": int(min(timeout, SERVER_SELECTION_TIMEOUT_S) * 1000),
    }


def _reason(error: Exception) -> str:
    """Return the first clause of a PyMongo error; the rest describes the topology."""
    text = str(error).split(", full error:")[0].split(", Timeout:")[0]
    return text.split(" (configured timeouts:")[0].strip()


def transfer_time(length: int) -> contextlib.AbstractContextManager[object | None]:
    """Return a context that allows its operations the time for ``length`` bytes on a slow link.

    That is half a minute plus a second for each 100 kB.
    """
    return time_limit(min(30 + length / 100_000, _LONGEST_TRANSFER_S))


def time_limit(seconds: float) -> contextlib.AbstractContextManager[object | None]:
    """Return a context that limits its operations, including the selection of a server.

    PyMongo before 4.2 has no such limit: there the client's time-outs apply to each message.
    """
    if pymongo.version_tuple >= (4, 2):
        return pymongo.timeout(seconds)
    return contextlib.nullcontext()
