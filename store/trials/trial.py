"""A trial as the rest of hyperhive sees it. Nothing here depends on MongoDB."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Mapping

from hyperhive.common.values import date, flattened, mapping, number, numbers, sequence, text, whole
from hyperhive.store.trials.draft import NO_PRUNER, Goal
from hyperhive.store.trials.job_schema import malformed_field
from hyperhive.store.trials.terms import (
    BASELINE,
    HYPEROPT,
    LENET5,
    LOST_KINDS,
    REFIT,
    REPEAT,
    REPEATS_END,
    SEARCH,
    TEACHER,
    THREE_TUNED_TID,
    USUAL_TID,
    ErrorKind,
    Status,
    experiment_key,
    objective_of,
)

_OF_THE_STUDY = (
    *("dataset", "schedule", "seed", "split_seed", "train_on_all", "validation_fraction"),
    "folds",
)
"""The keys of LeNet-5's configurations that say which data and which random numbers it gets."""

_NO_METRICS = ("step", "epoch", "seconds", "history", "reported_loss", "pruned_at")
_NO_TID = -1

_BASELINES = {
    USUAL_TID: "the baseline with usual settings",
    THREE_TUNED_TID: "the baseline with three numbers tuned",
}


@dataclass(frozen=True)
class Copy:
    """A second run of a trial, parallel to its holder's: its token, worker and progress."""

    token: str
    worker: str
    progress: dict[str, Any] | None


@dataclass(frozen=True)
class Trial:
    """One trial as it was in the store at the moment it was read.

    ``token`` and ``fence`` name the claim under which a worker holds the trial: the worker keeps
    the Trial that ``claim`` returned and passes it back with every transition. ``claims`` is how
    often the trial was claimed, without copies; ``late`` is how many results came too late;
    ``version`` rises with every transition but a heartbeat. ``vals`` has no label of a choice that
    went another way. ``rungs`` has the losses by which others may be pruned, ``curve`` the numbers
    that its holder reported so far, ``artifacts`` where its files are. Times are the server's, of
    an ``imported`` trial those of where it ran.
    docs/trials.md explains the stored fields.
    """

    id: Any
    version: int
    study: str
    purpose: str
    tid: int
    status: Status
    objective: str | None
    config: dict[str, Any]
    vals: dict[str, Any]
    result: dict[str, Any]
    error: dict[str, Any] | None
    attempts: int
    max_attempts: int
    fence: int
    token: str | None
    winner: str | None
    owner: str | None
    progress: dict[str, Any] | None
    artifact: dict[str, Any] | None
    cancel_requested: bool
    excluded: tuple[str, ...]
    late: int
    claims: int
    first_claim: datetime | None
    lease_until: datetime | None
    book_time: datetime | None
    refresh_time: datetime | None
    copy: Copy | None
    cost: float | None
    goal: Goal
    pruner: str
    rungs: dict[str, float]
    curve: tuple[dict[str, float], ...]
    seed: int | None
    artifacts: tuple[dict[str, Any], ...]
    imported: bool

    # A study may have tens of thousands: without this, each would have a dict of 1.3 kB.
    __slots__ = tuple(__annotations__)

    def __reduce__(self) -> tuple[Any, ...]:  # a frozen class with slots cannot be copied without
        return Trial, tuple(getattr(self, name) for name in self.__slots__)

    @property
    def metrics(self) -> dict[str, float]:
        """What the objective reported last and returned: its finite numbers, by name.

        ``loss`` is its own, not the one that was made from another metric.
        """
        history = sequence(self.result.get("history"))
        reported = numbers(history[-1]) if history else {}
        if self.objective == LENET5:
            reported.pop("number", None)  # the epoch's
        returned = numbers(self.result)
        if "reported_loss" in returned:
            returned["loss"] = returned["reported_loss"]
        elif self.goal != Goal():
            returned.pop("loss", None)
        return {n: each for n, each in {**reported, **returned}.items() if n not in _NO_METRICS}

    @property
    def accuracy(self) -> float | None:
        """The validation accuracy that its worker reported, as a finite number; meant as 0 to 1."""
        return number(self.result.get("validation_accuracy"))

    @property
    def deviation(self) -> float | None:
        """The standard deviation of its folds' accuracies, if it was validated on folds."""
        return number(self.result.get("fold_deviation"))

    @property
    def diverged(self) -> bool:
        """Whether its worker reported that training diverged."""
        return bool(self.result.get("diverged"))

    @property
    def pruned(self) -> bool:
        """Whether its worker ended it early, because it was worse than others at the same point."""
        return self.result.get("pruned") is True

    @property
    def has_files(self) -> bool:
        """Whether it says where weights or artifacts of it are."""
        return self.artifact is not None or bool(self.artifacts)

    @property
    def share(self) -> float | None:
        """How much of a finished trial was run, 0 to 1; None if it was pruned at an unknown point.

        That is so where its objective does not report how long it is.
        """
        if not self.pruned:
            return 1.0
        share = number(self.result.get("pruned_at"))
        return share if share is not None and 0 <= share <= 1 else None

    @property
    def epoch(self) -> int | None:
        """The number of finished epochs that its worker last reported."""
        epoch = number((self.progress or {}).get("epoch"))
        return None if epoch is None else int(epoch)

    @property
    def epochs(self) -> int | None:
        """The number of epochs that its worker last reported as the whole of the trial."""
        epochs = number((self.progress or {}).get("epochs"))
        return None if epochs is None else int(epochs)

    @property
    def latest_accuracy(self) -> float | None:
        """The validation accuracy that its worker last reported while the trial ran."""
        return number((self.progress or {}).get("validation_accuracy"))

    @property
    def is_final(self) -> bool:
        """Whether the trial has ended; a late result can still change some, see ``Status``."""
        return self.status in (Status.DONE, Status.ERROR)

    @property
    def takes_result(self) -> bool:
        """Whether a result would count: the condition of ``TrialQueue.finish``."""
        kind = (self.error or {}).get("kind")
        is_lost = self.status is Status.ERROR and kind in LOST_KINDS
        return is_lost or self.status in (Status.NEW, Status.RUNNING)

    @property
    def is_copy(self) -> bool:
        """Whether this Trial is held by the worker of the copy."""
        return self.copy is not None and self.copy.token == self.token

    @property
    def exp_key(self) -> str:
        """The ``exp_key`` of the trials of this study and purpose: see ``experiment_key``."""
        return experiment_key(self.study, self.purpose)

    @property
    def label(self) -> str:
        """The trial's key in a worker's record: ``simpsons/7``, ``simpsons/refit/7``."""
        return f"{self.exp_key}/{self.tid}"

    @property
    def title(self) -> str:
        """The trial's name for people, within its study: ``trial 7``, ``repeat 2 of trial 7``."""
        titles = {
            SEARCH: f"trial {self.tid}",
            BASELINE: _BASELINES.get(self.tid, "the untuned baseline"),
            REFIT: f"the refit of trial {self.tid}",
            TEACHER: "the teacher",
        }
        if self.purpose == REPEAT:
            tid, number = divmod(self.tid, REPEATS_END)
            titles[REPEAT] = f"repeat {number} of trial {tid}"
        title = titles.get(self.purpose, f"{self.purpose} trial {self.tid}")
        return f"second copy of {title}" if self.is_copy else title

    @property
    def full_title(self) -> str:
        """The trial's name for people, with its study: ``simpsons, trial 7``."""
        return f"{self.study}, {self.title}" if self.study else self.title

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The values that were searched, by dotted name, as the objective gets them.

        Where nothing was searched, as in the baseline: the configuration that it has of its own.
        """
        if not self.vals:
            return {name: each for name, each in self.config.items() if name not in _OF_THE_STUDY}
        searched, leaves = self.vals.keys(), flattened(self.config)
        shown = {path: each for path, each in leaves.items() if searched & {*path.split(".")}}
        keys = {key for path in shown for key in path.split(".")}
        return {**shown, **{n: each for n, each in self.vals.items() if n not in keys}}

    @property
    def loss(self) -> float | None:
        """The reported loss of a trial that is done, finite or not; None if it is not a number.

        hyperopt's objectives may report that they failed, and then a loss does not count.
        """
        loss = self.result.get("loss")
        counts = self.status is Status.DONE and self.result.get("status") != "fail"
        if counts and isinstance(loss, (int, float)):
            return float(loss)
        return None

    def as_copied(self, token: str) -> Trial:
        """Return this trial as the worker of its copy holds it; unchanged for any other token.

        Its fence is the next one: the copy's worker holds the trial under it if the present holder
        gives up.
        """
        if self.copy is None or self.copy.token != token:
            return self
        return replace(
            self,
            token=token,
            fence=self.fence + 1,
            owner=self.copy.worker,
            progress=self.copy.progress,
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Trial:
        """Return any document of ``jobs`` as a Trial; a field of a wrong type counts as absent."""
        misc = mapping(document.get("misc"))
        token, winner = text(document.get("token")), text(document.get("winner"))
        study, purpose, objective = _place(document.get("exp_key"), misc.get("cmd"))
        tid = _tid(document.get("tid"), objective)
        status, error = _ending(document, tid)
        issued = list(filter(None, map(mapping, sequence(document.get("issued")))))
        return cls(
            id=document["_id"],
            version=whole(document.get("version"), 0),
            study=study,
            purpose=purpose,
            tid=tid,
            status=status,
            objective=objective,
            config=mapping(document.get("config")),
            vals=_first_values(misc.get("vals")),
            result=mapping(document.get("result")),
            error=error,
            attempts=whole(document.get("attempts"), 0),
            max_attempts=whole(document.get("max_attempts"), 1),
            fence=whole(document.get("fence"), 0),
            token=token,
            winner=token if winner == token else winner,
            owner=_shared(document.get("owner")),
            progress=mapping(document.get("progress")) or None,
            artifact=mapping(document.get("artifact")) or None,
            cancel_requested=document.get("cancel_requested") is True,
            excluded=tuple(map(str, sequence(document.get("excluded")))),
            late=len(sequence(document.get("late"))),
            claims=sum(not each.get("copy") for each in issued),
            first_claim=date(issued[0].get("at")) if issued else None,
            lease_until=date(document.get("lease_until")),
            book_time=date(document.get("book_time")),
            refresh_time=date(document.get("refresh_time")),
            copy=_copy(document) if status is Status.RUNNING else None,
            cost=number(document.get("cost")),
            goal=Goal.from_document(misc.get("goal")),
            pruner=_shared(misc.get("pruner")) or NO_PRUNER,
            rungs=numbers(document.get("rungs")),
            curve=tuple(filter(None, map(numbers, sequence(document.get("curve"))))),
            seed=_seed(misc.get("seed")),
            artifacts=tuple(map(mapping, sequence(document.get("artifacts")))),
            imported=misc.get("imported") is True,
        )


def _place(exp_key: Any, cmd: Any) -> tuple[str, str, str | None]:
    """Return a trial's study, purpose and objective; hyperopt's experiments have any name."""
    key, objective = _shared(exp_key) or "", _shared(objective_of(cmd))
    if objective == HYPEROPT:
        return key, SEARCH, objective
    study, slash, purpose = key.partition("/")
    return (
        (sys.intern(study), sys.intern(purpose) or SEARCH, objective)
        if slash
        else (key, SEARCH, objective)
    )


def _shared(value: Any) -> str | None:
    """Return a string that many trials have, in memory once; None for anything else."""
    return sys.intern(value) if type(value) is str else None


def _seed(stored: Any) -> int | None:
    seed = whole(stored, -1)
    return None if seed < 0 else seed


def _first_values(vals: Any) -> dict[str, Any]:
    """Return the value of each hyperparameter; hyperopt stores lists of one value, or of none."""
    lists = {label: sequence(values) for label, values in mapping(vals).items()}
    return {label: values[0] for label, values in lists.items() if values}


def _tid(stored: Any, objective: str | None) -> Any:
    """Return a trial's number; a job of hyperopt's may have text instead."""
    is_job_name = objective == HYPEROPT and isinstance(stored, str)
    return stored if is_job_name else max(whole(stored, _NO_TID), _NO_TID)


def _ending(document: Mapping[str, Any], tid: Any) -> tuple[Status, dict[str, Any] | None]:
    """Return a trial's status and its error, which has a valid ``kind`` and ``message``.

    A trial that no transition can end, see ``job_schema``, reads as failed.
    """
    malformed: str | None = None
    try:
        status = Status(whole(document.get("state"), -1))
    except ValueError:
        status, malformed = Status.RUNNING, "state"
    else:
        if status in (Status.NEW, Status.RUNNING):
            malformed = "tid" if tid == _NO_TID else malformed_field(document)
    if malformed is not None:
        message = f"its document has an invalid {malformed}"
        return Status.ERROR, {"kind": ErrorKind.BAD_PAYLOAD.value, "message": message}
    error = _error(document.get("error"))
    if error and error.get("kind") not in [kind.value for kind in ErrorKind]:
        error["kind"] = ErrorKind.BAD_PAYLOAD.value
    if error and not isinstance(error.get("message"), str):
        error["message"] = "no reason was given"
    return status, error or None


def _error(stored: Any) -> dict[str, Any]:
    """Return an error's fields; hyperopt's own workers store a list of its type and its text."""
    parts = sequence(stored)
    if not parts:
        return mapping(stored)
    return {"kind": ErrorKind.OBJECTIVE.value, "message": ": ".join(map(str, parts))}


def _copy(document: Mapping[str, Any]) -> Copy | None:
    """Return the copy that belongs to the present holder; one of an earlier claim is void."""
    copy = mapping(document.get("copy"))
    token, worker = text(copy.get("token")), text(copy.get("worker"))
    if token is None or worker is None or copy.get("fence") != document.get("fence"):
        return None
    return Copy(token, worker, mapping(copy.get("progress")) or None)
