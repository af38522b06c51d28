"""A server that gets each change of the label as a POST."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import httpx

from hyperhive.common.errors import SourceError, UsageError
from hyperhive.inference.acting.courier import NotDelivered
from hyperhive.inference.sources.http_client import client_for, parsed, reason_of

_SILENCE_S = 10.0


class Webhook:
    """Posts each change as JSON.

    Redirects are not followed, because most of them turn a POST into a GET. Proxies, logins and
    certificates are those of a camera's ``http://``.

    Args:
        url: http or https; a user and password in it are given to that server, once it asks.

    Raises ``UsageError`` for an address that is not valid.
    """

    def __init__(self, url: str) -> None:
        try:
            self._address, self._host, self._login = parsed(url, "--webhook")
        except SourceError as error:
            raise UsageError(str(error)) from None
        parts = urlsplit(self._address)
        # Without the path, which is the secret of many webhooks.
        self.title = f"the webhook {parts.scheme}://{parts.netloc}"

    def deliver(self, event: bytes, stop: threading.Event) -> None:
        """See ``Way``."""
        kind = {"Content-Type": "application/json"}
        try:
            with client_for(self._host, self.title, _SILENCE_S) as client:
                request = client.build_request("POST", self._address, content=event, headers=kind)
                # The answer's body, which may have no end, is not read.
                response = client.send(request, auth=self._login, stream=True)
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Not the error's own text: it may hold the address, and with it a password.
            raise NotDelivered(f"was not told: {reason_of(error)}") from None
        except SourceError as error:
            raise NotDelivered(f"was not told: {error}") from None
        if response.is_redirect:
            raise NotDelivered("redirects to another address: give --webhook that one")
        if not response.is_success:
            name = httpx.codes.get_reason_phrase(response.status_code)
            raise NotDelivered(f"answers {response.status_code} {name}".rstrip())

    def holds(self) -> bool:
        """See ``Way``: an action that is late is worse than none."""
        return True

    def close(self) -> None:
        """See ``Way``."""
