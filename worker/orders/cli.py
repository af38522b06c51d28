"""The commands ``hyperhive worker pause``, ``drain`` and ``resume``."""

from typing import Optional

import typer

from hyperhive.store.cli import MONGO, server

NAME = typer.Argument(
    help="The device's name, as its workers' names begin in `hyperhive status`, or the whole name "
    "of one worker."
)


def pause(name: str = NAME, mongo: Optional[str] = MONGO) -> None:
    """Have a device end or hand back its trials, and take none until it is resumed.

    A trial that can end within the worker's --grace is finished; any other is handed back, at no
    cost to its attempts. The order also holds for workers that start there later. The command
    waits until no worker of the device holds a trial. The exit code is 1 if one may still hold a
    trial.
    """
    _order("pause", name, mongo)


def drain(name: str = NAME, mongo: Optional[str] = MONGO) -> None:
    """Have a device run its trials to their end, and take no other until it is resumed.

    The command waits until its workers know of this, not until the trials have ended: `hyperhive
    status` shows when they are drained.
    """
    _order("drain", name, mongo)


def resume(name: str = NAME, mongo: Optional[str] = MONGO) -> None:
    """Let a paused or drained device take trials again."""
    from hyperhive.common.console import tell
    from hyperhive.store.ordering import withdraw
    from hyperhive.store.store import Store

    with server(mongo, None) as uri, Store(uri) as store:
        tell(withdraw(store, name))


def _order(wish: str, name: str, mongo: Optional[str]) -> None:
    from hyperhive.common.console import tell
    from hyperhive.common.signals import StopSignals
    from hyperhive.store.ordering import OrderCommand
    from hyperhive.store.orders import Wish
    from hyperhive.store.store import Store

    with StopSignals() as signals, server(mongo, None) as uri, Store(uri) as store:
        command = OrderCommand(store, name)
        for sentence in command.order(Wish(wish), signals.stop):
            tell(sentence)
    if not command.is_obeyed:
        raise typer.Exit(1)
