"""Requests over HTTP, to cameras and to webhooks: addresses, logins, proxies, certificates."""

from __future__ import annotations

import functools
import ipaddress
import ssl
from urllib.parse import unquote, urlsplit

import httpx

from hyperhive.common.errors import SourceError
from hyperhive.inference.sources.http_login import CameraLogin

_NO_ADDRESS = "that is not a valid address (in a password, @ is %40, / is %2F and : is %3A)"


def parsed(url: str, title: str) -> tuple[str, str, CameraLogin | None]:
    """Return an address without its login, its host, and the login.

    Raises ``SourceError`` for an address that is not valid.
    """
    try:
        parts = urlsplit(url)
        (parts.path + parts.query).encode("ascii")
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise SourceError(f"{title} cannot be opened: {_NO_ADDRESS}")
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    login = None
    if parts.username is not None:
        login = CameraLogin(unquote(parts.username), unquote(parts.password or ""), address)
    return address, parts.hostname or "", login


def client_for(host: str, title: str, seconds: float) -> httpx.Client:
    """Return a client for one request to a host; it follows no redirect by itself.

    Args:
        host: decides whether the proxy of the environment is used.
        title: names the address to a person, without the password.
        seconds: how long the server may be silent.

    Raises ``SourceError`` for a proxy that cannot be used.
    """
    try:
        return httpx.Client(
            # One request per connection: some cameras close it after a refusal without saying so.
            headers={"Accept-Encoding": "identity", "Connection": "close"},
            timeout=seconds,
            verify=_trust(),
            trust_env=not _is_near(host),
            event_hooks={"response": [_drop_refusal]},
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        raise SourceError(
            f"{title} cannot be opened: the proxy that the environment names cannot be used; unset "
            "http_proxy, https_proxy and all_proxy, or correct them"
        ) from None


def _drop_refusal(response: httpx.Response) -> None:
    """Close the connection of a 401: httpx would read its whole body before it sends a login."""
    if response.status_code == 401 and isinstance(response.stream, httpx.SyncByteStream):
        response.stream.close()
        response.stream = httpx.ByteStream(b"")


def _is_near(host: str) -> bool:
    """Return whether a host is in the user's own network, where no proxy is needed."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:  # a name
        return "." not in host or host.endswith(".local")


@functools.lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """Return the certificates that this system trusts, or those that SSL_CERT_FILE names.

    It is made once: an image is requested five times per second in live mode, and reading all
    certificates takes tens of milliseconds.
    """
    return ssl.create_default_context()


def reason_of(error: Exception) -> str:
    """Return why a request failed, in words that hold no address."""
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer in time; check that it runs and is in this network"
    if isinstance(error, httpx.InvalidURL):
        return _NO_ADDRESS
    if isinstance(error, httpx.UnsupportedProtocol):
        return "it redirects to an address that is not http:// or https://"
    if isinstance(error, httpx.TooManyRedirects):
        return "it redirects from one address to the next without an end"
    cause = _system_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            "its certificate is not trusted; in your own network use http://, or name a file with "
            "the certificate in the environment variable SSL_CERT_FILE"
        )
    if cause is not None and cause.strerror:
        return f"{cause.strerror}; check that the server runs and is in this network"
    return f"the server does not speak HTTP as it should ({type(error).__name__})"


def _system_error(error: BaseException | None) -> OSError | None:
    """Return the operating system's error beneath an error of httpx, or None."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
