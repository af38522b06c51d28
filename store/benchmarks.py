"""What devices can do: the measured figures of each, for as long as the database exists.

Workers' records are of live processes, and the server forgets them a day after their last report.
Figures are of devices: nothing removes them, and a device's next figures replace them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Mapping

from bson import ObjectId
from pymongo import ASCENDING

from hyperhive.common.values import mapping, number, whole
from hyperhive.store.server.client import Guard


@dataclass(frozen=True)
class Benchmark:
    """What one device can do, as ``hyperhive benchmark`` measured it.

    ``name`` is the machine's name, ``device`` the part of it that computes, ``slots`` the number of
    trials that a worker runs there at once. ``training`` has the images per second that one slot
    trains on, by batch size. ``latency_p50`` and ``latency_p95`` are milliseconds from one image to
    its prediction. A figure that another version did not write is missing or None.
    """

    name: str
    device: str
    slots: int
    training: dict[str, float]
    latency_p50: float | None
    latency_p95: float | None
    versions: dict[str, str]


class Benchmarks:
    """The figures of a database, one set for each machine and kind of device."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._benchmarks = database["benchmarks"]
        self._guard = guard

    def require_access(self) -> None:
        """Raise ``NotAllowed`` unless this login may store figures; changes nothing.

        A role that an older hyperhive made does not have the privilege.
        """
        with self._guard():
            # No document has a new id. The server checks the privilege before it searches.
            self._benchmarks.update_one({"_id": ObjectId()}, {"$set": {"figures": None}})

    def keep(self, figures: Benchmark) -> None:
        """Store a device's figures in place of those it had. Raises ``NotAllowed``."""
        kind = figures.device.partition(" ")[0]  # cpu, cuda, mps
        stored = {"figures": {"$literal": asdict(figures)}, "measured": "$$NOW"}
        with self._guard():
            self._benchmarks.update_one(
                {"_id": f"{figures.name}/{kind}"}, [{"$set": stored}], upsert=True
            )

    def all(self) -> list[Benchmark]:
        """Return the figures of every device, by name."""
        with self._guard():
            documents = self._benchmarks.find().sort("_id", ASCENDING)
            return [_from_document(document) for document in documents]


def _from_document(document: Mapping[str, Any]) -> Benchmark:
    """Build figures from what a device wrote, whatever its version is."""
    figures = mapping(document.get("figures"))
    training = {size: _positive(speed) for size, speed in mapping(figures.get("training")).items()}
    return Benchmark(
        name=str(figures.get("name")),
        device=str(figures.get("device")),
        slots=max(0, whole(figures.get("slots"), 0)),
        training={size: speed for size, speed in training.items() if speed is not None},
        latency_p50=_positive(figures.get("latency_p50")),
        latency_p95=_positive(figures.get("latency_p95")),
        versions={key: str(value) for key, value in mapping(figures.get("versions")).items()},
    )


def _positive(value: Any) -> float | None:
    """Return a number above zero, None for anything else."""
    known = number(value)
    return known if known is not None and known > 0 else None
