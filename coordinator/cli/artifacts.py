"""The command ``hyperhive study artifacts``."""

from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.store.cli import MONGO, MONGOD, STUDY, server

TRIAL = typer.Option(
    None,
    "--trial",
    metavar="N",
    help="Only those of this trial. Default with --to: the best trial.",
)
TO = typer.Option(
    None, "--to", metavar="FOLDER", help="Write the files of one trial into this new folder."
)


def artifacts(
    name: str = STUDY,
    trial: Optional[int] = TRIAL,
    to: Optional[Path] = TO,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """List the files that trials saved with trial.save, or write those of one trial to a folder.

    Only the best trials of a search keep theirs.
    """
    from hyperhive.coordinator.results.artifacts import download_all, searched
    from hyperhive.coordinator.results.repeated import best_of_study
    from hyperhive.coordinator.views.artifacts import report
    from hyperhive.store.errors import NotFound
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        trials = searched(store, name, trial)
        if to is None:
            console.print(report(name, trials))
            return
        source = best_of_study(store.study(name), trials) if trial is None else trials[0]
        if source is None:
            raise NotFound(f"study {name} has no best trial yet: name one with --trial")
        names = download_all(store, source, to)
    tell(f"{source.full_title}: {', '.join(names)} written to {to}")
