"""What PyMongo is to us: a client's options, its errors as sentences, its versions' differences."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
from typing import Any, Callable, Iterator

import pymongo
from pymongo import errors as mongo
from pymongo.uri_parser import parse_uri

from hyperhive.store.errors import (
    BadAddress,
    BadCertificate,
    LoginRefused,
    NotAllowed,
    StoreError,
    StoreUnavailable,
)

DEFAULT_DATABASE = "hyperhive"
SERVER_SELECTION_TIMEOUT_S = 2.0
_LONGEST_TRANSFER_S = 86400.0

Guard = Callable[[], "contextlib.AbstractContextManager[None]"]
"""Opens ``translated_errors`` for one server: every access to it happens inside a guard."""

# A "/" or "?" in a password ends the login too early: the rest of it would be shown as a host.
_LATE_AT = re.compile(r"://[^/?]*[/?].*@", re.DOTALL)
_SRV = re.compile(r"mongodb\+srv://(?:[^/?]*@)?([\w.-]+)(/[^/?@]*)?(?:\?.*)?", re.DOTALL)

_OF_THE_SERVER = ("tls", "ssl", "tlscafile", "tlsca", "replicaset", "directconnection")

# The server quotes the whole command that it refuses, a trial's history included.
_COMMAND = re.compile(r"command \{ (\w+): (\"[^\"]*\"|\w+)?.*", re.DOTALL)

_AUTHENTICATION_FAILED, _ATLAS_ERROR, _UNAUTHORIZED, _USER_NOT_FOUND = 18, 8000, 13, 11
_NO_LOGIN = "requires authentication"  # what the server says to who has none, or has it no more
_UNTRUSTED, _OUT_OF_TIME = "CERTIFICATE_VERIFY_FAILED", ("not yet valid", "has expired")  # OpenSSL

# PyMongo logs whole commands at DEBUG; nobody wants those in a worker's log.
logging.getLogger("pymongo").setLevel(logging.WARNING)


def address(uri: str) -> str:
    """Return the part of a MongoDB URI that may be shown: hosts and database, never a login.

    Raises ``BadAddress`` for a URI that cannot be parsed.
    """
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise BadAddress("the MongoDB address must start with mongodb:// or mongodb+srv://")
    if _LATE_AT.search(uri):
        raise _bad_address("an @ after the host")
    if uri.startswith("mongodb+srv://"):  # parsing one would ask the name server
        srv = _SRV.fullmatch(uri)
        if srv is None:
            raise _bad_address("no one host name")
        return "".join(part for part in srv.groups() if part)
    try:
        parsed = parse_uri(uri, validate=True, warn=False)
    except OSError as error:
        raise BadAddress(
            f"{error.filename}, which the MongoDB address names, cannot be read: {error.strerror}"
        ) from None
    except (mongo.InvalidURI, mongo.ConfigurationError, ValueError, TypeError) as error:
        # PyMongo's text may quote the URI, and the URI may hold a password.
        raise _bad_address(type(error).__name__) from None
    hosts = ",".join(
        host if port is None else f"{host}:{port}" for host, port in parsed["nodelist"]
    )
    return "{}/{}".format(hosts, parsed["database"] or DEFAULT_DATABASE)


def with_login(uri: str, user: str, password: str, host: str | None = None) -> str:
    """Return a URI of the same server and database for another user, who is of that database.

    Of the options only those stay that say what the server is: the others are the first user's.

    Args:
        uri: the first user's.
        user: as it stands in a URI, and so the password.
        password: the user's.
        host: the server as this user reaches it, if that is by another way.
    """
    scheme, _, rest = uri.partition("://")
    where, _, options = rest.rpartition("@")[2].partition("?")
    hosts, _, database = where.partition("/")
    hosts = host or hosts
    kept = [
        option
        for option in re.split("[&;]", options)
        if option.partition("=")[0].lower() in _OF_THE_SERVER
    ]
    return "{}://{}:{}@{}/{}{}".format(
        scheme,
        user,
        password,
        hosts,
        database or DEFAULT_DATABASE,
        "?" + "&".join(kept) if kept else "",
    )


def _bad_address(why: str) -> BadAddress:
    return BadAddress(
        f"the MongoDB address is not valid ({why}); it looks like "
        "mongodb://USER:PASSWORD@HOST:27017/hyperhive?authSource=admin, with any of "
        "':/?#[]@%' in USER or PASSWORD written as %XX"
    )


@contextlib.contextmanager
def translated_errors(where: str, srv: bool = False) -> Iterator[None]:
    """Turn PyMongo's expected errors into one sentence each, about the server at ``where``.

    With ``srv``, what PyMongo calls a configuration error is a name server that does not answer: a
    laptop that wakes before its network does.
    """
    try:
        yield
    except mongo.OperationFailure as error:
        raise _refusal(where, error) from error
    except mongo.ConnectionFailure as error:
        raise _no_connection(where, _reason(error)) from error
    except mongo.ConfigurationError as error:
        if srv and importlib.util.find_spec("dns") is None:  # PyMongo brings it since 4.3
            raise BadAddress(
                "a mongodb+srv:// address needs dnspython: pip install dnspython"
            ) from error
        if srv and not isinstance(error, mongo.InvalidURI):
            raise StoreUnavailable(
                f"the name server says nothing of {where} ({_reason(error)})"
            ) from error
        raise BadAddress(f"MongoDB address {where}: {_reason(error)}") from error


def _refusal(where: str, error: mongo.OperationFailure) -> StoreError:
    """Return what to say of a server that answers, and does not do what it was asked for."""
    if error.code in (_AUTHENTICATION_FAILED, _ATLAS_ERROR):
        return LoginRefused(
            f"MongoDB at {where} refused the login: check user, password and authSource in --mongo"
        )
    # A login that is revoked while the server looks it up is a user that it does not find.
    gone = error.code == _USER_NOT_FOUND
    if gone or (error.code == _UNAUTHORIZED and _NO_LOGIN in str(error)):
        return LoginRefused(
            f"MongoDB at {where} wants a login: put USER:PASSWORD@ before the host in --mongo, "
            "or ask for a new login if yours was revoked"
        )
    if error.code == _UNAUTHORIZED:
        command = _COMMAND.sub(r"command \1 \2", _reason(error))
        return NotAllowed(
            f"MongoDB at {where} says this user may not do that ({command}): use a login whose "
            "role may, or run `hyperhive mongo init` again if hyperhive was updated"
        )
    if isinstance(error, mongo.CursorNotFound):  # the server it was on is not there any more
        return StoreUnavailable(f"MongoDB at {where} was started again")
    if isinstance(error, (mongo.ExecutionTimeout, mongo.WTimeoutError)):
        return StoreUnavailable(f"MongoDB at {where} took too long to answer")
    return StoreError(f"MongoDB at {where} refused: {_reason(error)}")


def _no_connection(where: str, reason: str) -> StoreError:
    """Return what to say of a server that was not reached, or not trusted."""
    if _UNTRUSTED not in reason:
        return StoreUnavailable(
            f"MongoDB at {where} does not answer: start it, or check the address in --mongo "
            f"({reason})"
        )
    if any(word in reason for word in _OUT_OF_TIME):
        # Waiting may mend it: a Jetson has no clock battery and begins in 1970, until NTP answers.
        return StoreUnavailable(
            f"the certificate of MongoDB at {where} is not valid today: set this machine's "
            "clock, or "
            f"renew the certificate ({reason})"
        )
    return BadCertificate(
        f"MongoDB at {where} shows a certificate that this machine does not trust: name the "
        "file of the "
        "CA that signed it with tlsCAFile in --mongo, and the host as the certificate does "
        f"({reason})"
    )


def client_options(timeout: float) -> dict[str, Any]:
    """Return our durability and time-outs (in seconds) as options of ``MongoClient``."""
    # Not timeoutMS: where it is set, PyMongo takes it for the server selection too, and asking a
    # server that is away would cost all of it. GridFS, whose messages are large, has transfer_time.
    # No retries: PyMongo would wait up to three time-outs for a connection that went half-open, and
    # a stopping worker with it. Whoever works through an outage asks again by itself.
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
    """Return the first clause of a PyMongo error; the rest repeats the topology."""
    text = str(error).split(", full error:")[0].split(", Timeout:")[0]
    return text.split(" (configured timeouts:")[0].strip()


def transfer_time(length: int) -> contextlib.AbstractContextManager[object | None]:
    """Give the operations inside the time that ``length`` bytes may take on a slow wireless link.

    Half a minute, and a second more for each 100 kB.
    """
    return time_limit(min(30 + length / 100_000, _LONGEST_TRANSFER_S))


def time_limit(seconds: float) -> contextlib.AbstractContextManager[object | None]:
    """Bound the operations inside, the finding of a server included.

    PyMongo before 4.2 has no such bound: there the client's time-outs hold for each message.
    """
    if pymongo.version_tuple >= (4, 2):
        return pymongo.timeout(seconds)
    return contextlib.nullcontext()
