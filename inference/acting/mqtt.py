"""A topic of an MQTT broker that always has the latest label, as home automation expects it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hyperhive.common.errors import UsageError
from hyperhive.common.text import printable
from hyperhive.inference.acting.courier import NotDelivered

_KEEPALIVE_S = 30
"""After 1.5 times this without a word the broker takes predict-cam for gone."""
_PATIENCE_S = 5.0
_GOODBYE_S = 1.0
_AT_LEAST_ONCE = 1


@dataclass(frozen=True)
class Address:
    """A topic of a broker; ``user`` and ``password`` are None if it needs none."""

    host: str
    port: int
    topic: str
    user: str | None
    password: str | None
    is_encrypted: bool

    @classmethod
    def parse(cls, url: str) -> Address:
        """Return the parts of ``mqtt://USER:PASSWORD@HOST:PORT/TOPIC``, ``mqtts://`` with TLS.

        Raises ``UsageError``, whose text does not repeat the address.
        """
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname or ""
            host.encode("idna")
            url.encode()  # fails where the command line was not UTF-8
        except ValueError:
            port, host = 0, ""
        if not host or port == 0 or parts.query or parts.fragment:
            raise UsageError(
                "--mqtt is not a valid address: write it as mqtt://USER:PASSWORD@HOST:PORT/TOPIC "
                "(in a password, @ is %40, / is %2F, : is %3A, ? is %3F and # is %23)"
            )
        topic = unquote(parts.path).strip("/")
        if not topic or set(topic) & set("+#\0") or len(topic.encode()) > 60_000:
            raise UsageError(
                "--mqtt needs a topic after the host, without + and #: mqtt://HOST/home/door"
            )
        is_encrypted = parts.scheme == "mqtts"
        user, password = parts.username, parts.password
        return cls(
            host,
            port or (8883 if is_encrypted else 1883),
            topic,
            None if user is None else unquote(user),
            None if password is None else unquote(password),
            is_encrypted,
        )


class Mqtt:
    """Publishes each change, retained and at least once.

    ``TOPIC/availability`` says ``online``, and ``offline`` once predict-cam has ended, however it
    ends. After a lost connection the latest change is published again.

    Args:
        url: see ``Address.parse``.

    Raises ``UsageError`` for an address that makes no sense.
    """

    def __init__(self, url: str) -> None:
        self._address = Address.parse(url)
        self._availability = self._address.topic + "/availability"
        self._connection: paho.Client | None = None
        self.title = f"the broker {self._address.host}:{self._address.port}"

    def deliver(self, event: bytes, stop: threading.Event) -> None:
        """See ``Way``."""
        try:
            if self._connection is None or not self.holds():
                self._connection = self._connected()
                self._publish(self._connection, self._availability, b"online")
            self._publish(self._connection, self._address.topic, event)
        except NotDelivered:
            self._hang_up()
            raise

    def holds(self) -> bool:
        """See ``Way``: the topic has the latest label only while there is a connection."""
        return self._connection is not None and self._connection.is_connected()

    def close(self) -> None:
        """See ``Way``."""
        if self._connection is not None and self.holds():
            with contextlib.suppress(NotDelivered):  # then the broker says it for us
                self._publish(self._connection, self._availability, b"offline", _GOODBYE_S)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
        self._connection = None

    def _connected(self) -> paho.Client:
        """Return a connection that the broker has accepted; raise ``NotDelivered``."""
        connection = self._prepared()
        answered = threading.Event()
        refusal: str | None = "closes the connection"

        def on_connect(_: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
            nonlocal refusal
            refusal = f"refuses the connection: {code}" if code.is_failure else None
            answered.set()

        connection.on_connect = on_connect
        connection.on_disconnect = lambda *_: answered.set()
        try:
            connection.connect(self._address.host, self._address.port, _KEEPALIVE_S)
        except OSError as error:
            raise NotDelivered(_reason(error)) from error
        connection.loop_start()
        if not answered.wait(_PATIENCE_S):
            refusal = "does not answer in time"
        if refusal is not None:
            connection.disconnect()
            raise NotDelivered(refusal)
        return connection

    def _prepared(self) -> paho.Client:
        # A connection of its own for each try: what an old one still has to send is out of date.
        connection = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        if self._address.user is not None:
            connection.username_pw_set(self._address.user, self._address.password)
        if self._address.is_encrypted:
            connection.tls_set_context(ssl.create_default_context())
        connection.will_set(self._availability, b"offline", _AT_LEAST_ONCE, retain=True)
        return connection

    def _publish(
        self, connection: paho.Client, topic: str, payload: bytes, seconds: float = _PATIENCE_S
    ) -> None:
        """Publish, and wait for the broker's word that it has it; raise ``NotDelivered``."""
        try:
            message = connection.publish(topic, payload, _AT_LEAST_ONCE, retain=True)
            message.wait_for_publish(seconds)
            is_published = message.is_published()
        except (RuntimeError, ValueError):  # paho's own, when the connection is lost
            is_published = False
        if not is_published:
            raise NotDelivered("does not confirm what was published")


def _reason(error: OSError) -> str:
    """Return why a broker cannot be reached."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            "has a certificate that is not trusted; name a file with it in the environment "
            "variable SSL_CERT_FILE"
        )
    if isinstance(error, socket.timeout):  # before Python 3.10 that is no TimeoutError
        return "does not answer in time"
    return f"cannot be reached: {printable(error.strerror or type(error).__name__)}"
