"""Tables that compare devices, on one screen."""

from __future__ import annotations

from typing import Callable, Optional, Sequence

from rich.console import Group
from rich.table import Table

from hyperhive.store.benchmarks import Benchmark

Figure = Callable[[Benchmark], Optional[float]]


def comparison(devices: Sequence[Benchmark]) -> Group:
    """Return a table of the devices' speeds, the fastest first, and a table of their versions.

    In each column of the first the slowest device is 1x.
    """
    ordered = sorted(devices, key=lambda device: -max(device.training.values(), default=0.0))
    return Group(_speeds(ordered), _versions(ordered))


def _speeds(devices: Sequence[Benchmark]) -> Table:
    table = Table(
        title="one slot: training in images/s, classifying one image in ms", title_justify="left"
    )
    table.add_column("device")
    table.add_column("slots", justify="right")
    columns: list[list[str]] = []
    for size in sorted({size for device in devices for size in device.training}, key=_as_number):
        table.add_column(f"training\nbatch {size}", justify="right")
        columns.append(_cells(devices, _speed(size), "{:,.0f}"))
    table.add_column("classifying\np50", justify="right")
    columns.append(_cells(devices, lambda device: device.latency_p50, "{:,.2f}", less=True))
    table.add_column("classifying\np95", justify="right")
    columns.append(_cells(devices, lambda device: device.latency_p95, "{:,.2f}", less=True))
    for device, *cells in zip(devices, *columns):
        name = f"{device.name}\n{device.device}"
        table.add_row(name, str(device.slots or ""), *cells)
    return table


def _cells(
    devices: Sequence[Benchmark], figure: Figure, pattern: str, less: bool = False
) -> list[str]:
    """Return each device's figure, and how many times as fast it is as the slowest device's.

    Args:
        devices: what was measured.
        figure: returns the figure of a device, None if it has none.
        pattern: the format of a figure.
        less: whether a smaller figure is faster.
    """
    values = [figure(device) for device in devices]
    known = [value for value in values if value is not None]
    cells = []
    for value in values:
        if value is None:
            cells.append("")
        else:
            times = max(known) / value if less else value / min(known)
            cells.append(f"{pattern.format(value)}\n{times:.1f}x")
    return cells


def _speed(size: str) -> Figure:
    return lambda device: device.training.get(size)


def _as_number(size: str) -> tuple[int, str]:
    """Return a sort key that orders numbers by value, and accepts any other text."""
    return len(size), size


def _versions(devices: Sequence[Benchmark]) -> Table:
    kinds = sorted({kind for device in devices for kind in device.versions})
    table = Table(title="the devices", title_justify="left")
    for column in ("device", *kinds):
        table.add_column(column)
    for device in devices:
        versions = [device.versions.get(kind, "") for kind in kinds]
        table.add_row(device.name, *versions)
    return table
