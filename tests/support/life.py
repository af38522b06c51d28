"""A model of docs/trials.md, the life of a trial, in plain Python: the store must agree with it.

It is written from the table of transitions, not from ``store/trials/queue.py``. Of time it only
knows whether a lease is over, a copy is silent, and a back-off still lasts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Iterable, List

from hyperhive.store.errors import LeaseLost
from hyperhive.store.trials.terms import ErrorKind, Status

FINAL = (Status.DONE, Status.ERROR)


@dataclass
class Life:
    """One trial. Its methods are the transitions of one trial."""

    max_attempts: int
    state: Status = Status.NEW
    version: int = 0
    fence: int = 0
    attempts: int = 0
    token: str | None = None
    lease_is_over: bool = False
    backs_off: bool = False
    cancel_requested: bool = False
    error: ErrorKind | None = None
    progress: int | None = None
    rungs: dict[str, float] = field(default_factory=dict)
    winner: str | None = None
    loss: float | None = None
    issued: dict[str, str] = field(default_factory=dict)  # the worker, by token
    fences: dict[str, int] = field(default_factory=dict)  # the fence of each claim, by token
    late: dict[str, float] = field(default_factory=dict)  # the loss, by token
    excluded: set[str] = field(default_factory=set)
    copy: str | None = None
    copys_progress: int | None = None
    copy_is_silent: bool = False
    copied_by: set[str] = field(default_factory=set)

    def can_be_claimed_by(self, worker: str) -> bool:
        """Return whether it waits or its lease is over, and nothing forbids a claim."""
        waits = self.state is Status.NEW and not self.backs_off
        abandoned = self.state is Status.RUNNING and self.lease_is_over
        return (
            (waits or abandoned)
            and self.attempts < self.max_attempts
            and not self.cancel_requested
            and worker not in self.excluded
        )

    def may_join_a_batch(self) -> bool:
        """Return whether it waits, no attempt is charged, and one that is can be spared."""
        return self.state is Status.NEW and self.attempts == 0 and self.max_attempts > 1

    def can_be_copied_by(self, worker: str) -> bool:
        """Return whether another living worker holds it, without a living copy."""
        return (
            self.state is Status.RUNNING
            and not self.lease_is_over
            and not self.has_a_living_copy()
            and worker not in self.copied_by
            and self.attempts < self.max_attempts
            and not self.cancel_requested
            and worker not in self.excluded
            and worker != self.issued[str(self.token)]
        )

    def has_a_living_copy(self) -> bool:
        """Return whether a copy runs that was heard of within a lease."""
        return self.copy is not None and not self.copy_is_silent

    def is_run_by(self, token: str) -> bool:
        """Return whether this token is the holder's or the copy's: the two that may act."""
        return self.is_held_by(token) or token == self.copy

    def is_held_by(self, token: str) -> bool:
        """Return whether the claim under this token is the holder's."""
        return (
            self.state is Status.RUNNING
            and self.token == token
            and self.fence == self.fences[token]
        )

    def claim(self, worker: str, token: str) -> None:
        """Go to a worker; the attempt is charged now."""
        self._change_hands(Status.RUNNING, token)
        self.attempts += 1
        self.issued[token] = worker
        self.fences[token] = self.fence
        self.progress = None
        self.rungs = {}

    def begin_copy(self, worker: str, token: str) -> None:
        """Run a second time, parallel to the holder, whose claim does not change."""
        self.attempts += 1
        self.version += 1
        self.issued[token] = worker
        self.fences[token] = self.fence + 1
        self.copy, self.copys_progress, self.copy_is_silent = token, None, False
        self.copied_by.add(worker)

    def heartbeat(self, token: str, progress: int | None) -> bool:
        """Renew the lease, even if it is over; return whether a cancel was requested."""
        self._must_be_run_by(token)
        self.lease_is_over = False
        if token == self.copy:
            self.copys_progress, self.copy_is_silent = progress, False
        else:
            self.progress = progress
        return self.cancel_requested

    def reach(self, token: str, rung: str, loss: float) -> None:
        """Keep the loss at a rung, of the holder's run or of its copy's."""
        self._must_be_run_by(token)
        self.rungs[rung] = loss
        self.version += 1

    def finish(self, token: str, loss: float) -> bool:
        """Accept a result; return whether it counts."""
        if token not in self.issued:
            raise LeaseLost
        if self.takes_a_result():
            self._change_hands(Status.DONE)
            self.winner, self.loss, self.error = token, loss, None
        elif token != self.winner and token not in self.late:
            self.late[token] = loss
            self.version += 1
        return token == self.winner

    def takes_a_result(self) -> bool:
        """Return whether it has not ended, or was only given up."""
        revived = (ErrorKind.WORKER_LOST, ErrorKind.DEVICE)
        given_up = self.state is Status.ERROR and self.error in revived
        return self.state not in FINAL or given_up

    def fail(self, token: str, kind: ErrorKind) -> None:
        """Wait for another attempt after a back-off; end if none is left, or none can succeed."""
        self._must_be_run_by(token)
        if token == self.copy:
            self.attempts -= 1
            self._end_copy()
            return
        if self.has_a_living_copy() and kind is not ErrorKind.BAD_PAYLOAD:
            self._pass_to_the_copy()
            self.error = kind
            return
        hopeless = kind is ErrorKind.BAD_PAYLOAD or self.attempts == self.max_attempts
        self._change_hands(Status.ERROR if hopeless else Status.NEW)
        self.error = kind
        self.backs_off = not hopeless

    def give_back(self, token: str, exclude: bool) -> None:
        """Wait for another worker, with the attempt refunded."""
        self._must_be_run_by(token)
        if exclude:
            self.excluded.add(self.issued[token])
            self.error = ErrorKind.DEVICE if token != self.copy else self.error
        self.attempts -= 1
        if token == self.copy:
            self._end_copy()
        elif self.has_a_living_copy():
            self._pass_to_the_copy()
        else:
            self._change_hands(Status.NEW)

    def expire(self) -> bool:
        """End if no worker will end it; return whether it did."""
        abandoned = self.state is Status.RUNNING and self.lease_is_over
        if self.cancel_requested and (abandoned or self.state is Status.NEW):
            self._end(ErrorKind.CANCELLED)
        elif abandoned and self.attempts == self.max_attempts:
            self._end(ErrorKind.WORKER_LOST)
        else:
            return False
        return True

    def give_up(self, version: int) -> bool:
        """End if nobody runs it and it is still as it was read; return whether it did."""
        abandoned = self.state is Status.RUNNING and self.lease_is_over
        if version != self.version or not (abandoned or self.state is Status.NEW):
            return False
        self._end(ErrorKind.DEVICE)
        return True

    def cancel(self) -> bool:
        """End if it waits, or request its end; return False if it ended or was requested before."""
        if self.state in FINAL or self.cancel_requested:
            return False
        self.cancel_requested = True
        if self.state is Status.NEW:
            self._end(ErrorKind.CANCELLED)
        else:
            self.version += 1  # the holder keeps it: the fence does not rise
        return True

    def confirm_cancel(self, token: str) -> None:
        """End on the request, by a worker that runs it."""
        self._must_be_run_by(token)
        if not self.cancel_requested:
            raise LeaseLost
        self._end(ErrorKind.CANCELLED)

    def _must_be_run_by(self, token: str) -> None:
        if not self.is_run_by(token):
            raise LeaseLost

    def _end_copy(self) -> None:
        self.copy = None
        self.version += 1

    def _pass_to_the_copy(self) -> None:
        """The copy's worker holds the trial from now on; the lease is the trial's and goes on."""
        was_over, progress = self.lease_is_over, self.copys_progress
        self._change_hands(Status.RUNNING, self.copy)
        self.lease_is_over, self.progress = was_over, progress

    def _end(self, kind: ErrorKind) -> None:
        self._change_hands(Status.ERROR)
        self.error = kind

    def _change_hands(self, state: Status, token: str | None = None) -> None:
        self.state = state
        self.token = token
        self.copy = None
        self.fence += 1
        self.version += 1
        self.lease_is_over = self.backs_off = False


class Lives(List[Life]):
    """All trials in the order of their posting, with the transitions that choose among them."""

    def claim(self, worker: str, token: str) -> int | None:
        """Give a worker the oldest trial that it can claim; return its number."""
        for tid, life in enumerate(self):
            if life.can_be_claimed_by(worker):
                life.claim(worker, token)
                return tid
        return None

    def claim_batch(self, worker: str, tokens: list[str], study: int, studies: int) -> list[int]:
        """Give a worker the oldest trials of a study that it can claim, while they are new.

        Returns their numbers; it gets none rather than one.
        """
        oldest = [
            tid
            for tid, life in enumerate(self)
            if tid % studies == study and life.can_be_claimed_by(worker)
        ][: len(tokens)]
        row = list(takewhile(lambda tid: self[tid].may_join_a_batch(), oldest))
        if len(row) < 2:
            return []
        for tid, token in zip(row, tokens):
            self[tid].claim(worker, token)
        return row

    def finish_batch(self, losses: dict[str, tuple[int, float]]) -> bool:
        """Accept the results, by token, of the trials that take one; return whether all did."""
        taken = {token: each for token, each in losses.items() if self[each[0]].takes_a_result()}
        for token, (tid, loss) in taken.items():
            self[tid].finish(token, loss)
        return len(taken) == len(losses)

    def renew(self, tokens: Iterable[tuple[int, str]]) -> set[str]:
        """Renew the leases of the claims that still hold their trial; return their tokens."""
        held = {token for tid, token in tokens if self[tid].is_held_by(token)}
        for life in self:
            life.lease_is_over = life.lease_is_over and life.token not in held
        return held

    def copy_one(self, worker: str, token: str, study: int, studies: int) -> int | None:
        """Give a worker a copy of the oldest trial of a study that it can copy; return its number.

        Trials belong in turn to ``studies`` studies; ``study`` is the index of one.
        """
        for tid, life in enumerate(self):
            if tid % studies == study and life.can_be_copied_by(worker):
                life.begin_copy(worker, token)
                return tid
        return None

    def claimed(self, token: str) -> int | None:
        """Return the number of the trial that runs under a token."""
        held = [tid for tid, life in enumerate(self) if token in (life.token, life.copy)]
        return held[0] if held else None

    def cancel(self, study: int, studies: int) -> int:
        """Request the end of a study's trials; return how many were asked."""
        return sum([life.cancel() for life in self[study::studies]])

    def expire(self) -> int:
        """Sweep; return how many trials ended."""
        return sum([life.expire() for life in self])
