"""A MongoDB address: where it came from, what is wrong with it, and what of it may be shown.

PyMongo's errors may quote the address, and the address may hold a password. So each part is checked
here first, and PyMongo is asked about the parts that hold none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator

from pymongo import errors as mongo
from pymongo.uri_parser import parse_uri, split_options

from hyperhive.store.errors import BadAddress

DEFAULT_DATABASE = "hyperhive"

_URI = re.compile(
    r"mongodb(?P<srv>\+srv)?://(?:(?P<login>[^/?]*)@)?(?P<hosts>[^/?]*)"
    r"(?:/(?P<database>[^?]*))?(?:\?(?P<options>.*))?",
    re.DOTALL,
)
# A "/" or "?" in a password would end the login early, and the rest would be shown as a host.
_LATE_AT = re.compile(r"://[^/?]*[/?].*@", re.DOTALL)
_ESCAPED = re.compile(r"(?:[^:/?#\[\]@%]|%[0-9A-Fa-f]{2})*", re.DOTALL)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|[\w.-]+)(?P<port>:.*)?", re.DOTALL)
_SOCKET = re.compile(r"%2F[\w.%-]+\.sock", re.IGNORECASE)
_BAD_IN_A_DATABASE = re.compile(r"[/\\ .\"$\x00]|%(?!2[Dd]|5[Ff])")
_OPTION_NAME = re.compile(r"[A-Za-z_-]{1,40}")
_ESCAPE = "each of ':/?#[]@%' in USER and PASSWORD must be written as %XX"
_WITHOUT_A_PASSWORD = re.compile(
    "authMechanism=(GSSAPI|MONGODB-(X509|AWS|OIDC))(&|;|$)", re.IGNORECASE
)
_EXAMPLE = "mongodb://USER:PASSWORD@HOST:27017/hyperhive?authSource=admin"

Problems = Iterator[str]
_ERRORS = (mongo.InvalidURI, mongo.ConfigurationError, ValueError, TypeError)
"""What PyMongo raises for an address that it cannot use."""


class Address(str):
    """A MongoDB URI that knows where the user gave it, so that an error can say what to correct.

    ``source`` is an option, a variable or a file; None if that is not known. ``is_saved`` is true
    for the login that this user's commands use without any option.
    """

    source: str | None
    is_saved: bool

    def __new__(cls, uri: str, source: str | None = None, is_saved: bool = False) -> Address:
        """Mark a URI."""
        made = super().__new__(cls, uri)
        made.source, made.is_saved = source, is_saved
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Pickle the marks too: a worker's slots are processes of their own."""
        return str(self), self.source, self.is_saved


@dataclass(frozen=True)
class Place:
    """What an error says of a server, and must know of its address.

    Args:
        where: hosts and database, without the login.
        source: where the user gave the address, as words that follow "in".
        is_saved: see ``Address``.
        has_login: whether the address has a user.
        is_srv: whether its hosts are found by a DNS lookup.
    """

    where: str
    source: str
    is_saved: bool
    has_login: bool
    is_srv: bool


def address(uri: str) -> str:
    """Return the part of a MongoDB URI that may be shown: hosts and database, but no login.

    Raises ``BadAddress`` if the URI cannot be used.
    """
    return place(uri).where


def place(uri: str) -> Place:
    """Return what may be said of the server of a MongoDB URI. Raises ``BadAddress``."""
    given = uri if isinstance(uri, Address) else Address(uri)
    of = f" in {given.source}" if given.source else ""
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise BadAddress(f"the MongoDB address{of} must start with mongodb:// or mongodb+srv://")
    parts = _URI.fullmatch(uri)
    try:
        if parts is None or _LATE_AT.search(uri):
            problem: str | None = f"it has an @ after the host; {_ESCAPE}"
        else:
            problem = next(_problems(parts), None)
    except OSError as error:
        raise BadAddress(
            f"the file {error.filename} in the MongoDB address{of} cannot be read: {error.strerror}"
        ) from None
    if parts is None or problem is not None:
        raise BadAddress(
            f"the MongoDB address{of} is not valid: {problem}; it looks like {_EXAMPLE}"
        )
    return Place(
        _shown(parts),
        given.source or "the MongoDB address",
        given.is_saved,
        parts["login"] is not None,
        parts["srv"] is not None,
    )


def _shown(parts: re.Match[str]) -> str:
    if parts["srv"]:
        return parts["hosts"] + (f"/{parts['database']}" if parts["database"] else "")
    nodes = parse_uri(f"mongodb://{parts['hosts']}/")["nodelist"]
    hosts = ",".join(host if port is None else f"{host}:{port}" for host, port in nodes)
    return f"{hosts}/{parts['database'] or DEFAULT_DATABASE}"


# -- what is wrong with it, without a word of the login or the value of an option -----------------


def _problems(parts: re.Match[str]) -> Problems:
    options = parts["options"] or ""
    if parts["login"] is not None:
        yield from _of_the_login(parts["login"], options)
    hosts = parts["hosts"].split(",")
    yield from _of_srv_hosts(hosts) if parts["srv"] else _of_hosts(hosts)
    if _BAD_IN_A_DATABASE.search(parts["database"] or ""):
        yield "the name of the database, after the /, has a character that no database may have"
    yield from _of_options(options)
    yield from _of_combinations(parts)


def _of_the_login(login: str, options: str) -> Problems:
    user, _, password = login.partition(":")
    if not (_ESCAPED.fullmatch(user) and _ESCAPED.fullmatch(password)):
        yield _ESCAPE
    if not user:
        yield "there is no USER before the @"
    if not password and not _WITHOUT_A_PASSWORD.search(options):
        yield "there is no PASSWORD before the @"


def _of_hosts(hosts: list[str]) -> Problems:
    for host in hosts:
        if not host:
            yield "it names no host" if len(hosts) == 1 else "there is a comma without a host"
        if _SOCKET.fullmatch(host):
            continue
        found = _HOST.fullmatch(host)
        if host.count(":") > 1 and not host.startswith("["):
            yield "an IPv6 address must be written in brackets, as in [::1]:27017"
        elif found is None:
            yield "a host is a name or an address, and an IPv6 address has brackets, as in [::1]"
        elif found["port"] and not _is_port(found["port"][1:]):
            # A login without an @ looks like a host and its port, so the port is not quoted.
            yield (
                f"the port of {found['name']} must be a number from 1 to 65535 (and a login ends "
                "with an @)"
            )


def _of_srv_hosts(hosts: list[str]) -> Problems:
    if len(hosts) != 1 or not re.fullmatch(r"[\w.-]+(:.*)?", hosts[0]):
        yield "mongodb+srv:// needs exactly one host name"
    if ":" in hosts[0]:
        yield "mongodb+srv:// takes no port: the DNS has it"
    if re.fullmatch(r"[0-9.]+", hosts[0]):
        yield "mongodb+srv:// needs a host name: write mongodb:// before an IP address"


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65535


def _of_options(options: str) -> Problems:
    if "&" in options and ";" in options:
        yield "its options are separated by & and by ;: use & alone"
    seen = set()
    for option in filter(None, re.split("[&;]", options)):
        key, equals, value = option.partition("=")
        name = f"the option {key}" if _OPTION_NAME.fullmatch(key) else "one of its options"
        if not (equals and value):
            yield f"{name} has no value: write it as NAME=VALUE"
        if key.lower() in seen and key.lower() != "readpreferencetags":
            yield f"{name} is there twice"
        seen.add(key.lower())
        try:
            split_options(option, validate=True, warn=False)
        except _ERRORS as error:
            if "nknown option" in str(error):
                yield f"{name} is unknown to PyMongo: check its spelling, or remove it"
            # PyMongo's other reasons may quote the value, which may be a secret.
            is_harmless = str(error).startswith("The value of ")
            yield str(error) if is_harmless else f"{name} cannot have the value that it has"


def _of_combinations(parts: re.Match[str]) -> Problems:
    """Say which options exclude each other; PyMongo's own words, which quote names only."""
    options = parts["options"] or ""
    if parts["srv"]:
        if re.search("directConnection=true", options, re.IGNORECASE):
            yield "mongodb+srv:// and directConnection=true exclude each other"
        options = "&".join(o for o in re.split("[&;]", options) if not o.lower().startswith("srv"))
    try:
        parse_uri(f"mongodb://{parts['hosts']}/?{options}", validate=True, warn=False)
    except _ERRORS as error:
        yield str(error)
