"""hyperopt's ``MongoTrials`` on today's PyMongo: what ``fmin`` is given, and how it posts jobs."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence

import bson
from hyperopt import mongoexp, tpe
from hyperopt.base import JOB_STATE_ERROR, JOB_STATE_NEW, JOB_STATE_RUNNING, JOB_STATES
from pymongo import ASCENDING, ReturnDocument

from hyperhive.common.values import number
from hyperhive.store.errors import NotAllowed
from hyperhive.store.hyperopt.attachments import ExperimentAttachments
from hyperhive.store.hyperopt.jobs import NOT_A_STUDYS, MongoJobs
from hyperhive.store.hyperopt.points import fitting
from hyperhive.store.hyperopt.search import Search

_Document = Dict[str, Any]
_Suggest = Callable[..., List[_Document]]
_GONE = object()


class MongoTrials(mongoexp.MongoTrials):
    """The trials of an experiment in a database; give it to hyperopt's ``fmin``.

    Args:
        arg: hyperopt's ``mongo://HOST:PORT/DATABASE/jobs``, any standard MongoDB URI, or a
            ``MongoJobs``.
        exp_key: the experiment; without one, these are all jobs of hyperopt in the database.
    """

    _handle: MongoJobs | None = None

    def __init__(
        self,
        arg: str | MongoJobs,
        exp_key: str | None = None,
        cmd: Any = None,
        workdir: str | None = None,
        refresh: bool = True,
    ) -> None:
        # hyperopt's own __init__ is not called: it would connect to the address in its own way.
        jobs = arg if isinstance(arg, MongoJobs) else MongoJobs.new_from_connection_str(arg)
        jobs.create_indexes()
        self.handle = jobs
        self._search: Search | None = None
        self._exp_key = exp_key
        self.cmd = cmd
        self.workdir = workdir
        self._trials: list[_Document] = []
        self._seen: bytes | None = None
        if refresh:
            self.refresh()

    @property
    def handle(self) -> MongoJobs:
        """The jobs of the database; raises ``StoreError`` if a copy cannot connect to it again."""
        if self._handle is not None:
            return self._handle
        jobs = MongoJobs.reopened(self._key, self._address)
        self.handle = jobs
        return jobs

    @handle.setter
    def handle(self, jobs: MongoJobs) -> None:
        self._handle = jobs
        self._key, self._address = jobs.key, jobs.store.address

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: the trials and the address, but no login.

        A copy connects when it first needs the database.
        """
        return {**vars(self), "_handle": None, "_search": None}

    def fmin(
        self,
        fn: Callable[..., Any],
        space: Any,
        algo: _Suggest | None = None,
        *args: Any,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Any:
        """Minimise ``fn`` as ``hyperopt.fmin`` does, and try ``points_to_evaluate`` first if given.

        ``hyperopt.fmin`` ignores the points when it is given trials, this method does not. In an
        experiment that has trials already the points are not used. Raises ``ValueError`` for points
        that do not fit the space: see ``store/hyperopt/points.py``.
        """
        if points_to_evaluate is not None:
            # "annotated" is hyperopt's word for a space in the function's annotations.
            nodes = inspect.getfullargspec(fn).annotations if isinstance(space, str) else space
            points = fitting(points_to_evaluate, nodes)
            if points and not self.trials:
                algo = _points_first(points, algo or tpe.suggest)
        given = inspect.signature(super().fmin).bind(fn, space, algo, *args, **options)
        timeout = number(given.arguments.get("timeout"))  # hyperopt refuses anything else
        self._search = Search(self.handle.store, self._exp_key, timeout)
        try:
            return super().fmin(*given.args, **given.kwargs)
        finally:
            self._search = None

    @property
    def _fmin_cancelled(self) -> bool:
        """Whether the search that runs must post no more jobs; hyperopt's ``fmin`` asks."""
        return self._search is not None and self._search.is_cancelled

    def refresh_tids(self, tids: Iterable[Any] | None) -> None:
        """Bring all trials up to date with the database, or those with one of these ``tids``.

        Trials that have not changed are not sent again: only the ids and versions are, and if these
        are the same bytes as last time, they are not even decoded.
        """
        which = self._which({"state": {"$ne": JOB_STATE_ERROR}})
        only = None if tids is None else set(tids)
        if only is not None:
            which["tid"] = {"$in": list(only)}
        jobs = self.handle.jobs
        with self.handle.store.guard():
            # In the order of _id, which never changes: no trial is missed while others change.
            raw = b"".join(jobs.find_raw_batches(which, {"version": 1}).sort("_id", ASCENDING))
            if only is None and raw == self._seen:
                return
            versions = {each["_id"]: each.get("version") for each in bson.decode_all(raw)}
            current = {
                trial["_id"]: trial
                for trial in self._trials
                if versions.get(trial["_id"], _GONE) == trial.get("version")
                or (only is not None and trial["tid"] not in only)
            }
            changed = [job_id for job_id in versions if job_id not in current]
            if changed:
                these = {**which, "_id": {"$in": changed}} if current else which
                current.update((trial["_id"], trial) for trial in jobs.find(these))
        self._trials = sorted(current.values(), key=lambda trial: trial["_id"])
        if only is None:
            self._seen = raw

    def _insert_trial_docs(self, docs: list[_Document]) -> list[Any]:
        return [self.handle.insert(doc)["_id"] for doc in docs]

    def count_by_state_unsynced(self, arg: Any) -> int:
        """Return how many trials are now in a state, or in one of several, in the database.

        If running trials are asked for, it first ends those that ``fmin`` would wait for without an
        end (see ``Store.sweep``), and sees to the search that runs, if any (see ``Search.look``).
        """
        states = [arg] if isinstance(arg, int) else list(arg)
        if not set(states) <= set(JOB_STATES):
            raise ValueError(f"hyperopt has no job state {arg}: its states are {list(JOB_STATES)}")
        if JOB_STATE_RUNNING in states:
            with contextlib.suppress(NotAllowed):  # a viewer's login leaves it to others
                self.handle.store.sweep()
            if self._search is not None:
                self._search.look()
        # A job without our fields was posted by hyperopt's own class: no worker will ever end it.
        old = {"state": {"$in": [JOB_STATE_NEW, JOB_STATE_RUNNING]}, "fence": {"$exists": False}}
        which = self._which({"state": {"$in": states}, "$nor": [old]})
        if self._search is not None and self._search.is_over:  # then for its own jobs only
            which["exp_key"] = self._exp_key
        with self.handle.store.guard():
            return int(self.handle.jobs.count_documents(which))

    def delete_all(self, cond: Mapping[str, Any] | None = None) -> None:
        """Delete the experiment's trials that match; without a condition, its attachments too."""
        self.handle.delete_all(self._which(dict(cond or {})))
        if not cond:
            attached = {} if self._exp_key is None else {"exp_key": self._exp_key}
            ExperimentAttachments(self.handle, attached).clear()
        self.refresh()

    def new_trial_ids(self, n: int) -> list[int]:
        """Return ``n`` trial ids that were never given out before in this database."""
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
    def attachments(self) -> ExperimentAttachments:
        """The experiment's attachments, by name."""
        return ExperimentAttachments(self.handle, {"exp_key": self._exp_key})

    def _which(self, which: _Document) -> _Document:
        """Return a condition limited to this experiment, or without a key to hyperopt's jobs."""
        return {**which, **(NOT_A_STUDYS if self._exp_key is None else {"exp_key": self._exp_key})}


def _points_first(points: Sequence[Mapping[str, Any]], algo: _Suggest) -> _Suggest:
    """Return an algorithm that suggests these points, and after them what ``algo`` suggests."""
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
