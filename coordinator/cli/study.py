"""The commands ``hyperhive study``: what one does with a study that is in the store."""

from typing import Optional

import typer

from hyperhive.common.console import console
from hyperhive.store.cli import MONGO, MONGOD, server

study_app = typer.Typer(no_args_is_help=True, help="End a study early, or delete it.")
NAME = typer.Argument(help="The study's name, as `hyperhive status` shows it.")


@study_app.command()
def cancel(name: str = NAME, mongo: Optional[str] = MONGO, mongod: Optional[str] = MONGOD) -> None:
    """End a study now, also one that runs: its coordinator ends, its workers go on with others.

    What it found stays in the store.
    """
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        study = store.study(name)
        if study.result is not None:
            console.print(f"study {name} has ended already", highlight=False)
            return
        count = store.cancel_study(name)
    console.print(f"study {name} cancelled, {count} trials with it", highlight=False)


@study_app.command()
def delete(
    name: str = NAME,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Delete a study, its trials and their weights, also while it runs.

    Its data set stays in the store for others, and the model that it wrote to a folder stays there.
    """
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        trials = len(store.trials.find(name))
        if not trials:
            store.study(name)  # there is one, or it says that there is none
        if not yes:
            typer.confirm(f"Delete study {name} and its {trials} trials?", abort=True)
        store.delete_study(name)
    console.print(f"study {name} deleted", highlight=False)
