"""An MQTT broker for tests, Mosquitto, on loopback; and who listens to it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from support.home import until

# Debian puts it where only root looks.
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Broker:
    """A Mosquitto that keeps nothing on the disk; a context manager.

    Args:
        folder: for its configuration.
        lines: more lines of that.
        login: required user and password, or None.
    """

    def __init__(
        self, folder: Path, lines: list[str], login: tuple[str, str] | None = None
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._configuration = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "user root", *lines]
        if login is None:
            lines.append("allow_anonymous true")
        else:
            subprocess.run(
                ["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), *login], check=True
            )
            lines.append(f"password_file {folder / 'passwords'}")
        self._configuration.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._configuration)])
        until(self._answers, "a broker that answers")

    def down(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def __enter__(self) -> Broker:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()


class Listener:
    """Keeps what a broker says about a topic and those below it; a context manager.

    ``said`` has the topic, the payload and whether it was retained, of each message in its order.
    """

    def __init__(self, port: int, topic: str, login: tuple[str, str] | None = None) -> None:
        from paho.mqtt import client
        from paho.mqtt.enums import CallbackAPIVersion

        self.said: list[tuple[str, bytes, bool]] = []
        self._client = client.Client(CallbackAPIVersion.VERSION2)
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda *_: self._client.subscribe(f"{topic}/#", 1)
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port)

    def last(self, topic: str) -> bytes:
        """Return the last payload of a topic, empty if there is none."""
        return next((payload for name, payload, _ in reversed(self.said) if name == topic), b"")

    def _on_message(self, _: Any, __: Any, message: Any) -> None:
        self.said.append((message.topic, message.payload, message.retain))

    def __enter__(self) -> Listener:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
