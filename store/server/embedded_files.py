"""The files beside the private server's data: its login and its port."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from hyperhive.common import files, paths
from hyperhive.store.errors import ServerFailed

ADMIN, USER = "admin", "hyperhive"


class Login:
    """The passwords of the server's two users, in a file that only this person can read.

    ``ready`` in it is false until both users exist.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def create(self) -> None:
        """Make new passwords."""
        self._write({ADMIN: secrets.token_urlsafe(24), USER: secrets.token_urlsafe(24)}, False)

    def mark_ready(self) -> None:
        """Note that both users exist."""
        self._write(self._read(), True)

    def is_ready(self) -> bool:
        """Return whether both users exist. Raises ``ServerFailed`` if the file is damaged."""
        return bool(self._read().get("ready"))

    def password(self, user: str) -> str:
        """Return a user's password."""
        return str(self._read()[user])

    def lost(self, what: str) -> str:
        """Return the error for a file without which the data cannot be opened."""
        return (
            f"{self.file} {what}, and the data beside it cannot be opened without its passwords: "
            "put the file back, or move the folder away to start with an empty database"
        )

    def _read(self) -> dict[str, Any]:
        try:
            login: dict[str, Any] = json.loads(self.file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ServerFailed(
                f"{self.file}, the private MongoDB server's login, cannot be read "
                f"({error.strerror}): {paths.advice('data')}"
            ) from error
        except ValueError as error:
            raise ServerFailed(self.lost("is damaged")) from error
        return login

    def _write(self, login: dict[str, Any], ready: bool) -> None:
        files.write_private(self.file, json.dumps({**login, "ready": ready}))


class Note:
    """A note of the server's port."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def port(self) -> int | None:
        """Return the port; None without a note, or with one that is damaged."""
        try:
            return int(json.loads(self._file.read_text())["port"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, port: int) -> None:
        """Note a server's port."""
        files.write_private(self._file, json.dumps({"port": port}))

    def remove(self) -> None:
        """Remove the note, if it exists."""
        self._file.unlink(missing_ok=True)
