"""What the command line of ``hyperhive benchmark`` chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BenchmarkSettings:
    """The choices for one benchmark: the device, the machine's name, the store's URI.

    Without a name it is the host's; without a URI the saved login's is used.
    """

    device: str
    name: str | None
    mongo: str | None
