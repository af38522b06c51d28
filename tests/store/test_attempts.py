"""What the store tells of the attempts at a trial."""

from __future__ import annotations

from support.fleet import draft

from hyperhive.store.store import Store
from hyperhive.store.trials.attempts import FAILED, LOST, RETURNED, Attempt
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token


def claimed(store: Store, worker: str, lease: float = 60.0) -> Trial:
    trial = store.queue.claim(worker, new_token(), ["quick"], lease=lease, pace=99.0)
    assert trial is not None
    return trial


def attempts(store: Store, study: str = "s") -> list[Attempt]:
    (found,) = store.trials.attempts(study).values()
    return list(found)


def test_a_claim_notes_how_the_attempt_before_it_ended(store: Store) -> None:
    """Handed back, lost or failed, and when; the last attempt has no end of its own."""
    store.queue.post(draft("s", 0, max_attempts=9))
    store.queue.give_back(claimed(store, "mac-1-abcdef"))
    claimed(store, "nano-1-abcdef", lease=0.0)
    third = claimed(store, "mac-1-abcdef")
    store.queue.fail(third, ErrorKind.OBJECTIVE, "no")
    jobs = store.database["jobs"]
    assert [each.how for each in attempts(store)] == [RETURNED, LOST, None]  # and waits again
    jobs.update_one({}, [{"$set": {"not_before": {"$add": ["$refresh_time", 1]}}}])  # no back-off
    last = claimed(store, "nano-1-abcdef")
    found = attempts(store)
    assert [each.how for each in found] == [RETURNED, LOST, FAILED, None]
    assert [each.worker for each in found] == [*["mac-1-abcdef", "nano-1-abcdef"] * 2]
    assert all(each.ended is not None and each.ended >= each.began for each in found[:-1])
    assert (found[-1].began, found[-1].ended) == (last.book_time, None)


def test_only_trials_with_several_attempts_are_told_of(store: Store) -> None:
    """Of any other, its owner and its times tell all; a copy has its place among the attempts."""
    for tid in range(2):
        store.queue.post(draft("s", tid, max_attempts=3))
    claimed(store, "mac-1-abcdef")
    assert store.trials.attempts("s") == {}
    held = claimed(store, "mac-1-abcdef")
    assert store.queue.copy("nano-1-abcdef", new_token(), ["quick"], "s", 0.0) is not None
    ((trial_id, found),) = store.trials.attempts("s").items()
    assert [each.is_copy for each in found] == [False, True]
    assert found[1].worker == "nano-1-abcdef"
    assert trial_id in (held.id, store.trials.find("s", tids=[0])[0].id)


def test_claims_of_an_earlier_version_end_when_the_next_began(store: Store) -> None:
    """Its claims note nothing, so how an attempt ended is not known."""
    store.queue.post(draft("s", 0, max_attempts=9))
    claimed(store, "mac-1-abcdef", lease=0.0)
    second = claimed(store, "nano-1-abcdef")
    store.database["jobs"].update_one({}, {"$unset": {"issued.1.before": ""}})
    first, _ = attempts(store)
    assert (first.ended, first.how) == (second.book_time, None)
