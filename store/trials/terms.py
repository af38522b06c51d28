"""The words of a trial: its states, its errors, what it is for, and the names it goes by."""

from __future__ import annotations

import enum
import re
from typing import Any

from hyperhive.common.values import sequence


class Status(enum.IntEnum):
    """hyperopt's four job states, by the numbers its schema uses."""

    NEW = 0  # waits for a worker: posted, or handed back
    RUNNING = 1  # a worker holds a lease on it; once the lease is over, any worker may take it
    DONE = 2  # has its one result that counts; immutable
    ERROR = 3  # ended without a result, see ErrorKind; WORKER_LOST, DEVICE can still be finished


class ErrorKind(str, enum.Enum):
    """Why a trial ended in ``Status.ERROR``."""

    OBJECTIVE = "objective"  # the objective failed in its last attempt
    WORKER_LOST = "worker_lost"  # its workers vanished until no attempt was left
    CANCELLED = "cancelled"  # somebody asked for its end, or nobody waits for it
    BAD_PAYLOAD = "bad_payload"  # no worker can run its configuration, or has a result to store
    DEVICE = "device"  # every worker's device failed at it


LOST_KINDS = (ErrorKind.WORKER_LOST.value, ErrorKind.DEVICE.value)
"""The kinds of a trial in ERROR whose result still counts when it comes."""

SEARCH, BASELINE, REFIT, REPEAT = "search", "baseline", "refit", "repeat"
"""What a trial is for: the search, the accuracy without tuning, the winner trained on all data, one
of the best configurations run again under another seed."""

TEACHER = "teacher"
"""What the trial is for whose answers the trials of the search learn from."""

PURPOSES = (SEARCH, BASELINE, REPEAT, REFIT, TEACHER)

REPEATS_END = 1000
"""Above every number of a repeat: the tid of repeat 2 of trial 17 is 17002."""

TEACHER_TID = 0
"""The tid of a study's one trial of purpose TEACHER."""

UNTUNED_TID, USUAL_TID, THREE_TUNED_TID = 0, 1, 2
"""The tids of the trials of purpose BASELINE: see ``hyperhive.model.config``."""

SHARES = ("validation_accuracy", "validation_balanced_accuracy", "balanced_error")
"""Of what LeNet-5 reports, the figures that are shares, and that a study may take as its metric."""

LENET5 = "lenet5"
"""The name of the objective that trains LeNet-5, the only one that hyperhive brings itself."""

ASK = "ask-and-tell"
"""The objective of a study whose trials programs ask for: no worker has it."""

AUTO = "auto"
"""The algorithm of a study whose coordinator chooses one."""

HYPEROPT = "hyperopt"
"""The name of the objective of a job that hyperopt's ``fmin`` posted: its code is a pickle."""

HYPEROPTS_COMMAND = ["domain_attachment", "FMinIter_Domain"]
"""``hyperopt.base.Domain.cmd``, which hyperopt writes into its own jobs."""


HASH_LENGTH = 12
"""Hexadecimal digits of a package's SHA-256 in the names of its objectives."""
_PUBLISHED = re.compile(rf".+\.py:\w+@[0-9a-f]{{{HASH_LENGTH}}}", re.DOTALL)


def is_published(objective: str | None) -> bool:
    """Return whether an objective is one of published code: ``digits.py:train@1f2e3d4c5b6a``."""
    return _PUBLISHED.fullmatch(objective or "") is not None


def repeat_tid(tid: int, number: int) -> int:
    """Return the tid of a repeat of a trial of the search; ``number`` is from 1 on."""
    return REPEATS_END * tid + number


def command(objective: str) -> list[str]:
    """Return hyperopt's ``misc.cmd`` for a trial of an objective."""
    return HYPEROPTS_COMMAND if objective == HYPEROPT else ["objective", objective]


def objective_of(cmd: Any) -> str | None:
    """Return the objective that a ``misc.cmd`` names; None if we cannot run it."""
    if cmd == HYPEROPTS_COMMAND:
        return HYPEROPT
    return str(cmd[1]) if sequence(cmd)[:1] == ["objective"] and len(cmd) > 1 else None


def experiment_key(study: str, purpose: str = SEARCH) -> str:
    """Return hyperopt's ``exp_key`` for a study's trials of one purpose.

    The key of a study's search trials is the study's name alone, so hyperopt's own tools, given
    that name, see exactly the trials of the search.
    """
    return study if purpose == SEARCH else f"{study}/{purpose}"


def experiment_keys(study: str) -> list[str]:
    """Return the experiment keys of all purposes of a study."""
    return [experiment_key(study, purpose) for purpose in PURPOSES]
