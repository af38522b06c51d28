"""Random lives of trials: whatever several clients do, the store does what the model says.

The model is ``tests/support/life.py``, and follows the table in docs/trials.md.
"""

from __future__ import annotations

import datetime
import itertools
from functools import partial
from typing import Any, Callable, Tuple

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.life import FINAL, Life, Lives

from hyperhive.store.errors import LeaseLost
from hyperhive.store.store import Store
from hyperhive.store.trials.batches import Kind, ShortResult
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.queue import TrialQueue
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial

OURS = ["lenet5"]
COST = 1000
STUDIES = ("s", "t")
"""Trials belong to these studies in turn: a cancel or copy is of one study."""
AT_ANY_RATE = -1e6
"""Seconds per unit of cost of a device that ends before it starts: a copy is always worth it."""
HOUR = 3600.0
AGO = {"$subtract": ["$$NOW", 3_600_000]}
AHEAD = {"$add": ["$$NOW", 3_600_000]}

CLIENTS = 3
clients = st.integers(0, CLIENTS - 1)
losses = st.sampled_from([0.25, 0.5, 0.75])
rungs = st.sampled_from(["1/9", "step 3"])
numbers = st.integers(0, 7)
"""The index of a trial among those that a rule may choose from, counted from the newest."""
attempts = st.integers(1, 3)
Claimant = Tuple[bool, int]
claimants = st.tuples(st.booleans(), numbers)
"""Whether to choose among the claims that run a trial, or all; and the index from the newest."""
twice = st.booleans().map(lambda lost: 2 if lost else 1)
"""How often a call is made: twice if its first reply is lost."""


class Lifetimes(RuleBasedStateMachine):
    """Clients that do anything in any order; each step is done on the store and on the model.

    Each client has connections of its own. Client n claims as worker ``wn``, and may act for any
    claim ever made, as an outbox does that delivers for dead workers.
    """

    unanswered = Bundle("unanswered")  # the tokens of claims whose reply was lost

    def __init__(self, stores: list[Store]) -> None:
        super().__init__()
        self.stores = stores
        self.jobs = stores[0].client.hyperhive.jobs
        self.jobs.delete_many({})
        self.lives = Lives()
        self.held: dict[str, Trial] = {}
        self.tokens = (f"t{number}" for number in itertools.count())
        self.before: list[dict[str, Any]] = []

    # -- before anything happens ----------------------------------------------------------------

    @initialize(max_attempts=st.lists(attempts, min_size=1, max_size=4), times=twice)
    def post_the_first(self, max_attempts: list[int], times: int) -> None:
        """One to four trials are posted; the reply to each may be lost."""
        for each in max_attempts:
            self.post(0, each, times)

    @precondition(lambda self: len(self._those(lambda life: life.state not in FINAL)) < 4)
    @rule(client=clients, max_attempts=attempts, times=twice)
    def post(self, client: int, max_attempts: int, times: int) -> None:
        """A new trial follows one that ended, so that the last step has something to do."""
        posted = [
            self.stores[client].queue.post(_draft(len(self.lives), max_attempts))
            for _ in range(times)
        ]
        assert posted == [True, False][:times]
        self.lives.append(Life(max_attempts))

    @rule(client=clients, number=numbers)
    def post_again(self, client: int, number: int) -> None:
        """An existing trial is not posted again."""
        tid = self._those(lambda life: True)[number % len(self.lives)]
        assert not self.stores[client].queue.post(_draft(tid, 9))

    # -- workers --------------------------------------------------------------------------------

    @rule(client=clients, lasts=st.booleans())
    def claim(self, client: int, lasts: bool) -> None:
        """A worker claims a trial; its lease may be over by the next step."""
        trial, token = self._claim(client, lasts)
        if trial is not None:
            self.held[token] = trial

    @rule(target=unanswered, client=clients, lasts=st.booleans())
    def claim_and_lose_the_reply(self, client: int, lasts: bool) -> str:
        """A worker claims a trial, or none, and the reply is lost."""
        return self._claim(client, lasts)[1]

    @rule(client=clients, study=numbers, size=st.integers(2, 3), lasts=st.booleans())
    def claim_batch(self, client: int, study: int, size: int, lasts: bool) -> None:
        """A worker claims several new trials of a study at once."""
        for trial in self._claim_batch(client, study, size, lasts)[0]:
            self.held[str(trial.token)] = trial

    @rule(
        target=unanswered,
        client=clients,
        study=numbers,
        size=st.integers(2, 3),
        lasts=st.booleans(),
    )
    def claim_batch_and_lose_the_reply(
        self, client: int, study: int, size: int, lasts: bool
    ) -> Any:
        """A worker claims several new trials, or none, and the reply is lost."""
        return multiple(*self._claim_batch(client, study, size, lasts)[1])

    @rule(client=clients)
    def renew_all(self, client: int) -> None:
        """Whoever ever claimed something renews it: what is still held is renewed."""
        found = self.stores[client].queue.renew(list(self.held.values()), HOUR)
        claims = [(trial.tid, token) for token, trial in self.held.items()]
        assert {trial.token for trial in found} == self.lives.renew(claims)

    @precondition(lambda self: self.held)
    @rule(client=clients, those=st.lists(claimants, min_size=2, max_size=4), loss=losses)
    def finish_batch(self, client: int, those: list[Claimant], loss: float) -> None:
        """Results of several trials are delivered at once; if not all count, ``finish`` follows."""
        named = {trial.tid: (token, trial) for token, trial, _ in map(self._named, those)}
        results = [
            ShortResult(trial.id, token, {"status": "ok", "loss": loss})
            for token, trial in named.values()
        ]
        losses = {token: (tid, loss) for tid, (token, _) in named.items()}
        assert self.stores[client].queue.finish_batch(results) == self.lives.finish_batch(losses)

    @rule(client=clients, study=numbers)
    def copy(self, client: int, study: int) -> None:
        """A worker starts a copy of a trial that another one holds."""
        trial, token = self._copy(client, study % len(STUDIES))
        if trial is not None:
            self.held[token] = trial

    @rule(target=unanswered, client=clients, study=numbers)
    def copy_and_lose_the_reply(self, client: int, study: int) -> str:
        """A worker starts a copy, or none, and the reply is lost."""
        return self._copy(client, study % len(STUDIES))[1]

    @rule(client=clients, token=consumes(unanswered))
    def ask_what_was_claimed(self, client: int, token: str) -> None:
        """A worker whose reply was lost asks with its token, sooner or later."""
        trial = self.stores[client].queue.claimed(token)
        assert (trial and trial.tid) == self.lives.claimed(token)
        if trial is not None:
            self.held[token] = trial

    @precondition(lambda self: self.held)
    @rule(client=clients, who=claimants, progress=st.none() | st.integers(1, 3), times=twice)
    def heartbeat(self, client: int, who: Claimant, progress: int | None, times: int) -> None:
        """Any worker that ever claimed a trial sends a heartbeat."""
        token, trial, life = self._named(who)
        report = None if progress is None else {"epoch": progress}

        def beat() -> bool:
            return self.stores[client].queue.heartbeat(trial, report, HOUR).cancel_requested

        self._same(beat, partial(life.heartbeat, token, progress), times)

    @precondition(lambda self: self.held)
    @rule(client=clients, who=claimants, rung=rungs, loss=losses, times=twice)
    def reach(self, client: int, who: Claimant, rung: str, loss: float, times: int) -> None:
        """Any worker that ever claimed a trial says that it has reached a rung."""
        token, trial, life = self._named(who)

        def reach() -> None:
            self.stores[client].queue.reach(trial, rung, loss)

        self._same(reach, partial(life.reach, token, rung, loss), times)

    @rule(client=clients)
    def every_holder_there_ever_was_beats(self, client: int) -> None:
        """All workers that ever got a trial send a heartbeat; only holder and copy are accepted."""
        for token, trial in self.held.items():
            beat = partial(self.stores[client].queue.heartbeat, trial, None, HOUR)
            may = self.lives[trial.tid].is_run_by(token)
            assert (_outcome(beat) is not LeaseLost) == may
            if may:
                self.lives[trial.tid].heartbeat(token, None)

    @precondition(lambda self: self.held)
    @rule(client=clients, who=claimants, loss=losses, times=twice)
    def finish(self, client: int, who: Claimant, loss: float, times: int) -> None:
        """Any worker that ever claimed a trial delivers a result, in any state of the trial."""
        token, trial, life = self._named(who)
        deliver = partial(
            self.stores[client].queue.finish, trial.id, token, {"status": "ok", "loss": loss}
        )
        self._same(deliver, partial(life.finish, token, loss), times)

    @precondition(lambda self: self.held)
    @rule(client=clients, who=claimants, stray=claimants)
    def finish_under_a_token_of_another_trial(
        self, client: int, who: Claimant, stray: Claimant
    ) -> None:
        """A result under a token that was issued for another trial is refused."""
        _, trial, life = self._named(who)
        other, _, _ = self._named(stray)
        if other not in life.issued:
            finish = partial(self.stores[client].queue.finish, trial.id, other, {"loss": 0.0})
            assert _outcome(finish) is LeaseLost

    @precondition(lambda self: self.held)
    @rule(
        client=clients,
        who=claimants,
        kind=st.sampled_from([ErrorKind.OBJECTIVE, ErrorKind.BAD_PAYLOAD]),
        times=twice,
    )
    def fail(self, client: int, who: Claimant, kind: ErrorKind, times: int) -> None:
        """Any worker that ever claimed a trial reports that the objective failed."""
        token, trial, life = self._named(who)

        def fail() -> None:
            failed = self.stores[client].queue.fail(trial, kind, "no")
            # A back-off lasts until its rule ends it, even on the slowest machine.
            backs_off = {"_id": failed.id, "$expr": {"$gt": ["$not_before", "$refresh_time"]}}
            self.jobs.update_one(backs_off, [{"$set": {"not_before": AHEAD}}])

        self._same(fail, partial(life.fail, token, kind), times)

    @precondition(lambda self: self.held)
    @rule(client=clients, who=claimants, exclude=st.booleans(), times=twice)
    def give_back(self, client: int, who: Claimant, exclude: bool, times: int) -> None:
        """Any worker that ever claimed a trial hands it back."""
        token, trial, life = self._named(who)

        def give_back() -> None:
            self.stores[client].queue.give_back(trial, "no memory" if exclude else None)

        self._same(give_back, partial(life.give_back, token, exclude), times)

    @precondition(lambda self: self.held)
    @rule(client=clients, who=claimants, times=twice)
    def confirm_cancel(self, client: int, who: Claimant, times: int) -> None:
        """Any worker that ever claimed a trial confirms a cancel."""
        token, trial, life = self._named(who)

        def confirm() -> None:
            self.stores[client].queue.confirm_cancel(trial)

        self._same(confirm, partial(life.confirm_cancel, token), times)

    # -- coordinators ---------------------------------------------------------------------------

    @rule(client=clients, study=numbers, times=twice)
    def cancel(self, client: int, study: int, times: int) -> None:
        """Somebody requests the end of a study's trials."""
        number = study % len(STUDIES)
        cancel = partial(self.stores[client].queue.cancel_all, STUDIES[number])
        self._same(cancel, partial(self.lives.cancel, number, len(STUDIES)), times)

    @rule(client=clients, number=numbers, is_old=st.booleans(), times=twice)
    def give_up(self, client: int, number: int, is_old: bool, times: int) -> None:
        """A coordinator gives a trial up, as it read it now or before the last step."""
        tid = self._those(lambda life: True)[number % len(self.lives)]
        read = {document["tid"]: document for document in self.before} if is_old else {}
        document = read.get(tid) or self.jobs.find_one({"tid": tid})
        trial = Trial.from_document(document)
        give_up = partial(self.stores[client].queue.give_up, trial)
        self._same(give_up, partial(self.lives[tid].give_up, trial.version), times)

    @rule(client=clients, times=twice)
    def expire(self, client: int, times: int) -> None:
        """A coordinator sweeps."""
        self._same(self.stores[client].queue.expire, self.lives.expire, times)

    # -- time, by hand --------------------------------------------------------------------------

    @precondition(lambda self: self._those(lambda life: life.state is Status.RUNNING))
    @rule(number=numbers)
    def a_lease_runs_out(self, number: int) -> None:
        """The lease of a running trial is over; the rule replaces the waiting."""
        running = self._those(lambda life: life.state is Status.RUNNING)
        tid = running[number % len(running)]
        self.jobs.update_one({"tid": tid}, [{"$set": {"lease_until": AGO}}])
        self.lives[tid].lease_is_over = True

    @precondition(lambda self: self._those(lambda life: life.copy is not None))
    @rule(number=numbers)
    def a_copy_falls_silent(self, number: int) -> None:
        """A copy was not heard of for a lease; the rule replaces the waiting."""
        copied = self._those(lambda life: life.copy is not None)
        tid = copied[number % len(copied)]
        self.jobs.update_one({"tid": tid}, [{"$set": {"copy.until": AGO}}])
        self.lives[tid].copy_is_silent = True

    @precondition(lambda self: self._those(lambda life: life.backs_off))
    @rule(number=numbers)
    def a_back_off_ends(self, number: int) -> None:
        """A back-off is over; the rule replaces the waiting."""
        backing_off = self._those(lambda life: life.backs_off)
        tid = backing_off[number % len(backing_off)]
        self.jobs.update_one({"tid": tid}, [{"$set": {"not_before": AGO}}])
        self.lives[tid].backs_off = False

    def _those(self, holds: Callable[[Life], bool]) -> list[int]:
        return [tid for tid, life in reversed(list(enumerate(self.lives))) if holds(life)]

    # -- what holds after each step -------------------------------------------------------------

    @invariant()
    def the_store_agrees_and_the_laws_hold(self) -> None:
        """The documents are as the model says, and obey the laws that hold without it."""
        after = list(self.jobs.find(sort=[("tid", 1)]))
        assert [_stored(document) for document in after] == [_expected(life) for life in self.lives]
        for document in after:
            _obeys_the_laws(document)
            holders = [
                token
                for token, trial in self.held.items()
                if trial.id == document["_id"]
                and document["state"] == Status.RUNNING
                and (document["token"], document["fence"]) == (token, trial.fence)
            ]
            assert len(holders) <= 1
        for old, new in zip(self.before, after):
            _obeys_the_laws_of_change(old, new)
        self.before = after

    # -- both at once ---------------------------------------------------------------------------

    def _claim(self, client: int, lasts: bool) -> tuple[Trial | None, str]:
        worker, token = f"w{client}", next(self.tokens)
        lease = HOUR if lasts else 0.0
        trial = self.stores[client].queue.claim(worker, token, OURS, lease=lease)
        tid = self.lives.claim(worker, token)
        assert (trial and trial.tid) == tid
        if tid is not None:
            self.lives[tid].lease_is_over = not lasts
        return trial, token

    def _claim_batch(
        self, client: int, study: int, size: int, lasts: bool
    ) -> tuple[list[Trial], list[str]]:
        number, worker = study % len(STUDIES), f"w{client}"
        tokens = [next(self.tokens) for _ in range(size)]
        kind, lease = Kind(STUDIES[number], "lenet5"), HOUR if lasts else 0.0
        queue = self.stores[client].queue
        trials = queue.claim_batch(kind, worker, tokens, OURS, STUDIES[number], lease)
        tids = self.lives.claim_batch(worker, tokens, number, len(STUDIES))
        assert [(trial.tid, trial.token) for trial in trials] == list(zip(tids, tokens))
        for tid in tids:
            self.lives[tid].lease_is_over = not lasts
        return trials, tokens

    def _copy(self, client: int, study: int) -> tuple[Trial | None, str]:
        worker, token = f"w{client}", next(self.tokens)
        queue = self.stores[client].queue
        trial = queue.copy(worker, token, OURS, STUDIES[study], AT_ANY_RATE, HOUR)
        copied = self.lives.copy_one(worker, token, study, len(STUDIES))
        assert (trial and trial.tid) == copied
        return trial, token

    def _named(self, who: Claimant) -> tuple[str, Trial, Life]:
        holds, number = who
        tokens = [
            token for token, trial in self.held.items() if self.lives[trial.tid].is_run_by(token)
        ]
        if not (holds and tokens):
            tokens = list(self.held)
        token = tokens[-1 - number % len(tokens)]
        trial = self.held[token]
        return token, trial, self.lives[trial.tid]

    def _same(self, act: Callable[[], Any], model: Callable[[], Any], times: int) -> None:
        """Do a step ``times`` times on store and model; the outcomes must be the same."""
        for _ in range(times):
            assert _outcome(act) == _outcome(model)


def _draft(tid: int, max_attempts: int) -> Draft:
    """Return a trial whose number is unique over all studies."""
    study = STUDIES[tid % len(STUDIES)]
    return Draft(study, tid, {}, {}, "lenet5", max_attempts=max_attempts, cost=COST)


def _outcome(step: Callable[[], Any]) -> Any:
    """Return the result of a step, or ``LeaseLost`` if it was refused."""
    try:
        return step()
    except LeaseLost:
        return LeaseLost


def _expected(life: Life) -> dict[str, Any]:
    """Return the visible state of a trial by the model."""
    seen = {
        "state": life.state,
        "version": life.version,
        "fence": life.fence,
        "attempts": life.attempts,
        "max_attempts": life.max_attempts,
        "cancel requested": life.cancel_requested,
        "error": life.error,
        "winner": life.winner,
        "loss": life.loss,
        "issued": list(life.issued.items()),
        "late": list(life.late.items()),
        "excluded": life.excluded,
        "rungs": life.rungs,
    }
    if life.state is Status.RUNNING:
        seen["holder"] = (life.token, life.issued[str(life.token)])
        seen["lease is over"] = life.lease_is_over
        seen["progress"] = life.progress
        copy = life.copy
        seen["copy"] = copy and (copy, life.issued[copy], life.copys_progress)
    elif life.state is Status.NEW:
        seen["backs off"] = life.backs_off
    elif life.state is Status.DONE:
        seen["owner"] = life.issued[str(life.winner)]
    return seen


def _stored(document: dict[str, Any]) -> dict[str, Any]:
    """Return the visible state of a stored trial."""
    state = Status(document["state"])
    now = datetime.datetime.now(datetime.timezone.utc)
    seen = {
        "state": state,
        "version": document["version"],
        "fence": document["fence"],
        "attempts": document["attempts"],
        "max_attempts": document["max_attempts"],
        "cancel requested": document["cancel_requested"],
        "error": document["error"] and ErrorKind(document["error"]["kind"]),
        "winner": document["winner"],
        "loss": document["result"].get("loss"),
        "issued": [(each["token"], each["worker"]) for each in document["issued"]],
        "late": [(each["token"], each["result"]["loss"]) for each in document["late"]],
        "excluded": set(document["excluded"]),
        "rungs": document["rungs"] or {},
    }
    if state is Status.RUNNING:
        seen["holder"] = (document["token"], document["owner"])
        seen["lease is over"] = document["lease_until"] <= now
        seen["progress"] = document["progress"] and document["progress"]["epoch"]
        copy = Trial.from_document(document).copy
        copys_progress = copy and copy.progress and copy.progress["epoch"]
        seen["copy"] = copy and (copy.token, copy.worker, copys_progress)
    elif state is Status.NEW:
        seen["backs off"] = bool(document["not_before"] and document["not_before"] > now)
    elif state is Status.DONE:
        seen["owner"] = document["owner"]
    return seen


def _obeys_the_laws(document: dict[str, Any]) -> None:
    """Check what holds for a trial in any state, whatever the model says."""
    issued = [each["token"] for each in document["issued"]]
    late = [each["token"] for each in document["late"]]
    assert 0 <= document["attempts"] <= document["max_attempts"]
    assert len(set(issued)) == len(issued)
    assert len(set(late)) == len(late)
    assert set(late) <= set(issued)
    assert (document["state"] == Status.DONE) == (document["winner"] is not None)
    if document["winner"] is not None:
        assert document["winner"] in issued
        assert document["winner"] not in late


def _obeys_the_laws_of_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Check what holds between two moments of a trial's life, whatever the model says."""
    assert new["fence"] >= old["fence"]
    assert new["version"] >= old["version"]
    for grows in ("issued", "late"):
        assert new[grows][: len(old[grows])] == old[grows]
    if old["state"] == Status.DONE:
        changed = {key for key in new if new[key] != old[key]}
        assert changed in (set(), {"late", "version"})


# -- the tests --------------------------------------------------------------------------------


@pytest.mark.timeout(3600)  # shrinking a counterexample takes minutes, and so does the long form
def test_the_store_agrees_with_the_model(stores: list[Store]) -> None:
    """Through random lives of up to four trials at a time, store and model never differ."""
    half = settings(max_examples=settings.default.max_examples // 2)
    run_state_machine_as_test(lambda: Lifetimes(stores[:CLIENTS]), settings=half)


@pytest.mark.long
def test_23_without_the_fence_the_model_finds_it(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that accepts any worker that once held a running trial differs from the model."""

    def update_running(
        queue: Any, trial: Trial, changes: Any, of_a_copy: Any, also: Any = None
    ) -> Trial:
        running = {"_id": trial.id, "state": int(Status.RUNNING), **(also or {})}
        updated: Trial | None = queue._update(running, changes)
        if updated is None:
            raise LeaseLost
        return updated

    monkeypatch.setattr(TrialQueue, "_update_held", update_running)
    # It takes some hundred lives, most of whose steps are not those that the fence is for.
    first = settings(max_examples=400, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(lambda: Lifetimes(stores[:CLIENTS]), settings=first)
