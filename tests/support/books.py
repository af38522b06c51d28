"""Check the books of a study after faults: posted, computed, delivered and counted must agree.

A result is *kept* once it is in an outbox: from then on it must never be lost or counted twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperhive.coordinator.search_trials import FILES_KEPT
from hyperhive.store.blobs import BlobRef
from hyperhive.store.store import Store
from hyperhive.store.trials.terms import SEARCH, Status, experiment_keys
from hyperhive.store.trials.trial import Trial
from support.home import until
from support.plugin.hyperhive_faults import loss_of


@dataclass(frozen=True)
class Books:
    """The numbers of one study, or of several."""

    trials: int = 0
    done: int = 0
    failed: int = 0
    claims: int = 0
    results: int = 0
    late: int = 0

    def __add__(self, other: Books) -> Books:
        mine, others = vars(self), vars(other)
        return Books(**{name: mine[name] + others[name] for name in mine})


def undelivered(outbox: Path) -> list[Path]:
    """Return the files of results that wait on the workers' disk."""
    return [path for path in outbox.glob("*/*") if path.suffix in (".bson", ".batch")]


def events(audit: Path, event: str) -> list[dict[str, Any]]:
    """Return the workers' notes of one kind, each with its process id as ``pid``."""
    noted = []
    for file in sorted(audit.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            if entry["event"] == event:
                noted.append({**entry, "pid": int(file.stem)})
    return noted


def check(store: Store, study: str, trials: int, audit: Path, outbox: Path) -> Books:
    """Check the books of a study that has ended; raise ``AssertionError`` if they do not agree.

    Every posted trial is in one final state. Every kept result is in the store exactly once, as the
    one that counts or as late. A counted result is the one that was computed. The weights of the
    best are in the store byte for byte, and no chunk is left that nothing refers to.
    """
    until(lambda: undelivered(outbox) == [], "the last delivery")
    jobs = store.database.jobs
    documents = list(jobs.find({"exp_key": {"$in": experiment_keys(study)}}))
    found = store.trials.find(study)
    assert [t.tid for t in found if t.purpose == SEARCH] == list(range(trials)), "tids"
    assert {t.status for t in found} <= {Status.DONE, Status.ERROR}, "not final"
    keeping = {entry["token"]: entry for entry in events(audit, "keeping")}
    kept = {entry["token"] for entry in events(audit, "kept")}
    counted = Counter(d["winner"] for d in documents if d["winner"] is not None)
    late = Counter(entry["token"] for d in documents for entry in d["late"])
    issued = {entry["token"] for d in documents for entry in d["issued"]}
    delivered = counted + late
    assert kept <= set(jobs.distinct("issued.token")), "kept for no claim"
    lost = [token for token in kept & issued if delivered[token] == 0]
    assert lost == [], "lost"
    assert [token for token, times in delivered.items() if times > 1] == [], "counted twice"
    assert set(delivered) <= set(keeping) & issued, "a result that nobody computed"
    for trial in found:
        assert (trial.status is Status.DONE) == (trial.winner is not None)
        if trial.status is Status.DONE:
            assert trial.loss == loss_of(trial.config) == keeping[str(trial.winner)]["loss"]
            assert trial.attempts <= trial.max_attempts
    _check_weights(store, found, keeping)
    check_files(store)
    done = [trial for trial in found if trial.status is Status.DONE]
    claims, failed = sum(trial.claims for trial in found), len(found) - len(done)
    return Books(len(found), len(done), failed, claims, len(delivered), sum(late.values()))


def check_result(store: Store, study: str) -> None:
    """Check that a study's result is the best of its trials."""
    stored = store.studies.get(study)
    assert stored is not None
    assert stored.result is not None, "no result"
    assert stored.result["winner"] == _ranked(store.trials.find(study, SEARCH))[0].tid


def check_files(store: Store) -> None:
    """Check that every chunk belongs to a file that something refers to."""
    store.collect_orphans(0)
    database = store.database
    files = set(database.fs.files.distinct("_id"))
    assert set(database.fs.chunks.distinct("files_id")) == files, "orphaned chunks"
    assert set(database.uploads.distinct("_id")) == files, "orphaned markers"
    referred_to = store.trials.referred_to(files) | store.datasets.referred_to(files)
    assert referred_to == set(files), "orphans"


def _check_weights(store: Store, trials: list[Trial], keeping: dict[str, dict[str, Any]]) -> None:
    for trial in trials:
        if trial.artifact is not None:
            weights = store.blobs.get(BlobRef.from_document(trial.artifact))
            assert hashlib.sha256(weights).hexdigest() == keeping[str(trial.winner)]["weights"]
    best = _ranked([trial for trial in trials if trial.purpose == SEARCH])[:FILES_KEPT]
    had = [trial for trial in best if keeping[str(trial.winner)]["weights"] is not None]
    assert all(trial.artifact is not None for trial in had), "the weights of a best trial are gone"


def _ranked(trials: list[Trial]) -> list[Trial]:
    def key(trial: Trial) -> tuple[float, int]:
        assert trial.loss is not None
        return trial.loss, trial.tid

    whole = [trial for trial in trials if trial.status is Status.DONE and not trial.pruned]
    return sorted(whole, key=key)
