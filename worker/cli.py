"""The command ``hyperhive worker``."""

import atexit
import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, List, NoReturn, Optional, Set

import typer

from hyperhive.common.errors import InputError, UsageError
from hyperhive.common.signals import StopRequest
from hyperhive.store.cli import mongo_option
from hyperhive.store.errors import StoreError, StoreUnavailable
from hyperhive.store.server import login
from hyperhive.worker.pool import EXPECTED_ERROR, Pool

if TYPE_CHECKING:
    from hyperhive.worker.pausing import Courtesy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What the command line says, on its way to each slot's process."""

    mongo: Optional[str]
    study: Optional[str]
    device: str
    threads: int
    lease: float
    grace: float
    allow_pickled: bool
    pause_on_battery: bool
    max_temp: Optional[float]
    first_come: bool
    verbose: bool
    reasons: "multiprocessing.connection.Connection[str, None]"
    """Takes why a slot ended, for the parent to tell: it is mostly the same for all."""


def worker(
    mongo: Optional[str] = mongo_option(
        "the login that was saved here, else the server that a coordinator runs on this machine"
    ),
    save_login: bool = typer.Option(
        False,
        "--save-login",
        help="Keep the MongoDB URI, in a file that only this user can read, for workers that are "
        "started without one.",
    ),
    study: Optional[str] = typer.Option(None, help="Work for this study only."),
    device: str = typer.Option("auto", help="Where to train: auto, cpu, cuda or mps."),
    slots: Optional[int] = typer.Option(
        None, min=1, help="Trials at once; by default one a core on a CPU, one on a GPU."
    ),
    lease: float = typer.Option(
        60.0, min=1.0, help="Seconds without a sign of life until others may take the trial."
    ),
    grace: float = typer.Option(
        10.0, min=0.0, help="Seconds that the trial in hand may still take after Ctrl-C."
    ),
    allow_pickled: bool = typer.Option(
        False,
        "--allow-pickled-objectives",
        help="Also run the jobs of hyperopt's fmin (store.hyperopt). They bring their code as a "
        "pickle: whoever may write to the database can then run anything on this machine.",
    ),
    pause_on_battery: bool = typer.Option(
        False,
        "--pause-on-battery",
        help="Leave the machine alone while it runs on its battery: take no trial, and hold the "
        "one in hand after its epoch. After five minutes it is given back.",
    ),
    max_temp: Optional[float] = typer.Option(
        None,
        min=30,
        max=110,
        metavar="CELSIUS",
        help="The same while a processor is hotter than this; it goes on 5 degrees below.",
    ),
    nice: int = typer.Option(
        0, min=0, max=19, metavar="N", help="Let everything else go first: 1 a little, 19 most."
    ),
    first_come: bool = typer.Option(
        False,
        "--first-come",
        help="Take trials in the order they were posted, and never run a second copy of one that "
        "a slower device is at. Without it, the end of a study is shared out by speed.",
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say more."),
) -> None:
    """Pull trials from a coordinator's study and train them on this machine.

    Runs until you stop it. Ctrl-C (or SIGTERM) once: it ends the trial in hand if it can do so
    soon, else hands it back for another worker. Twice: it hands it back at once.
    """
    from hyperhive.worker.device import default_slots, threads_of_slot

    _set_up_logging(verbose, "worker")
    _courtesy(pause_on_battery, max_temp)
    _be_nice(nice)
    mongo = mongo or _saved_login(save_login)
    if mongo is not None:
        _check_login(mongo)
    if mongo is not None and save_login:
        log.info("the login is kept in %s: `hyperhive worker` is enough now", login.save(mongo))
    kind = _device_kind(device)
    count = slots or default_slots(kind)
    log.info("%d slot%s on %s", count, "s" if count > 1 else "", kind)
    if allow_pickled:
        log.warning(
            "--allow-pickled-objectives: hyperopt's jobs bring their code, so whoever may write to "
            "the database can run anything on this machine"
        )
    told, reasons = multiprocessing.Pipe(duplex=False)
    options = Options(
        mongo=mongo,
        study=study,
        device=kind,
        threads=threads_of_slot(kind),
        lease=lease,
        grace=grace,
        allow_pickled=allow_pickled,
        pause_on_battery=pause_on_battery,
        max_temp=max_temp,
        first_come=first_come,
        verbose=verbose,
        reasons=reasons,
    )
    if Pool(_slot, (options,), count).run():
        _end(0)
    for reason in sorted(_all_of(told)):
        log.error("%s", reason)
    _end(1)


def _all_of(told: "multiprocessing.connection.Connection[None, str]") -> Set[str]:
    """Return what the slots, which have all ended, gave for reasons."""
    reasons = set()
    while told.poll():
        reasons.add(told.recv())
    return reasons


def _device_kind(asked: str) -> str:
    """Return ``cpu``, ``cuda`` or ``mps``; without torch, which takes its time, where it can be."""
    from hyperhive.worker.device import installed

    installed()
    if asked == "cpu":
        return asked
    from hyperhive.model.device import choose

    return choose(asked).type


def _courtesy(pause_on_battery: bool, max_temp: Optional[float]) -> "Courtesy":
    """Return when to leave this machine alone; raises ``UsageError`` where it cannot tell."""
    from hyperhive.worker.pausing import Courtesy
    from hyperhive.worker.sensors import sensors

    return Courtesy(sensors(), pause_on_battery, max_temp)


def _be_nice(by: int) -> None:
    """Let other processes go first, before this one and the slots that it will start."""
    if by and not hasattr(os, "nice"):
        raise UsageError("this system knows no niceness: leave --nice away")
    if by:
        os.nice(by)


def _saved_login(is_to_be_saved: bool) -> Optional[str]:
    """Return the URI that was saved for this user, and say so; None if there is none."""
    if is_to_be_saved:
        raise UsageError(
            "--save-login keeps the login it is given: paste the whole line of "
            "`hyperhive mongo invite`, which begins with HYPERHIVE_MONGO="
        )
    uri = login.saved()
    if uri is not None:
        log.info(
            "the login is that of %s; without that file, a worker is for this machine's own server",
            login.saved_file(),
        )
    return uri


def _check_login(uri: str) -> None:
    """Say once, not once a slot, that a login is wrong; a server that is away is waited for."""
    from hyperhive.store.store import Store

    with contextlib.suppress(StoreUnavailable), Store(uri, timeout=2.0) as store:
        store.ping()


def _slot(options: Options, number: int) -> None:
    """Be one slot: what each process of the pool runs."""
    code = _end_quickly()
    _set_up_logging(options.verbose, f"slot {number}")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # PyTorch reads it when it is imported
    stop = StopRequest()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, who passes it on
    signal.signal(signal.SIGTERM, stop.on_signal)
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    try:
        _work(options, stop)
    except (StoreError, InputError) as error:
        try:
            options.reasons.send(str(error))
        except OSError:  # the parent was killed
            log.error("%s", error)
        code[0] = EXPECTED_ERROR
    else:
        code[0] = 0


def _end(code: int) -> NoReturn:
    """End this process without Python's taking PyTorch apart, for one to two seconds."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_quickly() -> List[int]:
    """Have this process end so, once the handlers that others register for its end were called.

    Returns the list that holds its exit code, which is 1 unless another is put there. To be called
    before anything else is imported: what is registered first is called last, after the handlers
    of PyTorch and of an objective's packages.
    """
    code = [1]
    atexit.register(lambda: _end(code[0]))
    return code


def _work(options: Options, stop: StopRequest) -> None:
    from hyperhive.store.server.embedded import running_uri
    from hyperhive.store.workers import new_worker_id
    from hyperhive.worker.device import describe, installed
    from hyperhive.worker.identity import Identity
    from hyperhive.worker.loop import Terms, Worker
    from hyperhive.worker.objectives.registry import registered
    from hyperhive.worker.outbox import Outbox

    name = new_worker_id()
    identity = Identity(name, options.study, describe(options.device), installed())
    find_server = running_uri if options.mongo is None else lambda: options.mongo
    terms = Terms(
        find_server,
        options.device,
        options.lease,
        options.grace,
        _courtesy(options.pause_on_battery, options.max_temp),
        options.first_come,
    )
    objectives = registered(options.allow_pickled)
    Worker(identity, terms, objectives, Outbox(name), stop).run()


def _stop_with_parent(stop: StopRequest) -> None:
    """End in good order when the parent is gone: nobody is left to restart or to stop this slot."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop.ask()


def _set_up_logging(verbose: bool, who: str) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format=f"%(asctime)s {who}  %(message)s",
        datefmt="%H:%M:%S",
    )
