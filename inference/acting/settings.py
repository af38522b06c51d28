"""What predict-cam is asked to do when the label changes, checked; imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hyperhive.common.errors import UsageError
from hyperhive.common.text import decoded

DEFAULT_HOLD_S = 0.5
_LONGEST_HOLD_S = 60.0


@dataclass(frozen=True)
class ActingSettings:
    """What to do when the label changes; None is nothing.

    Args:
        command: the program to run.
        mqtt: the broker and topic to publish to: an address, or the path of a file that contains
            one.
        webhook: where to POST to: an address, or the path of a file that contains one.
        hold: how long a label must last before it counts as changed, in seconds; None is the
            default.

    Raises ``UsageError`` for a time that makes no sense.
    """

    command: str | None = None
    mqtt: str | None = None
    webhook: str | None = None
    hold: float | None = None

    def __post_init__(self) -> None:
        if self.hold is None:
            return
        if not self.acts:
            raise UsageError("--hold needs --on-change, --mqtt or --webhook")
        if not 0 <= self.hold <= _LONGEST_HOLD_S:  # false for NaN too
            raise UsageError(
                f"--hold must be from 0 to {_LONGEST_HOLD_S:.0f} seconds, not {self.hold}"
            )

    @property
    def acts(self) -> bool:
        """Whether there is anything to do."""
        return (self.command, self.mqtt, self.webhook) != (None, None, None)

    @property
    def seconds_to_hold(self) -> float:
        """How long a label must last before it counts as changed."""
        return DEFAULT_HOLD_S if self.hold is None else self.hold


def address_of(given: str, option: str, example: str) -> str:
    """Return an address, or the one that a file contains.

    Args:
        given: the address, or the file's path.
        option: names it to a person.
        example: an address of its kind, ``mqtt://HOST/TOPIC``; an ``s`` may follow the scheme.

    Raises ``UsageError`` for anything else; its text does not repeat what may hold a password.
    """
    text, where = given, option
    if "://" not in given:
        try:
            text = decoded(Path(given).expanduser().read_bytes(), errors="replace").strip()
        except (OSError, RuntimeError, ValueError):  # no such file, no home, not a file name
            raise UsageError(
                f"{option} must be an address such as {example}, or the path of a file that "
                "contains one"
            ) from None
        where = f"the file of {option}"
    scheme = example.partition("://")[0]
    has_scheme = text.partition("://")[0].lower() in (scheme, scheme + "s")
    if not has_scheme or len(text.split()) != 1:
        raise UsageError(
            f"{where} must be an address that begins with {scheme}:// or {scheme}s://, such as "
            f"{example}"
        )
    return text
