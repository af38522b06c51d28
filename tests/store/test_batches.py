"""Many short trials claimed, renewed and delivered in one request each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Sequence

import pytest

from hyperhive.store.store import Store
from hyperhive.store.trials.batches import Kind, ShortResult
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

KIND = Kind("s", "f")


def post(store: Store, *tids: int, study: str = "s", max_attempts: int = 3) -> None:
    for tid in tids:
        store.queue.post(Draft(study, tid, {}, {}, objective="f", max_attempts=max_attempts))


def claim(store: Store, most: int = 9, worker: str = "w", kind: Kind = KIND) -> list[Trial]:
    tokens = [new_token() for _ in range(most)]
    return store.queue.claim_batch(kind, worker, tokens, ["f", "g"], None, 60.0)


def results(trials: Sequence[Trial]) -> list[ShortResult]:
    return [ShortResult(each.id, str(each.token), {"loss": float(each.tid)}) for each in trials]


def the_trials(store: Store) -> list[Trial]:
    return store.trials.find("s")


def test_each_trial_of_a_batch_is_claimed_as_one_alone(store: Store) -> None:
    """A batch has the oldest trials; each document is as a claim of it alone would leave it."""
    post(store, *range(4))
    single = store.queue.claim("w", "t", ["f"])
    batch = claim(store, most=2)
    assert single is not None
    assert [trial.tid for trial in batch] == [1, 2]
    assert len({trial.token for trial in batch}) == 2
    documents: list[dict[str, Any]] = list(store.database.jobs.find({"state": 1}).sort("tid"))
    for document in documents:
        (issued,) = document["issued"]
        assert (issued["token"], issued["worker"]) == (document["token"], "w")
        its_own = {"_id", "tid", "misc", "token", "issued", "lease_until"}
        its_own |= {"book_time", "refresh_time"}
        for key in document.keys() - its_own:
            assert document[key] == documents[0][key], key


def test_a_batch_ends_where_a_trial_is_not_new_or_not_of_its_kind(store: Store) -> None:
    """The oldest go first, so none is passed by; a row of one is left for a claim."""
    post(store, 0)
    killer = store.queue.claim("dead", new_token(), ["f"], lease=0.0)
    assert killer is not None
    post(store, 1, 2)
    assert claim(store) == []
    store.queue.finish(killer.id, str(killer.token), {"loss": 0.0})
    post(store, 0, study="t")
    post(store, 3, 4)
    assert [trial.tid for trial in claim(store)] == [1, 2]
    assert claim(store) == []
    assert [trial.study for trial in claim(store, kind=Kind("t", "f"))] == []
    assert store.queue.claim("w", new_token(), ["f"], "t") is not None
    assert [trial.tid for trial in claim(store)] == [3, 4]


def test_12_a_trial_with_one_attempt_is_in_no_batch(store: Store) -> None:
    """Another trial of the batch that kills the worker would end it before it ever ran."""
    post(store, 0, 1)
    post(store, 2, 3, max_attempts=1)
    assert [trial.tid for trial in claim(store)] == [0, 1]
    assert claim(store) == []


def test_08_batches_never_share_a_trial(store: Store, stores: list[Store]) -> None:
    """Eight claimers that want the same trials: each trial is claimed once."""
    post(store, *range(120))

    def claim_all(number: int) -> list[Trial]:
        found: list[Trial] = []
        while True:
            batch = claim(stores[number], worker=f"w{number}")
            found += batch
            single = None if batch else stores[number].queue.claim("w", new_token(), ["f"])
            if not batch and single is None:
                return found
            found += [single] if single else []

    with ThreadPoolExecutor(8) as pool:
        claimed = [trial for each in pool.map(claim_all, range(8)) for trial in each]
    assert sorted(trial.tid for trial in claimed) == list(range(120))
    assert {trial.attempts for trial in the_trials(store)} == {1}


def test_results_are_delivered_at_once(store: Store) -> None:
    """Each trial gets its own result, and its own token as the winner."""
    post(store, *range(4))
    batch = claim(store)
    assert store.queue.finish_batch(results(batch))
    for trial, done in zip(batch, the_trials(store)):
        assert (done.status, done.winner, done.owner) == (Status.DONE, trial.token, "w")
        assert done.result == {"loss": float(trial.tid)}
        assert (done.fence, done.version) == (trial.fence + 1, trial.version + 1)
    before = the_trials(store)
    assert not store.queue.finish_batch(results(batch))  # then each is asked for
    assert all(store.queue.finish(*each) for each in results(batch))
    assert the_trials(store) == before


def test_10_a_batch_that_is_late_in_part_counts_in_part(store: Store) -> None:
    """Trials that ended, were deleted or never had the token are left as they are."""
    post(store, *range(5))
    batch = claim(store)
    store.queue.finish(batch[0].id, str(batch[0].token), {"loss": 9.0})
    store.queue.fail(batch[1], ErrorKind.BAD_PAYLOAD, "no")
    store.database.jobs.delete_one({"_id": batch[2].id})
    stray = results(batch)[4]._replace(token="never issued")
    before = {trial.tid: trial for trial in the_trials(store)}
    assert not store.queue.finish_batch([*results(batch)[:4], stray])
    after = {trial.tid: trial for trial in the_trials(store)}
    assert {tid for tid in before if before[tid] != after[tid]} == {3}
    assert after[3].status is Status.DONE


def test_leases_are_renewed_at_once(store: Store) -> None:
    """What was lost is not renewed and not returned; a request to cancel is seen."""
    post(store, *range(3))
    batch = claim(store)
    store.queue.give_back(batch[0])
    store.queue.cancel_all("s")
    found = store.queue.renew(batch, 3600.0)
    assert [(trial.tid, trial.cancel_requested) for trial in found] == [(1, True), (2, True)]
    leases = [trial.lease_until for trial in batch[1:]]
    assert all(now.lease_until > old for now, old in zip(found, leases))  # type: ignore[operator]


@pytest.mark.parametrize("field", ["attempts", "issued"])
def test_19_a_malformed_document_is_in_no_batch(store: Store, field: str) -> None:
    """It is passed by, as by a claim."""
    post(store, *range(3))
    store.database.jobs.update_one({"tid": 0}, {"$set": {field: "rubbish"}})
    assert [trial.tid for trial in claim(store)] == [1, 2]
