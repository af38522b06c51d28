"""A request to a camera's web server: logins, redirects, and why it failed in words."""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import urllib.error
import urllib.request
from typing import Any, Callable
from urllib.parse import unquote, urlsplit

from hyperhive.common.errors import SourceError

_DIGEST_OFFER = re.compile(r"(?i)\bdigest\s+.*?(?=,\s*[\w-]+\s+\w+=|$)")
"""One header may offer several schemes, with a comma between."""

_HASHES = {"MD5": "md5", "SHA": "sha1", "SHA-256": "sha256"}


def ask(url: str, title: str, seconds: float) -> Any:
    """Return the answer (``http.client.HTTPResponse``) of an http or https address.

    Args:
        url: a user and password in it are given to its own server only, once that asks for them.
        title: names it to a person, without the password.
        seconds: how long the server may be silent.

    Raises ``SourceError`` with what to do.
    """
    try:
        parts = urlsplit(url)
        (parts.path + parts.query).encode("ascii")
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise SourceError(f"{title} cannot be opened: {_NO_ADDRESS}")
    server = parts.netloc.rpartition("@")[2]
    logins = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        root = f"{parts.scheme}://{server}/"
        logins.add_password(None, root, unquote(parts.username), unquote(parts.password or ""))
    opener = urllib.request.build_opener(
        # A camera is in one's own network, where a proxy has no business.
        urllib.request.ProxyHandler({}),
        _Redirect(),
        _DigestLogin(logins),
        _BasicLogin(logins),
    )
    try:
        return opener.open(parts._replace(netloc=server).geturl(), timeout=seconds)
    except urllib.error.HTTPError as error:
        raise SourceError(_refusal(error.code, title)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Not the error itself: its text may hold the address, and with it a password.
        raise SourceError(f"{title} cannot be opened: {reason_of(error)}") from None


_NO_ADDRESS = "that is not a valid address (in a password, @ is %40, / is %2F and : is %3A)"


def reason_of(error: Exception) -> str:
    """Return why a connection failed, in words that hold no address."""
    reason = getattr(error, "reason", error)  # what urllib wraps
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return "the server does not answer in time; see that it runs and is in this network"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            "its certificate is not trusted; in your own network use http://, or name a file with "
            "the certificate in the environment variable SSL_CERT_FILE"
        )
    if isinstance(reason, OSError) and reason.strerror:
        return f"{reason.strerror}; see that the server runs and is in this network"
    if isinstance(error, http.client.InvalidURL):
        return _NO_ADDRESS
    return f"the server does not speak HTTP as it should ({type(error).__name__})"


def _refusal(code: int, title: str) -> str:
    if code == 401:
        return (
            f"{title} wants another user and password: write them into the address, as "
            "http://USER:PASSWORD@HOST/... (in a password, @ is %40 and / is %2F)"
        )
    name = http.client.responses.get(code, "")
    return f"{title} cannot be opened: the server answers {code} {name}".rstrip()


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows to web servers only; urllib's own goes to FTP too."""

    def redirect_request(self, *arguments: Any) -> Any:
        is_web = urlsplit(arguments[-1]).scheme in ("http", "https")
        return super().redirect_request(*arguments) if is_web else None


class _BasicLogin(urllib.request.HTTPBasicAuthHandler):
    """Tries once; urllib's own fails where other schemes are offered, with what is no refusal."""

    def http_error_401(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        if req.has_header("Authorization") or not re.search(r"(?i)\bbasic\b", _offers(headers)):
            return None
        return self.retry_http_basic_auth(req.full_url, req, "")


class _DigestLogin(urllib.request.HTTPDigestAuthHandler):
    """Tries once, or cameras lock their user out; once more if only the server's nonce was old.

    Of several offers it takes the first that it can do; passwords are UTF-8 (RFC 7616).
    """

    _is_fresh = True

    def http_error_401(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        for offer in _DIGEST_OFFER.findall(_offers(headers)):
            pairs = urllib.request.parse_http_list(offer.split(None, 1)[1])
            given = urllib.request.parse_keqv_list([pair for pair in pairs if "=" in pair])
            known = self.get_algorithm_impls(given.get("algorithm", "MD5"))[0] is not None
            if not known or "auth" not in given.get("qop", "auth").split(","):
                continue
            if req.has_header("Authorization"):
                if not self._is_fresh or given.get("stale", "").lower() != "true":
                    return None
                self._is_fresh = False
            return self.retry_http_digest_auth(req, offer)
        return None

    def get_algorithm_impls(  # type: ignore[override]
        self, algorithm: str
    ) -> tuple[Callable[[str], str] | None, Callable[[str, str], str]]:
        name = _HASHES.get(algorithm.upper(), "")

        def digest(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        return digest if name else None, lambda secret, data: digest(f"{secret}:{data}")


def _offers(headers: Any) -> str:
    return ", ".join(headers.get_all("www-authenticate", []))
