"""The commands ``hyperhive report``, ``hyperhive study export``, ``import`` and ``compare``."""

from pathlib import Path
from typing import List, Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.common.errors import UsageError
from hyperhive.store.cli import MONGO, MONGOD, STUDY, server

STUDIES = typer.Argument(help="The names of two studies or more.", metavar="A B ...")
EXPORTED = typer.Argument(help="What `hyperhive study export --json` wrote.", metavar="FILE")
CSV = typer.Option(
    None, "--csv", metavar="FILE", help="Write a row for each trial; - is standard output."
)
JSON = typer.Option(
    None,
    "--json",
    metavar="FILE",
    help="Write the study so that `hyperhive study import` makes it anew; - is standard output.",
)
REPORTED = typer.Argument(
    help="The names of one study or more, as `hyperhive status` shows them.", metavar="STUDY ..."
)
OUTPUT = typer.Option(
    None,
    "--output",
    "-o",
    metavar="FILE",
    help="Where to write it; - is standard output. [STUDY-report.html here]",
)
NAME = typer.Option(None, "--name", metavar="OTHER", help="A name for the study here. [its own]")


def export(
    name: str = STUDY,
    csv: Optional[Path] = CSV,
    json: Optional[Path] = JSON,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Write all trials of a study to a file: as CSV, or as JSON that can be imported.

    Weights are not exported: `hyperhive best NAME --export` writes a model.
    """
    from hyperhive.common import files
    from hyperhive.coordinator.results.export import as_csv, as_json, require_target
    from hyperhive.store.store import Store

    path = csv or json
    if path is None or (csv and json):
        raise UsageError("give either --csv FILE or --json FILE")
    is_output = str(path) == "-"
    if not is_output:
        require_target(path)
    with server(mongo, mongod) as uri, Store(uri) as store:
        data = (as_csv if csv else as_json)(store, name)
    if is_output:
        typer.echo(data, nl=False)
        return
    files.write(path, data)
    tell(f"study {name} written: {path}")


def import_(
    file: Path = EXPORTED,
    name: Optional[str] = NAME,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Make a study of an exported one, with its trials that have ended and its notes.

    Run it again if it was interrupted: it goes on. A coordinator with the same specification then
    goes on with the study.
    """
    from hyperhive.coordinator.changes import noting
    from hyperhive.coordinator.results.ended import add
    from hyperhive.coordinator.results.exported import read, told
    from hyperhive.store.store import Store

    exported = read(file, name)
    with server(mongo, mongod, begins=True) as uri, Store(uri) as store:
        added = add(store, exported.study, exported.trials)
        noting.bring(store, exported.study.name, exported.notes)
    tell(f"study {exported.study.name}: {told(exported, added)}")


def compare(
    studies: List[str] = STUDIES, mongo: Optional[str] = MONGO, mongod: Optional[str] = MONGOD
) -> None:
    """Show studies side by side: their best trials, times and devices."""
    from hyperhive.coordinator.results.compare import compare as compared
    from hyperhive.coordinator.views.comparison import report
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        console.print(report(compared(store, studies)))


def report(
    studies: List[str] = REPORTED,
    output: Optional[Path] = OUTPUT,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Write a report of a study: one HTML file with all figures, to keep, to print and to mail.

    It needs no network and no server to be read. Several studies are laid side by side. STUDY may
    also be the exp_key of an experiment of hyperopt's.
    """
    from hyperhive.common import files
    from hyperhive.coordinator.report.writing import report as report_of
    from hyperhive.coordinator.report.writing import usual_file
    from hyperhive.coordinator.results.export import require_target
    from hyperhive.store.store import Store

    path = output or usual_file(studies)
    is_output = str(path) == "-"
    if not is_output:
        require_target(path)
    with server(mongo, mongod) as uri, Store(uri) as store:
        data = report_of(store, studies)
    if is_output:
        typer.echo(data, nl=False)
        return
    files.write(path, data)
    tell(f"report written: {path}")
