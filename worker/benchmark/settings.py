"""What the command line of ``hyperhive benchmark`` chose."""

from __future__ import annotations

from dataclasses import dataclass

_USUAL = ("lenet5", 28)
"""Network and size of images that devices are compared by."""


@dataclass(frozen=True)
class BenchmarkSettings:
    """The choices for one benchmark: device, machine's name, store's URI, network, size of images.

    Without a name it is the host's; without a URI the saved login's is used. Figures of another
    network, or of images of another size, are not stored: they would not compare.
    """

    device: str
    name: str | None
    mongo: str | None
    network: str = _USUAL[0]
    image_size: int = _USUAL[1]

    @property
    def is_usual(self) -> bool:
        """Whether it measures what devices are compared by."""
        return (self.network, self.image_size) == _USUAL
