"""The commands ``hyperhive study``: what can be done with a study that is in the store."""

import functools
import logging
from pathlib import Path
from typing import Optional

import typer

from hyperhive.common.console import console, tell
from hyperhive.common.streams import log_handler
from hyperhive.coordinator.cli.artifacts import artifacts
from hyperhive.coordinator.cli.coordinator import MODELS, TIMEOUT
from hyperhive.coordinator.cli.enqueue import enqueue
from hyperhive.coordinator.cli.results import compare, export, import_
from hyperhive.coordinator.cli.when_done import WHEN_DONE, runner
from hyperhive.store.cli import MONGO, MONGOD, STUDY, server

study_app = typer.Typer(
    no_args_is_help=True,
    help="Have a study try more, end it, delete it, or bring its results out and in.",
)
NAME = typer.Argument(
    help="The name of the study, or the exp_key of hyperopt's fmin, as `hyperhive status` shows it."
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
def cancel(name: str = NAME, mongo: Optional[str] = MONGO, mongod: Optional[str] = MONGOD) -> None:
    """End a study now, even while it runs: its coordinator ends, its workers go on with others.

    Its results and its best model so far stay in the store. It gets no refit and no test:
    `hyperhive study finish` ends it with both. NAME may also be the exp_key of an experiment of
    hyperopt's: its waiting jobs end, and its fmin returns once those that run have ended.
    """
    from hyperhive.store.store import Store

    with server(mongo, mongod) as uri, Store(uri) as store:
        if store.is_experiment(name):
            from hyperhive.coordinator import experiment

            tell(experiment.cancel(store, name))
            return
        study = store.study(name)
        if study.result is not None:
            tell(f"study {name} has ended already")
            return
        count = store.cancel_study(name)
    tell(f"study {name} cancelled, {count} trials with it")


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
            from hyperhive.coordinator import experiment

            if not yes:
                jobs = experiment.count_of(store, name)
                typer.confirm(f"Delete experiment {name!r} and its {jobs} jobs?", abort=True)
            experiment.delete(store, name)
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
