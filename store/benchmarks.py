"""What devices can do: the figures of each, kept beside the workers, for as long as the store is.

A worker's record is one of a live process, and is forgotten a day after its last report. Figures
are of a device and have no last report: nothing sweeps them, and the next ones replace them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Mapping

from pymongo import ASCENDING

from hyperhive.common.values import mapping
from hyperhive.store.server.mongo import Guard

_KIND = "benchmark"


@dataclass(frozen=True)
class Benchmark:
    """What one device can do, as ``hyperhive benchmark`` measured it.

    ``name`` is the machine's, ``device`` what of it computes, ``slots`` how many trials a worker
    does there at once. ``training`` has the images a second that one slot trains on, by the size of
    the batch; ``latency_p50`` and ``latency_p95`` are milliseconds from a picture to its numbers.
    Another version may have left something out.
    """

    name: str
    device: str
    slots: int
    training: dict[str, float]
    latency_p50: float | None
    latency_p95: float | None
    versions: dict[str, str]


class Benchmarks:
    """The figures of a database, one set for each name and kind of device."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._documents = database["workers"]  # where a worker's login may write
        self._guard = guard

    def keep(self, figures: Benchmark) -> None:
        """Keep a device's figures, in place of those it had."""
        kind = figures.device.partition(" ")[0]  # cpu, cuda, mps
        key = f"{_KIND}/{figures.name}/{kind}"
        said = {
            "kind": _KIND,
            "figures": {"$literal": asdict(figures)},
            "measured": "$$NOW",
            "left": "$$NOW",  # who reads workers leaves it out, of whatever version he is
        }
        with self._guard():
            self._documents.update_one({"_id": key}, [{"$set": said}], upsert=True)

    def all(self) -> list[Benchmark]:
        """Return the figures of every device."""
        with self._guard():
            found = self._documents.find({"kind": _KIND}).sort("_id", ASCENDING)
            return [_from_document(document) for document in found]


def _from_document(document: Mapping[str, Any]) -> Benchmark:
    """Build figures from what a device wrote, of whatever version it is."""
    said = mapping(document.get("figures"))
    training = {size: _number(speed) for size, speed in mapping(said.get("training")).items()}
    return Benchmark(
        name=str(said.get("name")),
        device=str(said.get("device")),
        slots=int(_number(said.get("slots")) or 0),
        training={size: speed for size, speed in training.items() if speed is not None},
        latency_p50=_number(said.get("latency_p50")),
        latency_p95=_number(said.get("latency_p95")),
        versions={key: str(value) for key, value in mapping(said.get("versions")).items()},
    )


def _number(value: Any) -> float | None:
    """Return a number above zero, None for anything else."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < float("inf") else None
