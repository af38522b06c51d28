"""The command ``hyperhive benchmark``."""

from typing import Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.store.cli import MONGO
from hyperhive.worker.benchmark.settings import BenchmarkSettings


def benchmark(
    device: str = typer.Option("auto", help="What to measure: auto, cpu, cuda or mps."),
    name: Optional[str] = typer.Option(
        None,
        help="The name of this machine.",
        show_default="the name it was invited under, else its host name",
    ),
    compare: bool = typer.Option(
        False, "--compare", help="Measure nothing: show the devices that were measured before."
    ),
    network: str = typer.Option("lenet5", help="What to train and run instead; it is not stored."),
    image_size: int = typer.Option(
        28, min=28, max=224, metavar="PIXELS", help="Width and height of the images."
    ),
    mongo: Optional[str] = MONGO,
) -> None:
    """Measure how fast this device trains and classifies, and compare it with other devices.

    It measures one slot, on noise: no data set is needed. It takes about 15 seconds, up to a minute
    on a slow CPU, and minutes with a large network. Run nothing else meanwhile, not even a worker.
    """
    settings = BenchmarkSettings(device, name, mongo, network, image_size)
    from hyperhive.worker.benchmark import run

    if compare:
        run.show_stored(settings, console.print, tell)
    else:
        run.measure_and_show(settings, console.print, tell)
