"""The commands ``hyperhive worker``, and what each process of a worker sets up."""

import io
import logging
import os
import sys
from typing import List, Optional

import typer

from hyperhive.common.errors import UsageError
from hyperhive.common.streams import accept_any_character, log_handler
from hyperhive.store.cli import MONGO
from hyperhive.worker.device import threads_of_slot
from hyperhive.worker.orders.cli import drain, pause, resume
from hyperhive.worker.settings import WorkerSettings

_SAVE_LOGIN = typer.Option(
    False,
    "--save-login",
    help="Keep the MongoDB URI and the keys of --trust, for later workers, in files that only this "
    "user can read.",
)
_STUDY = typer.Option(None, help="Work for this study only.")
_DEVICE = typer.Option(WorkerSettings.device, help="Where to train: auto, cpu, cuda or mps.")
_SLOTS = typer.Option(
    None, min=1, max=1024, help="Trials at once; by default one per core on a CPU, one on a GPU."
)
_LEASE = typer.Option(
    WorkerSettings.lease,
    min=1.0,
    max=86400.0,
    help="Seconds without a heartbeat until other workers may take the trial.",
)
_GRACE = typer.Option(
    WorkerSettings.grace, min=0.0, help="Seconds to finish the current trial after Ctrl-C."
)
_OBJECTIVES = typer.Option(
    [],
    "--objectives",
    metavar="FILE.py",
    help="Also run the functions of this file, as FILE.py:FUNCTION; may be repeated. Each slot "
    "imports it once, when it starts: start the worker again after a change.",
)
_TRUST = typer.Option(
    [],
    "--trust",
    metavar="KEY",
    help="Also run what `hyperhive objectives publish` signs with this key, also later; may be "
    "repeated. The line of `hyperhive mongo invite` has it, and --save-login keeps it.",
)
_ALLOW_PICKLED = typer.Option(
    False,
    "--allow-pickled-objectives",
    help="Also run the jobs of hyperopt's fmin (hyperhive.mongoexp). They bring their code as a "
    "pickle: anyone who can write to the database can then run anything on this machine.",
)
_PAUSE_ON_BATTERY = typer.Option(
    False,
    "--pause-on-battery",
    help="Pause while the machine runs on its battery: claim no trial, and hold the current one "
    "after its epoch. After five minutes that trial is given back.",
)
_MAX_TEMP = typer.Option(
    None,
    min=30,
    max=110,
    metavar="CELSIUS",
    help="Pause in the same way while a processor is hotter than this; resume 5 degrees below.",
)
_NICE = typer.Option(
    WorkerSettings.nice,
    min=0,
    max=19,
    metavar="N",
    help="Lower the priority: 1 a little, 19 the most.",
)
_FIRST_COME = typer.Option(
    False,
    "--first-come",
    help="Claim trials in the order they were posted, and never run a second copy of a trial that "
    "a slower device holds. Without it, the last trials of a study are shared out by speed.",
)
_VERBOSE = typer.Option(False, "--verbose", "-v", help="Log more.")
# For a command that starts a worker: the worker ends with it, even if it is killed.
_WHILE_STDIN_OPEN = typer.Option(False, "--while-stdin-open", hidden=True)

worker_app = typer.Typer(
    invoke_without_command=True, subcommand_metavar="[pause|drain|resume NAME]"
)


@worker_app.callback()
def worker(
    context: typer.Context,
    mongo: Optional[str] = MONGO,
    save_login: bool = _SAVE_LOGIN,
    study: Optional[str] = _STUDY,
    device: str = _DEVICE,
    slots: Optional[int] = _SLOTS,
    lease: float = _LEASE,
    grace: float = _GRACE,
    objectives: List[str] = _OBJECTIVES,
    trust: List[str] = _TRUST,
    allow_pickled: bool = _ALLOW_PICKLED,
    pause_on_battery: bool = _PAUSE_ON_BATTERY,
    max_temp: Optional[float] = _MAX_TEMP,
    nice: int = _NICE,
    first_come: bool = _FIRST_COME,
    verbose: bool = _VERBOSE,
    while_stdin_open: bool = _WHILE_STDIN_OPEN,
) -> None:
    """Claim trials of a coordinator's study and train them on this machine.

    Ctrl-C or SIGTERM stops it. Once: it finishes its trial if that can be done soon, else gives it
    back for another worker. Twice: it gives it back at once. Three times: it kills its slots.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    settings = WorkerSettings(
        mongo=mongo,
        study=study,
        device=device,
        slots=slots,
        lease=lease,
        grace=grace,
        objectives=tuple(objectives),
        trust=tuple(trust),
        allow_pickled=allow_pickled,
        pause_on_battery=pause_on_battery,
        max_temp=max_temp,
        nice=nice,
        first_come=first_come,
        verbose=verbose,
        while_stdin_open=while_stdin_open,
    )
    set_up_logging(settings, "worker")
    from hyperhive.worker.slots import run_slots

    run_slots(settings, save_login, set_up_slot)


for _command in (pause, drain, resume):
    worker_app.command()(_command)


def _refuse_options(context: typer.Context) -> None:
    """Raise ``UsageError`` for an option of a worker in a command that starts none."""
    command = context.invoked_subcommand
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"{option.opts[0]} before {command} is for a worker: write options behind {command}"
            )


def set_up_slot(settings: WorkerSettings, name: str) -> None:
    """Set up a slot's process, before it imports PyTorch, which reads the number of threads."""
    accept_any_character()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What an objective prints is seen at once, and slots do not cut each other's lines,
            # whatever PYTHONUNBUFFERED says.
            stream.reconfigure(line_buffering=True, write_through=False)
    set_up_logging(settings, name)
    os.environ["OMP_NUM_THREADS"] = str(threads_of_slot(settings.device))
    if settings.trust:
        # What published code starts in its folder must leave no files there: nobody signed them.
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def set_up_logging(settings: WorkerSettings, name: str) -> None:
    """Set up the log of a process that has this name in it."""
    handler = log_handler(f"%(asctime)s {name}  %(message)s", settings.log)
    level = logging.DEBUG if settings.verbose else logging.INFO
    level = level if settings.log is None else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler])
