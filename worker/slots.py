"""A worker's processes: the parent that starts its slots, and what each slot runs."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from dataclasses import replace
from typing import Callable, NoReturn

from hyperhive.common import files, paths
from hyperhive.common.errors import HyperhiveError, UsageError
from hyperhive.common.extras import require_installed
from hyperhive.common.signals import StopRequest, end_process
from hyperhive.store.errors import StoreUnavailable
from hyperhive.store.server import login
from hyperhive.store.server.choice import named
from hyperhive.worker.device import default_slots, describe, installed, may_have_accelerator
from hyperhive.worker.outbox import default_directory
from hyperhive.worker.pool import EXPECTED_ERROR, Pool
from hyperhive.worker.settings import WorkerSettings

log = logging.getLogger(__name__)

SetUp = Callable[[WorkerSettings, str], None]
"""Sets up a process that has this name in its log: its logging and environment variables."""

_PING_TIMEOUT_S = 2.0
_DEAF_S = 5.0
"""How long an objective may take to end when it should."""


def run_slots(settings: WorkerSettings, save_login: bool, set_up: SetUp) -> NoReturn:
    """Run a worker until it is stopped, then end this process with the worker's exit code.

    What would fail in the same way in every slot is checked here first, so that the user reads one
    message.

    Args:
        settings: the command line's choices.
        save_login: keep the login of ``settings`` for this user's later workers.
        set_up: called first in each slot's process; a module's function, as it is pickled.

    Raises ``UsageError`` or another ``InputError`` for choices that this machine cannot honour,
    ``StoreError`` if the server refuses the login.
    """
    settings = _checked(settings, save_login)
    slots = settings.slots or default_slots(settings.device)
    log.info("%d slot%s on %s", slots, "s" if slots > 1 else "", settings.device)
    if settings.allow_pickled:
        log.warning(
            "--allow-pickled-objectives: hyperopt's jobs bring their code, so anyone who can write "
            "to the database can run anything on this machine"
        )
    receiver, sender = multiprocessing.Pipe(duplex=False)
    pool = Pool(_slot, (settings, sender, set_up), slots)
    if settings.while_stdin_open:
        patience = settings.grace + _DEAF_S
        threading.Thread(target=_stop_with_input, args=(pool, patience), daemon=True).start()
    if pool.run():
        end_process(0)
    # Most errors are the same in every slot: log each once.
    reasons = set()
    while receiver.poll():
        reasons.add(receiver.recv())
    for reason in sorted(reasons):
        log.error("%s", reason)
    end_process(1)


# -- the parent --------------------------------------------------------------------------------


def _checked(settings: WorkerSettings, save_login: bool) -> WorkerSettings:
    """Return the settings with the login and the device that they stand for, or raise."""
    from hyperhive.store.signed.keys import bytes_of
    from hyperhive.worker.objectives.files import checked
    from hyperhive.worker.pausing import PausePolicy

    PausePolicy.of(settings)
    settings = replace(settings, objectives=checked(settings.objectives))
    _lower_priority(settings.nice)
    files.require_writable(
        default_directory(),
        "results that are not delivered yet",
        paths.advice("data"),
        may_be_full=True,  # results are kept in memory until there is room
    )
    keys = tuple(dict.fromkeys(settings.trust))
    for key in keys:
        try:
            bytes_of(key)
        except UsageError as error:
            raise UsageError(f"--trust {error}") from error
    mongo = _login(settings.mongo, save_login, keys)
    if settings.mongo is None and mongo is not None:
        keys = tuple(dict.fromkeys((*keys, *login.trusted())))
    settings = replace(settings, mongo=mongo, trust=keys)
    return replace(settings, device=_device_kind(settings))


def _lower_priority(by: int) -> None:
    """Let other processes go first, before this one and the slots that it will start."""
    if by and not hasattr(os, "nice"):
        raise UsageError("this system has no process priorities of this kind: omit --nice")
    if by:
        os.nice(by)


def _login(given: str | None, save: bool, keys: tuple[str, ...]) -> str | None:
    """Return the URI that was given or saved, checked; None for this machine's private server.

    ``keys`` are saved with a login.
    """
    if given is None and save:
        raise UsageError(
            "--save-login found no login to save: paste the whole line of `hyperhive mongo "
            "invite`, which begins with HYPERHIVE_MONGO="
        )
    uri = named(given)
    if uri is not None:
        if given is None:
            log.info(
                "using the login in %s; without that file, a worker uses this machine's own server",
                login.saved_file(),
            )
        _check_login(uri)
        if save:
            files.require_writable(login.folder(), "the saved login", paths.advice("config"))
            log.info(
                "login saved in %s: next time, `hyperhive worker` is enough", login.save(uri, keys)
            )
    return uri


def _check_login(uri: str) -> None:
    """Raise ``StoreError`` if the server refuses the login; accept a server that is away."""
    from hyperhive.store.store import Store

    with contextlib.suppress(StoreUnavailable), Store(uri, timeout=_PING_TIMEOUT_S) as store:
        store.ping()


def _device_kind(settings: WorkerSettings) -> str:
    """Return ``cpu``, ``cuda`` or ``mps``; does not import torch, which is slow, for ``cpu``.

    Raises ``ModuleNotFoundError`` if PyTorch is missing, and the choice or the only objective needs
    it.
    """
    from hyperhive.worker.objectives.registry import needs_torch

    if needs_torch(settings) or settings.device not in ("auto", "cpu"):
        require_installed("torch")
    is_auto = settings.device == "auto"
    can_ask = may_have_accelerator() and "torch" in installed()
    if settings.device == "cpu" or (is_auto and not can_ask):
        return "cpu"
    from hyperhive.model.device import choose

    return choose(settings.device).type


def _stop_with_input(pool: Pool, patience: float) -> None:
    """Stop when standard input ends: the system closes it with its writer.

    Nobody is there to stop slots whose objective does not ask whether it should: after ``patience``
    seconds they are killed.
    """
    while os.read(0, 1):
        pass
    log.info("the command that started this worker has ended")
    pool.stop()
    time.sleep(patience)
    pool.stop()
    pool.stop()


# -- a slot ------------------------------------------------------------------------------------


def _slot(
    settings: WorkerSettings,
    reasons: multiprocessing.connection.Connection[str, None],
    set_up: SetUp,
    number: int,
) -> None:
    """Work in a slot's process; an expected error is sent to the parent, which logs it."""
    ending = QuickExit()
    set_up(settings, f"slot {number}")
    stop = StopRequest()
    # Ctrl-C reaches every process of the terminal; the parent passes it on as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop.on_signal)
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    try:
        _work(settings, stop, number)
    except HyperhiveError as error:
        log.debug("where the error was raised:", exc_info=True)  # seen with --verbose
        try:
            reasons.send(str(error))
        except OSError:  # the parent was killed
            log.error("%s", error)
        ending.code = EXPECTED_ERROR
    else:
        ending.code = 0


def _work(settings: WorkerSettings, stop: StopRequest, number: int) -> None:
    from hyperhive.store.workers import new_worker_id
    from hyperhive.worker.identity import Identity
    from hyperhive.worker.loop import Worker
    from hyperhive.worker.objectives.files import digests
    from hyperhive.worker.objectives.lacking import Lacking
    from hyperhive.worker.objectives.registry import available
    from hyperhive.worker.outbox import Outbox

    name = new_worker_id(login.device_of(settings.mongo))
    versions = {**installed(), **digests(settings.objectives)}  # before the files are imported
    objectives = available(settings)
    if number == 1 and settings.objectives:
        log.info("objectives: %s", ", ".join(sorted(objectives)))
    identity = Identity(
        name, settings.study, describe(settings.device), versions, tuple(objectives)
    )
    lacking = Lacking(objectives, settings.study) if number == 1 else None
    published = None
    if settings.trust:
        from hyperhive.worker.signed.published import Published

        published = Published(settings.trust, objectives, tells=number == 1)
    outbox = Outbox(name, must_end=functools.partial(stop.ends, 0.0, settings.grace))
    Worker(settings, identity, objectives, outbox, stop, lacking=lacking, published=published).run()


def _stop_with_parent(stop: StopRequest) -> None:
    """Stop in good order when the parent is gone: nothing else could restart or stop this slot."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        stop.ask()


class QuickExit:
    """Ends this process, at its normal end, without Python's own clean-up.

    With PyTorch imported that takes one to two seconds. Handlers that others register with
    ``atexit`` still run, so make this before importing PyTorch or an objective's package: what is
    registered first is called last.

    ``code`` is the exit code: 1, an unexpected error, unless it is changed.
    """

    def __init__(self) -> None:
        self.code = 1
        atexit.register(lambda: end_process(self.code))
