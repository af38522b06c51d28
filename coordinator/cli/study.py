"""The commands ``hyperhive study``: what can be done with a study that is in the store."""

import functools
import logging
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.common.errors import UsageError
from hyperhive.common.streams import log_handler
from hyperhive.coordinator.cli.artifacts import artifacts
from hyperhive.coordinator.cli.coordinator import MODELS, TIMEOUT
from hyperhive.coordinator.cli.enqueue import enqueue
from hyperhive.coordinator.cli.results import compare, export, import_
from hyperhive.coordinator.cli.when_done import WHEN_DONE, runner
from hyperhive.store.cli import MONGO, MONGOD, STUDY, server

study_app = typer.Typer(
    no_args_is_help=True,
    help="Have a study try more, end it, note something on it, delete it, or bring its results out "
    "and in.",
)
NAME = typer.Argument(
    help="The name of the study, or the exp_key of hyperopt's fmin, as `hyperhive status` shows it."
)
CANCELLED = typer.Option(
    None, "--trial", min=0, metavar="N", help="Only this trial, by its number. [the whole study]"
)
TRIALS = typer.Option(..., "--trials", min=1, metavar="N", help="How many it is to run in all.")
TEXT = typer.Argument(None, metavar="TEXT", help="The note, of at most 2,000 characters.")
NOTED = typer.Option(
    None, "--trial", min=0, metavar="N", help="The trial that it is about. [the whole study]"
)
REMOVE = typer.Option(
    None, "--remove", metavar="ID", help="Remove the note with this id, which the list shows."
)
REFIT = typer.Option(
    None,
    "--refit/--no-refit",
    help="Train the winner on training and validation data before the test. [as the study was run]",
)


@study_app.command()
def finish(
    name: str = STUDY,
    refit: Optional[bool] = REFIT,
    timeout: Optional[float] = TIMEOUT,
    models: Path = MODELS,
    when_done: Optional[str] = WHEN_DONE,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """End a study early with the trials that have ended: refit, test, write the model.

    Trials that wait or run are withdrawn. It works while a coordinator runs the study, on this or
    another machine, which then ends in the same way, and it works without one. The coordinator can
    later be started with more trials, and the study goes on.
    """
    logging.basicConfig(level=logging.WARNING, handlers=[log_handler()])
    from hyperhive.coordinator import session

    options = session.FinishOptions(name, refit, timeout, models, runner(when_done))
    if not session.finish(options, functools.partial(server, mongo, mongod), console):
        raise typer.Exit(1)


@study_app.command()
def cancel(
    name: str = NAME,
    trial: Optional[int] = CANCELLED,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """End a study now, even while it runs: its coordinator ends, its workers go on with others.

    Its results and its best model so far stay in the store. It gets no refit and no test:
    `hyperhive study finish` ends it with both. NAME may also be the exp_key of an experiment of
    hyperopt's: its waiting jobs end, and its fmin returns once those that run have ended.

    With --trial only that trial of the search ends, without a result. It counts as one of the
    study's trials, and the study goes on.
    """
    from hyperhive.coordinator.api.connection import patiently
    from hyperhive.coordinator.changes import ending
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        if trial is None:
            tell(ending.cancel(store, name))
        else:
            tell(patiently(functools.partial(ending.cancel_trial, store, name, trial)))


@study_app.command()
def extend(
    name: str = STUDY,
    trials: int = TRIALS,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Have a study that goes on run more trials.

    The coordinator that runs it takes them up within seconds, and also one that is started again
    with the command that it had. A study that has ended goes on when `hyperhive coordinator` is
    started with more --trials.
    """
    from hyperhive.coordinator.api.connection import patiently
    from hyperhive.coordinator.changes import extending
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        tell(patiently(functools.partial(extending.extend, store, name, trials)))


@study_app.command()
def note(
    name: str = NAME,
    text: Optional[str] = TEXT,
    trial: Optional[int] = NOTED,
    remove: Optional[str] = REMOVE,
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Keep a note on a study, or on a trial of it; without TEXT, list its notes.

    A note has its writer's name and the server's time. Everybody who can see the study can read it.
    It is deleted with the study, and is in `hyperhive study export --json`.
    """
    if remove is not None and (text is not None or trial is not None):
        raise UsageError("give --remove alone: its id names the note")
    from hyperhive.coordinator.changes import noting
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        if text is not None:
            tell(noting.write(store, name, text, trial))
        elif remove is not None:
            tell(noting.remove(store, name, remove))
        else:
            typer.echo("\n".join(noting.lines(store, name, trial)))


@study_app.command()
def delete(
    name: str = NAME,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    mongo: Optional[str] = MONGO,
    mongod: Optional[str] = MONGOD,
) -> None:
    """Delete a study, its trials, their weights and artifacts, even while it runs.

    Its data set stays in the store for other studies. A model that was written to a folder stays
    there. Of an experiment of hyperopt's, jobs and attachments are deleted, and its fmin ends.
    """
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        if store.is_experiment(name):
            from hyperhive.coordinator import hyperopt_experiment

            if not yes:
                jobs = hyperopt_experiment.count_of(store, name)
                typer.confirm(f"Delete experiment {name!r} and its {jobs} jobs?", abort=True)
            hyperopt_experiment.delete(store, name)
            tell(f"experiment {name!r} deleted")
            return
        trials = len(store.trials.find(name, in_short=True))
        if not trials:
            store.study(name)  # raises NotFound if it does not exist
        if not yes:
            typer.confirm(f"Delete study {name} and its {trials} trials?", abort=True)
        store.delete_study(name)
    tell(f"study {name} deleted")


study_app.command()(artifacts)
study_app.command()(enqueue)
study_app.command("export")(export)
study_app.command("import")(import_)
study_app.command("compare")(compare)
