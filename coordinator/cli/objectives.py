"""The commands ``hyperhive objectives``: code that workers get from the store, signed."""

import functools
import shlex
import sys
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import tell
from hyperhive.common.errors import UsageError
from hyperhive.store.cli import MONGO, server

PATH = typer.Argument(help="A Python file, or a folder with Python files.")
TITLE = typer.Argument(
    metavar="NAME@HASH", help="What `hyperhive objectives list` shows, as digits.py@1f2e3d4c5b6a."
)

YES = typer.Option(False, "--yes", "-y", help="Do not ask.")

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

    with server(mongo, None) as uri, Store(uri) as store:
        done = Publisher(store, warn).publish(path)
        where = store.address
    entry = done.entry
    objectives = " and ".join(entry.objectives)
    which = "its objective is" if len(entry.objectives) == 1 else "its objectives are"
    was = f"published {path} on {where} as"
    if not done.is_new:
        was = f"{path} was published before on {where}, as"
    tell(f"{was} {entry.title}: {which} {objectives}; workers that trust key {done.key} run it")
    if entry.needs:
        tell(f"a worker needs {entry.needs}")
    files = dict.fromkeys(function.partition(":")[0] for function in entry.functions)
    paths = (shlex.quote(str(path / file if path.is_dir() else path)) for file in files)
    commands = " or ".join(f"`hyperhive coordinator {each}`" for each in paths)
    tell(f"{commands} starts a study with it")


@objectives_app.command("list")
def list_(mongo: Optional[str] = MONGO) -> None:
    """Show what is published in the store, newest first, and with which keys."""
    from hyperhive.coordinator.publishing.listing import lines
    from hyperhive.store.store import Store

    with server(mongo, None) as uri, Store(uri) as store:
        tell(f"on {store.address}:")
        for line in lines(store):
            tell(line)


@objectives_app.command()
def withdraw(title: str = TITLE, mongo: Optional[str] = MONGO) -> None:
    """Take a version back: no worker begins another trial with it."""
    from hyperhive.coordinator.publishing.publisher import Publisher
    from hyperhive.store.store import Store

    with server(mongo, None) as uri, Store(uri) as store:
        studies = Publisher(store, warn).withdraw(title)
    tell(f"withdrew {title}: no worker begins another trial with it")
    if studies:
        tell(
            f"not ended, and in need of it: {', '.join(studies)}; publish the same file again to "
            "let their trials go on"
        )


@objectives_app.command()
def revoke(yes: bool = YES, mongo: Optional[str] = MONGO) -> None:
    """Revoke your key: no worker that hears of it ever runs anything signed with it again.

    Do this if somebody else may have the key. The next `publish` makes a new one. Without a
    terminal, pass --yes.
    """
    from hyperhive.coordinator.publishing.publisher import Publisher
    from hyperhive.store.store import Store

    with server(mongo, None) as uri, Store(uri) as store:
        publisher = Publisher(store, warn)
        key = publisher.existing_key().public
        if not yes:
            if sys.stdin is None or not sys.stdin.isatty():
                raise UsageError("revoke cannot be undone: pass --yes, as there is nobody to ask")
            typer.confirm(
                f"Revoke key {key} on {store.address}? All workers that trust it stop taking the "
                "code that was published with it, for good.",
                abort=True,
            )
        publisher.revoke()
    tell(
        f"revoked key {key}: publish the same files again, which makes a new key, so that running "
        "studies go on; and start each worker with a new line of `hyperhive mongo invite`"
    )


warn = functools.partial(typer.echo, err=True)
