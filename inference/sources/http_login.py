"""The login of a camera's web server."""

from __future__ import annotations

import re
import urllib.request
from typing import Generator

import httpx

_DIGEST_OFFER = re.compile(r"(?i)\bdigest\s+(.*?)(?=,\s*[\w-]+\s+\w+=|$)")
"""One header may offer several schemes, separated by commas like the parts of each scheme."""

_HASHES = {
    "MD5",
    "MD5-SESS",
    "SHA",
    "SHA-SESS",
    "SHA-256",
    "SHA-256-SESS",
    "SHA-512",
    "SHA-512-SESS",
}


class CameraLogin(httpx.Auth):
    """Gives a user and password to one server, once that server asks for them.

    httpx's own classes compute the answers; this class decides whether to answer. A wrong password
    is sent once only, because cameras lock out a user after a few attempts. A digest is sent a
    second time if the server says that only its nonce was old. A server to which a redirect leads
    gets the login only if its host and port are those of the address, and only through https if
    the address is https.

    Args:
        user: the user's name.
        password: the password.
        address: an address of the server.
    """

    def __init__(self, user: str, password: str, address: str) -> None:
        self._user = user
        self._password = password
        self._address = address

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request without a login, then with the login that the server asks for."""
        response = yield request
        if response.status_code != 401 or not self._is_for(request.url):
            return
        offer = _digest_offer(response)
        if offer is not None:
            response = yield self._with_digest(request, response, offer)
            offer = _digest_offer(response)
            if offer is not None and offer.get("stale", "").lower() == "true":
                yield self._with_digest(request, response, offer)
        elif re.search(r"(?i)\bbasic\b", _offers(response)):
            yield next(httpx.BasicAuth(self._user, self._password).auth_flow(request))

    def _is_for(self, url: httpx.URL) -> bool:
        home = httpx.URL(self._address)
        # netloc omits a default port: cameras redirect http://camera to https://camera.
        return url.netloc == home.netloc and url.scheme in (home.scheme, "https")

    def _with_digest(
        self, request: httpx.Request, response: httpx.Response, offer: dict[str, str]
    ) -> httpx.Request:
        """Return the request with the digest that answers an offer."""
        # httpx answers the first offer of a response, whether it can or not: leave only this one.
        parts = ", ".join(f'{name}="{value}"' for name, value in offer.items())
        response.headers["WWW-Authenticate"] = f"Digest {parts}"
        flow = httpx.DigestAuth(self._user, self._password).auth_flow(request)
        next(flow)
        return flow.send(response)


def _offers(response: httpx.Response) -> str:
    if response.status_code != 401:
        return ""
    return ", ".join(response.headers.get_list("WWW-Authenticate"))


def _digest_offer(response: httpx.Response) -> dict[str, str] | None:
    """Return the parts of the first digest offer that httpx can answer, or None."""
    for parts in _DIGEST_OFFER.findall(_offers(response)):
        pairs = [pair for pair in urllib.request.parse_http_list(parts) if "=" in pair]
        offer = {
            name.lower(): value for name, value in urllib.request.parse_keqv_list(pairs).items()
        }
        known = offer.get("algorithm", "MD5").upper() in _HASHES
        simple = "auth" in re.split(", ?", offer.get("qop", "auth"))
        if known and simple and "realm" in offer and "nonce" in offer:
            return offer
    return None
