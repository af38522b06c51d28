"""The two ways of ``hyperhive benchmark``: measure this device, or show what was measured."""

from __future__ import annotations

import platform
from typing import Callable

from rich.console import Group

from hyperhive.common.errors import UsageError
from hyperhive.store.errors import NoServer
from hyperhive.store.server.choice import opened
from hyperhive.store.server.login import device_of
from hyperhive.store.store import Store
from hyperhive.worker.benchmark.settings import BenchmarkSettings
from hyperhive.worker.benchmark.table import comparison
from hyperhive.worker.device import threads_of_slot

Show = Callable[[Group], None]
Tell = Callable[[str], None]

_UNUSUAL = "devices are compared by lenet5 at 28x28"


def measure_and_show(settings: BenchmarkSettings, show: Show, tell: Tell) -> None:
    """Measure this device; store its figures and show all devices, if there is a store.

    Raises ``StoreError`` before the measuring if this login cannot store the figures.
    """
    uri = _store_for(settings) if settings.is_usual else None
    import torch

    from hyperhive.model.device import choose
    from hyperhive.worker.benchmark.measure import measure

    device = choose(settings.device)
    torch.set_num_threads(threads_of_slot(device.type))
    host = platform.node().partition(".")[0] or "this machine"
    name = settings.name or device_of(uri) or host
    measured = measure(name, device, tell, settings.network, settings.image_size)
    if uri is None:
        show(comparison([measured]))
        how = "pass --mongo to compare this device with others"
        tell(f"not stored: {how if settings.is_usual else _UNUSUAL}")
        return
    with opened(settings.mongo) as uri, Store(uri) as store:
        store.benchmarks.keep(measured)
        show(comparison(store.benchmarks.all()))


def _store_for(settings: BenchmarkSettings) -> str | None:
    """Return the URI of the store that the figures go to; None if there is none."""
    try:
        with opened(settings.mongo) as uri, Store(uri) as store:
            store.benchmarks.require_access()
            return uri
    except NoServer:
        return None


def show_stored(settings: BenchmarkSettings, show: Show, tell: Tell) -> None:
    """Show every device that the store has figures of.

    Raises ``NoServer`` if no store was named and this machine has none, ``UsageError`` if figures
    were asked for that are never stored.
    """
    if not settings.is_usual:
        raise UsageError(f"{_UNUSUAL}: leave out --network and --image-size with --compare")
    with opened(settings.mongo) as uri, Store(uri) as store:
        benchmarks = store.benchmarks.all()
    if benchmarks:
        show(comparison(benchmarks))
    else:
        tell("no device was measured yet: run `hyperhive benchmark` on each")
