"""hyperopt's Mongo classes on today's PyMongo: ``from hyperhive.mongoexp import MongoTrials``.

Drop-in for those of ``hyperopt.mongoexp``, whose calls PyMongo 4 removed. An objective travels as a
pickle, which is code: only ``evaluate`` unpickles one, and only a ``MongoWorker`` or a worker that
was told ``--allow-pickled-objectives`` calls it.
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
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Sequence

import bson
from hyperopt import mongoexp, tpe
from hyperopt.base import (
    JOB_STATE_DONE,
    JOB_STATE_ERROR,
    JOB_STATE_NEW,
    JOB_STATE_RUNNING,
    JOB_STATES,
    SONify,
    spec_from_misc,
)
from hyperopt.mongoexp import MongoCtrl, ReserveTimeout
from pymongo import ASCENDING, DESCENDING, ReturnDocument

from hyperhive.store.errors import NotAllowed
from hyperhive.store.hyperopt.jobs import NOT_A_STUDYS, MongoJobs, tell_if_large
from hyperhive.store.server.mongo import transfer_time

__all__ = ["MongoCtrl", "MongoJobs", "MongoTrials", "MongoWorker", "evaluate"]

_Document = Dict[str, Any]
_Suggest = Callable[..., List[_Document]]
_GONE = object()


class MongoTrials(mongoexp.MongoTrials):
    """The trials of an experiment in a database; give it to hyperopt's ``fmin``.

    Args:
        arg: hyperopt's ``mongo://HOST:PORT/DATABASE/jobs``, any standard MongoDB URI, or a
            ``MongoJobs``.
        exp_key: the experiment; without one, these are all that hyperopt posted to the database.
    """

    def __init__(
        self,
        arg: str | MongoJobs,
        exp_key: str | None = None,
        cmd: Any = None,
        workdir: str | None = None,
        refresh: bool = True,
    ) -> None:
        # Not hyperopt's: it would connect to any address in its own way.
        self.handle = arg if isinstance(arg, MongoJobs) else MongoJobs.new_from_connection_str(arg)
        self.handle.create_indexes()
        self._exp_key = exp_key
        self.cmd = cmd
        self.workdir = workdir
        self._trials: list[_Document] = []
        self._seen: bytes | None = None
        if refresh:
            self.refresh()

    def fmin(
        self,
        fn: Callable[..., Any],
        space: Any,
        algo: _Suggest | None = None,
        *args: Any,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Any:
        """Minimise ``fn`` as ``hyperopt.fmin`` does, trying ``points_to_evaluate`` first if given.

        hyperopt's own ``fmin`` ignores the points when it is given trials: call this. An experiment
        that has trials already goes on without them.
        """
        if points_to_evaluate and not self.trials:
            algo = _points_first(points_to_evaluate, algo or tpe.suggest)
        return super().fmin(fn, space, algo, *args, **options)

    def refresh_tids(self, tids: Iterable[Any] | None) -> None:
        """Bring all trials up to date with the database, or those with one of these ``tids``.

        Trials that have not changed since are neither sent nor looked at one by one.
        """
        which = self._which({"state": {"$ne": JOB_STATE_ERROR}})
        asked = None if tids is None else set(tids)
        if asked is not None:
            which["tid"] = {"$in": list(asked)}
        jobs = self.handle.jobs
        with self.handle.store.guard():
            # By _id: a trial that changes keeps its place in that order, so none is passed over.
            raw = b"".join(jobs.find_raw_batches(which, {"version": 1}).sort("_id", ASCENDING))
            if asked is None and raw == self._seen:
                return
            there = {each["_id"]: each.get("version") for each in bson.decode_all(raw)}
            kept = {
                trial["_id"]: trial
                for trial in self._trials
                if there.get(trial["_id"], _GONE) == trial.get("version")
                or (asked is not None and trial["tid"] not in asked)
            }
            changed = [job_id for job_id in there if job_id not in kept]
            if changed:
                these = {**which, "_id": {"$in": changed}} if kept else which
                kept.update((trial["_id"], trial) for trial in jobs.find(these))
        self._trials = sorted(kept.values(), key=lambda trial: trial["_id"])
        if asked is None:
            self._seen = raw

    def _insert_trial_docs(self, docs: list[_Document]) -> list[Any]:
        return [self.handle.insert(doc)["_id"] for doc in docs]

    def count_by_state_unsynced(self, arg: Any) -> int:
        """Return how many trials are in a state, or in one of several, in the database now.

        Asked for running ones, it first ends those whose workers vanished with no attempt left:
        ``fmin`` would wait for them for ever.
        """
        states = [arg] if isinstance(arg, int) else list(arg)
        if not set(states) <= set(JOB_STATES):
            raise ValueError(f"hyperopt knows no such state: {arg}")
        if JOB_STATE_RUNNING in states:
            with contextlib.suppress(NotAllowed):  # who may only look leaves it to others
                self.handle.store.queue.expire()
        # A job that waits or runs without our fields is an old hyperopt's: nobody will end it.
        old = {"state": {"$in": [JOB_STATE_NEW, JOB_STATE_RUNNING]}, "fence": {"$exists": False}}
        which = self._which({"state": {"$in": states}, "$nor": [old]})
        with self.handle.store.guard():
            return int(self.handle.jobs.count_documents(which))

    def delete_all(self, cond: Mapping[str, Any] | None = None) -> None:
        """Delete the experiment's trials that match; without a condition, all it attached too."""
        self.handle.delete_all(self._which(dict(cond or {})))
        if not cond:
            attached = {} if self._exp_key is None else {"exp_key": self._exp_key}
            _Attachments(self.handle, attached).clear()
        self.refresh()

    def new_trial_ids(self, n: int) -> list[int]:
        """Return ``n`` trial ids that nobody was given before in this database."""
        with self.handle.store.guard():
            before = self.handle.db.job_ids.find_one_and_update(
                {"a": 0},  # hyperopt's own counter
                {"$inc": {"last_id": n}},
                upsert=True,
                return_document=ReturnDocument.BEFORE,
            )
        first = 0 if before is None else before.get("last_id", 0)
        return list(range(first, first + n))

    @property
    def attachments(self) -> _Attachments:
        """What is attached to the experiment, by name; bytes, or text on the way in."""
        return _Attachments(self.handle, {"exp_key": self._exp_key})

    def _which(self, which: _Document) -> _Document:
        """Narrow a condition to this experiment; without a key, to all but our own studies."""
        return {**which, **(NOT_A_STUDYS if self._exp_key is None else {"exp_key": self._exp_key})}


def _points_first(points: Sequence[Mapping[str, Any]], algo: _Suggest) -> _Suggest:
    """Return an algorithm that suggests these points, and then what ``algo`` does."""
    waiting = list(points)

    def suggest(tids: list[int], domain: Any, trials: MongoTrials, seed: int) -> list[_Document]:
        given = [(tid, waiting.pop(0)) for tid in tids[: len(waiting)]]
        posted = []
        for tid, point in given:
            idxs = {label: [tid] if label in point else [] for label in domain.params}
            vals = {label: [point[label]] if label in point else [] for label in domain.params}
            misc = {"tid": tid, "cmd": domain.cmd, "workdir": domain.workdir}
            misc.update(idxs=idxs, vals=vals)
            posted += trials.new_trial_docs([tid], [None], [domain.new_result()], [misc])
        rest = tids[len(given) :]
        return [*posted, *(algo(rest, domain, trials, seed) if rest else [])]

    return suggest


class _Attachments:
    """What is attached to an experiment, in GridFS as hyperopt lays it out."""

    def __init__(self, handle: MongoJobs, which: Mapping[str, Any]) -> None:
        self._gfs = handle.gfs
        self._guard = handle.store.guard
        # hyperopt stores an encoding with these; weights, data sets and trials' files have none.
        self._which = {**which, "encoding": {"$exists": True}}
        self._fields = dict(which)

    def __iter__(self) -> Iterator[str]:
        with self._guard():
            return iter(sorted({file.filename for file in self._gfs.find(self._which)}))

    def __contains__(self, name: str) -> bool:
        return self.newest(name) is not None

    def __getitem__(self, name: str) -> bytes:
        file = self.newest(name)
        if file is None:
            raise KeyError(name)
        with self._guard(), transfer_time(file.length):
            return bytes(file.read())

    def __setitem__(self, name: str, value: str | bytes) -> None:
        data = value.encode("utf-8") if isinstance(value, str) else value
        tell_if_large(name, data)
        with self._guard():
            # Only what is there now: another fmin may be putting its own at this moment.
            before = [file._id for file in self._gfs.find({"filename": name, **self._which})]
        with self._guard(), transfer_time(len(data)):
            self._gfs.put(data, filename=name, encoding="utf-8", **self._fields)
        self._delete({"_id": {"$in": before}})

    def __delitem__(self, name: str) -> None:
        if self.newest(name) is None:
            raise KeyError(name)
        self._delete({"filename": name})

    def clear(self) -> None:
        """Delete them all."""
        self._delete({})

    def newest(self, name: str) -> Any:
        """Return the file of this name, the newest if it is being replaced; None without one."""
        with self._guard():
            found = self._gfs.find({"filename": name, **self._which})
            return next(iter(found.sort("uploadDate", DESCENDING).limit(-1)), None)

    def _delete(self, which: Mapping[str, Any]) -> None:
        with self._guard():
            for file in self._gfs.find({**which, **self._which}):
                self._gfs.delete(file._id)


def evaluate(pickled: bytes, ctrl: Any) -> _Document:
    """Unpickle an objective, run it on ``ctrl``'s trial, and return hyperopt's result.

    This runs whatever code the pickle brings. What the objective attaches is in the result still,
    under ``attachments``.
    """
    try:
        domain = pickle.loads(pickled)  # noqa: S301  (what this function is for)
    except Exception as error:
        raise ValueError(
            f"the objective cannot be unpickled here ({type(error).__name__}: {error}): "
            "this machine needs the packages, and "
            "the Python, of the one that called fmin"
        ) from error
    spec = spec_from_misc(ctrl.current_trial["misc"])
    result: _Document = domain.evaluate(spec, ctrl, attach_attachments=False)
    attachments = result.pop("attachments", {})
    return {**SONify(result), "attachments": attachments}


class MongoWorker(mongoexp.MongoWorker):
    """hyperopt's worker, for code that calls it; ``hyperhive worker`` does more.

    While a job runs, its lease is kept. A job that raises ends in ERROR, and is not tried again.
    """

    def run_one(
        self,
        host_id: Any = None,
        reserve_timeout: float | None = None,
        erase_created_workdir: bool = False,
    ) -> None:
        """Wait for a job and run it in its working directory; raises what the job raises.

        Raises ``ReserveTimeout`` when there is no job for ``reserve_timeout`` seconds.
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
                    raise ValueError(f"a job of fmin's is wanted, not one of {protocol!r}")
                result = evaluate(trials.attachments[name], ctrl)
            for name, value in result.pop("attachments").items():
                ctrl.attachments[name] = value
            bson.encode(result)  # fails here, where it is this job's fault, and not in the store
        except BaseException as error:
            failed = {"state": JOB_STATE_ERROR, "error": [str(type(error)), str(error)]}
            self.mj.update(job, failed)
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
        """Log to ``logfilename`` too, as hyperopt's worker does, if there is one."""
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
"""A process has one working directory: of its threads, one at a time can have it."""


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
