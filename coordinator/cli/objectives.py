"""The commands ``hyperhive objectives``: code that workers get from the store, signed."""

import functools
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import tell
from hyperhive.store.cli import MONGO, server

PATH = typer.Argument(help="A Python file, or a folder with Python files.")
TITLE = typer.Argument(
    metavar="NAME@HASH", help="What `hyperhive objectives list` shows, as digits.py@1f2e3d4c5b6a."
)

objectives_app = typer.Typer(
    no_args_is_help=True,
    help="Publish code for the workers that trust your key, and withdraw it.",
)


@objectives_app.command()
def publish(path: Path = PATH, mongo: Optional[str] = MONGO) -> None:
    """Publish a file or a folder: workers that were given your key run its functions.

    It is signed with a key that never leaves this machine, and the name of its objectives has the
    hash of what was published: after a change, publish it again. Workers of running studies keep
    the version that these began with.
    """
    from hyperhive.coordinator.publishing.publisher import Publisher
    from hyperhive.store.store import Store

    with server(mongo, None, begins=True) as uri, Store(uri) as store:
        done = Publisher(store, warn).publish(path)
    entry = done.entry
    objectives = " and ".join(entry.objectives)
    which = "its objective is" if len(entry.objectives) == 1 else "its objectives are"
    was = f"published {path} as" if done.is_new else f"{path} was published before, as"
    tell(f"{was} {entry.title}: {which} {objectives}; workers that trust key {done.key} run it")
    if entry.needs:
        tell(f"a worker needs {entry.needs}")


@objectives_app.command("list")
def list_(mongo: Optional[str] = MONGO) -> None:
    """Show what is published in the store, and with which keys."""
    from hyperhive.coordinator.publishing.listing import lines
    from hyperhive.store.store import Store

    with server(mongo, None) as uri, Store(uri) as store:
        for line in lines(store):
            tell(line)


@objectives_app.command()
def withdraw(title: str = TITLE, mongo: Optional[str] = MONGO) -> None:
    """Take a version back: no worker begins another trial with it."""
    from hyperhive.coordinator.publishing.publisher import Publisher
    from hyperhive.store.store import Store

    with server(mongo, None) as uri, Store(uri) as store:
        Publisher(store, warn).withdraw(title)
    tell(f"withdrew {title}: no worker begins another trial with it")


@objectives_app.command()
def revoke(mongo: Optional[str] = MONGO) -> None:
    """Revoke your key: no worker that hears of it ever runs anything signed with it again.

    Do this if somebody else may have the key. The next `publish` makes a new one.
    """
    from hyperhive.coordinator.publishing.publisher import Publisher
    from hyperhive.store.store import Store

    with server(mongo, None) as uri, Store(uri) as store:
        key = Publisher(store, warn).revoke()
    tell(
        f"revoked key {key}: publish again, which makes a new key, and start each worker with a "
        "new line of `hyperhive mongo invite`"
    )


warn = functools.partial(typer.echo, err=True)
