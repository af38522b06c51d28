"""Our use of PyMongo: client options, its errors as sentences, differences between versions."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
import ssl
from typing import Any, Callable, Iterator

import pymongo
from bson.errors import InvalidBSON
from pymongo import ReadPreference
from pymongo import errors as mongo

from hyperhive.store.encoding import ENCODING_ERRORS, why
from hyperhive.store.errors import (
    BadAddress,
    BadCertificate,
    LoginRefused,
    LoginRevoked,
    NotAllowed,
    StoreError,
    StoreUnavailable,
    Unreadable,
    Unstorable,
)
from hyperhive.store.server.address import DEFAULT_DATABASE, Place
from hyperhive.store.server.privileges import PRIVILEGES, ROLES

HAS_TIME_LIMITS = pymongo.version_tuple >= (4, 2)
SERVER_SELECTION_TIMEOUT_S = 2.0
_LONGEST_TRANSFER_S = 86400.0

Guard = Callable[[], "contextlib.AbstractContextManager[None]"]
"""Opens ``translated_errors`` for one server; every access to the server is inside a guard."""

# Whoever may write one document must not stop all who read it, with a text that is no Unicode or a
# date after the year 9999. PyMongo before 4.3 cannot read such a date: see ``Unreadable``.
_ANY_VALUE = {"unicode_decode_error_handler": "replace"}
if pymongo.version_tuple >= (4, 3):
    _ANY_VALUE["datetime_conversion"] = "DATETIME_AUTO"

_OF_THE_SERVER = ("tls", "ssl", "tlscafile", "tlsca", "replicaset", "directconnection")

_ACTIONS = {
    "delete": "remove",
    "aggregate": "find",
    "distinct": "find",
    "findAndModify": "update",
}
"""The action that a command needs in its collection, where it has another name."""

# The server quotes the whole command that it refuses, even a trial's history.
_COMMAND = re.compile(r"command \{ (\w+): (\"[^\"]*\"|\w+)?.*", re.DOTALL)

_AUTHENTICATION_FAILED, _ATLAS_ERROR, _UNAUTHORIZED, _USER_NOT_FOUND = 18, 8000, 13, 11
_WITHOUT_A_MAJORITY = (6, 7, 89, 133, 134, 262, 9001)
"""HostUnreachable, HostNotFound, NetworkTimeout, FailedToSatisfyReadPreference,
ReadConcernMajorityNotAvailableYet, ExceededTimeLimit, SocketException."""
_NO_LOGIN = "requires authentication"  # the server's words without a login, or with a revoked one
_UNTRUSTED, _OUT_OF_TIME = "CERTIFICATE_VERIFY_FAILED", ("not yet valid", "has expired")  # OpenSSL

# PyMongo logs whole commands at DEBUG, which do not belong into a worker's log.
logging.getLogger("pymongo").setLevel(logging.WARNING)


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


@contextlib.contextmanager
def opening(place: Place) -> Iterator[None]:
    """Translate what PyMongo raises when it makes a client, which it does without the server."""
    try:
        with translated_errors(place, lambda: None):
            yield
    except ssl.SSLError as error:
        raise BadAddress(
            f"a file that tlsCAFile or tlsCertificateKeyFile names in {place.source} has no valid "
            f"certificate and key ({error.reason or error})"
        ) from error
    except (ValueError, TypeError) as error:
        raise _unusable(place, error) from error


@contextlib.contextmanager
def translated_errors(place: Place, role: Callable[[], str | None]) -> Iterator[None]:
    """Translate PyMongo's expected errors into a ``StoreError`` about the server of ``place``.

    A value that PyMongo cannot encode or decode is expected too: it comes from outside. ``role``
    returns that of the login, if it is known; it is asked if the server does not allow a request.
    """
    try:
        yield
    except ENCODING_ERRORS as error:
        raise Unstorable(f"the database cannot hold a value: {why(error)}") from error
    except InvalidBSON as error:  # with our options, only of PyMongo before 4.3
        raise Unreadable(
            f"MongoDB at {place.where} holds a value that this PyMongo cannot read: install "
            f"PyMongo 4.3 or later here, or delete what has that value ({error})"
        ) from error
    except mongo.OperationFailure as error:
        raise _refusal(place, role, error) from error
    except mongo.ConnectionFailure as error:
        raise _no_connection(place, _reason(error)) from error
    except mongo.ConfigurationError as error:
        raise _unusable(place, error) from error


def _unusable(place: Place, error: Exception) -> StoreError:
    """Return the error for an address that PyMongo refuses although each part of it is valid.

    PyMongo reports a failed DNS lookup in this way too. That is an error of the network: a laptop
    may wake before its network does.
    """
    if place.is_srv and importlib.util.find_spec("dns") is None:  # PyMongo requires it since 4.3
        return BadAddress("a mongodb+srv:// address needs dnspython: pip install dnspython")
    if place.is_srv and type(error.__context__).__module__.partition(".")[0] == "dns":
        return StoreUnavailable(
            f"the DNS lookup of {place.where} failed: check the network, and the host in "
            f"{place.source} ({_reason(error)})"
        )
    return BadAddress(
        f"the address of MongoDB at {place.where} cannot be used: correct {place.source} "
        f"({_reason(error)})"
    )


def revoked(place: Place) -> LoginRevoked:
    """Return the error for a login that the server accepted before."""
    return LoginRevoked(
        f"MongoDB at {place.where} no longer accepts this login: it was revoked; ask for a new "
        f"line of `hyperhive mongo invite` (the login comes from {place.source})"
    )


def _refusal(
    place: Place, role: Callable[[], str | None], error: mongo.OperationFailure
) -> StoreError:
    """Return the error for a server that answered, but refused or failed."""
    where = place.where
    if error.code in (_AUTHENTICATION_FAILED, _ATLAS_ERROR):
        if place.is_saved:
            return revoked(place)
        return LoginRefused(
            f"MongoDB at {where} refused the login: check user, password and authSource in "
            f"{place.source}, or ask for a new line of `hyperhive mongo invite` if it was revoked"
        )
    # A user who is revoked while the server looks the login up is a user that it does not find.
    is_gone = error.code == _USER_NOT_FOUND
    if is_gone or (error.code == _UNAUTHORIZED and _NO_LOGIN in str(error)):
        if place.has_login:  # the connection was made with it
            return revoked(place)
        return LoginRefused(
            f"MongoDB at {where} requires a login: put USER:PASSWORD@ before the host in "
            f"{place.source}"
        )
    if error.code == _UNAUTHORIZED:
        return _not_allowed(place, role(), error)
    if isinstance(error, mongo.CursorNotFound):  # a cursor of a server that has restarted
        return StoreUnavailable(f"MongoDB at {where} was restarted during the request: try again")
    if isinstance(error, (mongo.ExecutionTimeout, mongo.WTimeoutError)):
        return StoreUnavailable(f"MongoDB at {where} took too long to answer: try again later")
    if _is_of_an_election(error):
        return StoreUnavailable(
            f"MongoDB at {where} has lost the primary of its replica set, or just found another: "
            "start its other members if it does not go on by itself"
        )
    return StoreError(f"MongoDB at {where} refused the request: {_reason(error)}")


def _is_of_an_election(error: mongo.OperationFailure) -> bool:
    """Return whether a replica set could not answer, or a majority has not confirmed a write.

    Such a write may have happened, and may be rolled back. PyMongo raises its own error for the
    codes of a member that is no primary, but not where a reply has them beside a result.
    """
    unconfirmed = (error.details or {}).get("writeConcernErrors")  # of several writes at once
    is_write = isinstance(error, mongo.WriteConcernError) or bool(unconfirmed)
    return is_write or error.code in _WITHOUT_A_MAJORITY


def _not_allowed(place: Place, role: str | None, error: mongo.OperationFailure) -> NotAllowed:
    """Return the error for a request that this user's role does not allow; it says which would."""
    command = _COMMAND.search(str(error))
    name, collection = (command[1], (command[2] or "").strip('"')) if command else ("", "")
    action = _ACTIONS.get(name, name)
    able = [role for role in ROLES if action in PRIVILEGES[role].get(collection, ())]
    login, invite = "an administrator's login", ""
    if able:
        login = f"the login of a {' or '.join(able)}"
        least = able[-1]
        invite = (
            f" (`hyperhive mongo invite NAME --role {least}` on the server's machine makes one)"
        )
    request = _COMMAND.sub(r"command \1 \2", _reason(error))
    whose = f"this login is a {role}'s: " if role and role not in able else ""
    return NotAllowed(
        f"{whose}MongoDB at {place.where} says this user may not do that ({request}): use {login} "
        f"in place of the one in {place.source}{invite}, or run `hyperhive mongo init` again if "
        "hyperhive was updated"
    )


def _no_connection(place: Place, reason: str) -> StoreError:
    """Return the error for a server that was not reached, or is not trusted."""
    where = place.where
    if _UNTRUSTED not in reason:
        cure = f"start it, or check the host in {place.source}"
        if place.is_saved:
            cure = (
                "start it (`hyperhive mongo share`, if it was shared from this machine), check the "
                f"host in {place.source}, or delete that file to go back to this machine's private "
                "server"
            )
        return StoreUnavailable(f"MongoDB at {where} does not answer: {cure} ({reason})")
    if any(word in reason for word in _OUT_OF_TIME):
        # Waiting may help: a Jetson has no clock battery and starts in 1970, until NTP answers.
        return StoreUnavailable(
            f"the certificate of MongoDB at {where} is not valid today: set this machine's "
            f"clock, or renew the certificate ({reason})"
        )
    return BadCertificate(
        f"MongoDB at {where} has a certificate that this machine does not trust: in "
        f"{place.source}, set tlsCAFile to the file of the CA that signed it, and write the host "
        f"as the certificate does ({reason})"
    )


def client_options(timeout: float) -> dict[str, Any]:
    """Return our options of ``MongoClient``: durability, and time-outs in seconds.

    They win over those of a URI. Nothing that a replica set could roll back is acknowledged, or
    read: a result that was counted stays.
    """
    # Not timeoutMS: PyMongo would use it for the server selection too, and a request to a server
    # that is away would take all of it. GridFS, whose messages are large, uses transfer_time.
    # No retries: PyMongo would wait up to three time-outs for a half-open connection, and delay a
    # worker that is stopping. Code that works through an outage repeats its requests itself.
    return {
        **_ANY_VALUE,
        "appname": "hyperhive",
        "tz_aware": True,
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "read_preference": ReadPreference.PRIMARY,  # the only spelling that wins over a URI's tags
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
    if HAS_TIME_LIMITS:
        return pymongo.timeout(seconds)
    return contextlib.nullcontext()
