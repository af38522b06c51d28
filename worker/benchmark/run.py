"""The two ways of ``hyperhive benchmark``: measure this device, or show what was measured."""

from __future__ import annotations

import platform
from typing import Callable

from rich.console import Group

from hyperhive.common.errors import UsageError
from hyperhive.store.server import login
from hyperhive.store.server.embedded import running_uri
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
    uri = settings.mongo or login.saved()
    if uri is not None:
        with Store(uri) as store:
            store.benchmarks.require_access()
    import torch

    from hyperhive.model.device import choose
    from hyperhive.worker.benchmark.measure import measure

    device = choose(settings.device)
    torch.set_num_threads(threads_of_slot(device.type))
    name = settings.name or platform.node().partition(".")[0] or "this machine"
    measured = measure(name, device, tell)
    if uri is None:
        show(comparison([measured]))
        tell("not stored: pass --mongo to compare this device with others")
        return
    with Store(uri) as store:
        store.benchmarks.keep(measured)
        show(comparison(store.benchmarks.all()))


def show_stored(settings: BenchmarkSettings, show: Show, tell: Tell) -> None:
    """Show every device that the store has figures of.

    Raises ``UsageError`` if no store was named and none runs on this machine.
    """
    uri = settings.mongo or login.saved() or running_uri()
    if uri is None:
        raise UsageError("no private server runs on this machine: pass --mongo to name a store")
    with Store(uri) as store:
        benchmarks = store.benchmarks.all()
    if benchmarks:
        show(comparison(benchmarks))
    else:
        tell("no device was measured yet: run `hyperhive benchmark` on each")
