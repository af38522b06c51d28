"""The command ``hyperhive benchmark``."""

import platform
from typing import TYPE_CHECKING, Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.common.errors import UsageError
from hyperhive.store.cli import mongo_option
from hyperhive.store.server import login

if TYPE_CHECKING:
    from hyperhive.store.store import Store


def benchmark(
    device: str = typer.Option("auto", help="What to measure: auto, cpu, cuda or mps."),
    name: Optional[str] = typer.Option(
        None, help="What this machine is called.", show_default="its host name"
    ),
    compare: bool = typer.Option(
        False, "--compare", help="Measure nothing: show the devices that were measured before."
    ),
    mongo: Optional[str] = mongo_option(
        "the login that was saved here; without that the figures are only shown"
    ),
) -> None:
    """Measure how fast this device trains and labels, and show it beside the others.

    One slot is measured, on noise: no data set is needed. It takes some 15 seconds, under a minute
    on a slow CPU. Let nothing else run meanwhile, no worker either.
    """
    from hyperhive.store.store import Store

    mongo = mongo or login.saved()
    if compare:
        with Store(_there(mongo)) as store:
            _show_kept(store)
        return
    if mongo is not None:
        with Store(mongo) as store:
            store.ping()  # said now, not after the measuring
    import torch

    from hyperhive.model.device import choose
    from hyperhive.worker.benchmark.measure import measure
    from hyperhive.worker.benchmark.table import comparison
    from hyperhive.worker.device import threads_of_slot

    chosen = choose(device)
    torch.set_num_threads(threads_of_slot(chosen.type))
    called = name or platform.node().partition(".")[0] or "this machine"
    measured = measure(called, chosen, tell=tell)
    if mongo is None:
        console.print(comparison([measured]))
        tell("not kept: say --mongo to compare it with others")
        return
    with Store(mongo) as store:
        store.benchmarks.keep(measured)
        _show_kept(store)


def _show_kept(store: "Store") -> None:
    from hyperhive.worker.benchmark.table import comparison

    kept = store.benchmarks.all()
    if kept:
        console.print(comparison(kept))
    else:
        tell("no device was measured yet: run `hyperhive benchmark` on each")


def _there(mongo: Optional[str]) -> str:
    """Return the store's URI: the one that was said, or this machine's private server's."""
    from hyperhive.store.server.embedded import running_uri

    uri = mongo or running_uri()
    if uri is None:
        raise UsageError("which store? Say --mongo: no private server runs on this machine")
    return uri
