"""Running hyperopt's jobs: the only code of hyperhive that unpickles anything.

An objective travels as a pickle, and a pickle is code. Only ``evaluate`` unpickles one, and only a
``MongoWorker`` or a worker that was started with ``--allow-pickled-objectives`` calls it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping

from hyperopt import mongoexp
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, SONify, spec_from_misc
from hyperopt.mongoexp import MongoCtrl, ReserveTimeout

from hyperhive.common.text import of_error
from hyperhive.store.encoding import LARGEST_RESULT, encoded, why
from hyperhive.store.errors import Unstorable
from hyperhive.store.hyperopt.attachments import as_bytes
from hyperhive.store.hyperopt.trials import MongoTrials

_Document = Dict[str, Any]


def evaluate(pickled: bytes, ctrl: Any) -> _Document:
    """Unpickle an objective, run it on ``ctrl``'s trial, and return hyperopt's result.

    This runs whatever code the pickle contains. The objective's attachments are not stored yet: the
    result has them under ``attachments``, as bytes. Raises ``ValueError`` if the pickle cannot be
    loaded here, whatever the objective raises, and ``Unstorable`` for a result or an attachment
    that the store could not hold: nothing is stored then.
    """
    try:
        domain = pickle.loads(pickled)  # noqa: S301  (what this function is for)
    except Exception as error:
        raise ValueError(
            f"the objective cannot be unpickled here ({type(error).__name__}: {error}): install "
            "the packages and the Python version of the machine that called fmin"
        ) from error
    spec = spec_from_misc(ctrl.current_trial["misc"])
    result: _Document = domain.evaluate(spec, ctrl, attach_attachments=False)
    attached = result.pop("attachments", {})
    if not isinstance(attached, Mapping):
        raise Unstorable("the attachments of a result must be a dict: bytes or text by name")
    attachments = {name: as_bytes(name, value) for name, value in attached.items()}
    return {**_plain(result), "attachments": attachments}


def _plain(result: _Document) -> _Document:
    """Return a result without NumPy's types, as hyperopt stores it; raises ``Unstorable``."""
    plain = {}
    for name, value in result.items():
        try:
            plain[name] = SONify(value)
        except RecursionError as error:
            raise Unstorable(f"the result cannot be stored: {name!r:.80}: {why(error)}") from None
        except Exception as error:  # its text is the part that failed, and all that this is in
            kind = type(error.args[1])
            raise Unstorable(
                f"the result cannot be stored: {name!r:.80} is or contains something else than "
                f"numbers, text, bytes, lists, dicts and None: {kind.__module__}.{kind.__name__}"
            ) from None
    encoded("the result", plain, LARGEST_RESULT)
    return plain


class MongoWorker(mongoexp.MongoWorker):
    """hyperopt's worker, for scripts that use it; ``hyperhive worker`` does more.

    While a job runs its lease is renewed. A job that raises ends in ERROR and is not tried again.
    """

    def run_one(
        self,
        host_id: Any = None,
        reserve_timeout: float | None = None,
        erase_created_workdir: bool = False,
    ) -> None:
        """Wait for a job and run it in its working directory; raises whatever the job raises.

        Raises ``ReserveTimeout`` if no job comes for ``reserve_timeout`` seconds.
        """
        job = self._reserve(host_id or f"{socket.gethostname()}:{os.getpid()}", reserve_timeout)
        try:
            trials = MongoTrials(self.mj, exp_key=job["exp_key"], refresh=False)
            ctrl = MongoCtrl(trials, job, read_only=False)
            home = job["misc"].get("workdir") or os.getcwd()
            folder = Path(self.workdir or Path(home) / str(job["_id"])).expanduser().absolute()
            with self._logging(), _working_in(folder, erase_created_workdir):
                protocol, name = job["misc"]["cmd"]
                if protocol != "domain_attachment":
                    raise ValueError(
                        f"only jobs that fmin posted can be run, not one of {protocol!r}"
                    )
                result = evaluate(trials.attachments[name], ctrl)
            for name, value in result.pop("attachments").items():
                ctrl.attachments[name] = value
        except BaseException as error:
            text = of_error(error).partition(": ")[2]
            self.mj.update(job, {"state": JOB_STATE_ERROR, "error": [str(type(error)), text]})
            raise
        finally:
            self.mj.let_go(job)
        self.mj.update(job, {"state": JOB_STATE_DONE, "result": result})

    def _reserve(self, host_id: Any, timeout: float | None) -> _Document:
        deadline = time.monotonic() + timeout if timeout else None
        pause = 0.05
        while True:
            job: _Document | None = self.mj.reserve(host_id, exp_key=self.exp_key)
            if job is not None:
                return job
            if deadline is not None and time.monotonic() + pause > deadline:
                raise ReserveTimeout
            time.sleep(pause)
            pause = min(2 * pause, float(self.poll_interval))

    @contextlib.contextmanager
    def _logging(self) -> Iterator[None]:
        """Log also to ``logfilename`` if it is set, as hyperopt's worker does."""
        if not self.logfilename:
            yield
            return
        self.make_log_handler()
        root = logging.getLogger()
        root.addHandler(self.log_handler)
        try:
            yield
        finally:
            root.removeHandler(self.log_handler)
            self.log_handler.close()


_CHANGING_DIRECTORY = threading.RLock()
"""A process has one working directory: its threads use it one at a time."""


@contextlib.contextmanager
def _working_in(folder: Path, erase: bool) -> Iterator[None]:
    with _CHANGING_DIRECTORY:
        before = os.getcwd()
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
            if erase and made:
                shutil.rmtree(str(folder))
