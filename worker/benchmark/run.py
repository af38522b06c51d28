"""The two ways of ``hyperhive benchmark``: measure this device, or show what was measured."""

from __future__ import annotations

import platform
from typing import Callable

from rich.console import Group

from hyperhive.store.errors import NoServer
from hyperhive.store.server.choice import opened
from hyperhive.store.server.login import device_of
from hyperhive.store.store import Store
from hyperhive.worker.benchmark.settings import BenchmarkSettings
from hyperhive.worker.benchmark.table import comparison
from hyperhive.worker.device import threads_of_slot

Show = Callable[[Group], None]
Tell = Callable[[str], None]


def measure_and_show(settings: BenchmarkSettings, show: Show, tell: Tell) -> None:
    """Measure this device; store its figures and show all devices, if there is a store.

    Raises ``StoreError`` before the measuring if this login cannot store the figures.
    """
    uri: str | None
    try:
        with opened(settings.mongo) as uri, Store(uri) as store:
            store.benchmarks.require_access()
    except NoServer:
        uri = None
    import torch

    from hyperhive.model.device import choose
    from hyperhive.worker.benchmark.measure import measure

    device = choose(settings.device)
    torch.set_num_threads(threads_of_slot(device.type))
    host = platform.node().partition(".")[0] or "this machine"
    name = settings.name or device_of(uri) or host
    measured = measure(name, device, tell)
    if uri is None:
        show(comparison([measured]))
        tell("not stored: pass --mongo to compare this device with others")
        return
    with opened(settings.mongo) as uri, Store(uri) as store:
        store.benchmarks.keep(measured)
        show(comparison(store.benchmarks.all()))


def show_stored(settings: BenchmarkSettings, show: Show, tell: Tell) -> None:
    """Show every device that the store has figures of.

    Raises ``NoServer`` if no store was named and this machine has none.
    """
    with opened(settings.mongo) as uri, Store(uri) as store:
        benchmarks = store.benchmarks.all()
    if benchmarks:
        show(comparison(benchmarks))
    else:
        tell("no device was measured yet: run `hyperhive benchmark` on each")
