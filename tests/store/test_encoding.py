"""Names and numbers from outside that the database cannot hold are an error in one sentence."""

from __future__ import annotations

import os
from typing import Any, Callable

import pytest

from hyperhive.store.errors import Unstorable
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import ErrorKind
from hyperhive.store.trials.updates import new_token

NAME = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.studies.open(NAME, {}),
        lambda store: store.studies.open("s", {"trials": 10**30}),
        lambda store: store.studies.get(NAME),
        lambda store: store.study(NAME),
        lambda store: store.datasets.publish("hash", b"", {"classes": ["ash", NAME]}),
        lambda store: store.queue.post(Draft("s", 0, {"epochs": 2**63}, {}, "lenet5")),
        lambda store: store.queue.post(Draft("s", 0, {}, {NAME: 1}, "lenet5")),
        lambda store: store.queue.post(Draft("s", 0, {"text": "x" * (17 << 20)}, {}, "lenet5")),
        lambda store: store.workers.report("w", NAME, "cpu", {}, None),
        lambda store: store.workers.report("w", None, "cpu " + NAME, {}, None),
        lambda store: store.blobs.put(b"", NAME),
    ],
)
def test_a_value_that_cannot_be_sent_is_one_sentence(
    store: Store, use: Callable[[Store], Any]
) -> None:
    """Nothing is written, and the text is printable."""
    with pytest.raises(Unstorable) as refused:
        use(store)
    assert str(refused.value).isprintable()
    assert "\udce9" not in str(refused.value)
    assert len(str(refused.value)) < 300
    assert store.database.studies.count_documents({}) == 0
    assert store.database.jobs.count_documents({}) == 0


def test_an_error_of_any_text_can_be_stored(store: Store) -> None:
    """What failed wrote the text: it is cut, and what is no Unicode is escaped."""
    store.queue.post(Draft("s", 0, {}, {}, "lenet5"))
    trial = store.queue.claim("w", new_token(), ["lenet5"])
    assert trial is not None
    failed = store.queue.fail(trial, ErrorKind.OBJECTIVE, NAME + "x" * (20 << 20))
    assert failed.error is not None
    assert failed.error["message"].startswith("caf\\xe9xxx")
    assert len(failed.error["message"]) < 5000
