"""The command ``hyperhive benchmark``."""

import platform
from typing import TYPE_CHECKING, Optional

import typer
from rich.console import Console

from model.errors import UsageError
from store import login

if TYPE_CHECKING:
    from store.connection import Store

console = Console()


def benchmark(
    device: str = typer.Option("auto", help="What to measure: auto, cpu, cuda or mps."),
    name: Optional[str] = typer.Option(
        None, help="What this machine is called.", show_default="its host name"
    ),
    compare: bool = typer.Option(
        False, "--compare", help="Measure nothing: show the devices that were measured before."
    ),
    mongo: Optional[str] = typer.Option(
        None,
        envvar=login.VARIABLES,
        show_envvar=True,
        callback=login.resolve,
        help="MongoDB URI of the store that keeps the figures, or the path of a file that holds "
        "it; without it, the login that was saved here; without that they are only shown. Prefer a "
        "file or the variable: they keep the password out of the process list.",
    ),
) -> None:
    """Measure how fast this device trains and labels, and show it beside the others.

    One slot is measured, on noise: no data set is needed. It takes some 15 seconds, under a minute
    on a slow CPU. Let nothing else run meanwhile, no worker either.
    """
    from store.connection import Store

    mongo = mongo or login.saved()
    if compare:
        with Store(_there(mongo)) as store:
            _show_kept(store)
        return
    if mongo is not None:
        with Store(mongo) as store:
            store.ping()  # said now, not after the measuring
    import torch

    from model.device import choose
    from worker.benchmark import measure
    from worker.comparison import comparison
    from worker.device import threads_of_slot

    chosen = choose(device)
    torch.set_num_threads(threads_of_slot(chosen.type))
    called = name or platform.node().partition(".")[0] or "this machine"
    measured = measure(called, chosen, tell=_tell)
    if mongo is None:
        console.print(comparison([measured]))
        _tell("not kept: say --mongo to compare it with others")
        return
    with Store(mongo) as store:
        store.benchmarks.keep(measured)
        _show_kept(store)


def _show_kept(store: "Store") -> None:
    from worker.comparison import comparison

    kept = store.benchmarks.all()
    if kept:
        console.print(comparison(kept))
    else:
        _tell("no device was measured yet: run `hyperhive benchmark` on each")


def _there(mongo: Optional[str]) -> str:
    """Return the store's URI: the one that was said, or this machine's private server's."""
    from store.embedded import running_uri

    uri = mongo or running_uri()
    if uri is None:
        raise UsageError("which store? Say --mongo: no private server runs on this machine")
    return uri


def _tell(sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
