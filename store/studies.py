"""Studies: one document each, its specification as plain JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Iterable, Mapping, Sequence

from pymongo import ReturnDocument

from hyperhive.common.values import mapping, number, text, whole
from hyperhive.store.blobs import BlobRef, referred_to
from hyperhive.store.errors import NotFound, StoreError, StudyExtended
from hyperhive.store.server.client import Guard

BREAK_S = 60.0
"""A study for which nobody calls ``spend`` for so long is not running."""


@dataclass(frozen=True)
class StoredModel:
    """A study's model: its card, as untrusted JSON, and where its weights are.

    ``is_final`` tells whether the study ended with it; otherwise it is the best so far.
    """

    card: dict[str, Any]
    weights: BlobRef
    is_final: bool


@dataclass(frozen=True)
class StoredStudy:
    """A study as it is stored.

    ``result`` is None until the study has ended with one. ``best`` is the model of its best trial
    so far, with ``card`` and ``weights`` as in a result, or None. ``finishing`` tells whether
    somebody asked it to end with the trials that it has, ``finish_reason`` why, ``refits`` whether
    its winner is to be refitted. ``extended`` is how often its specification was changed, and
    ``raised`` how often by ``raise_budget``; ``raised_from`` is the budget before that, None if it
    is the one with which the study was started last.
    """

    name: str
    spec: dict[str, Any]
    result: dict[str, Any] | None
    best: dict[str, Any] | None
    cancelled: bool
    finishing: bool
    finish_reason: str | None
    refits: bool
    extended: int
    raised: int
    raised_from: int | None

    @property
    def restarts(self) -> int:
        """How often it was extended by starting it again, and not by ``raise_budget``."""
        return self.extended - self.raised

    def require(self, extended: int | None) -> None:
        """Raise ``StudyExtended`` unless it was extended so often; None for any number."""
        if extended not in (None, self.extended):
            raise StudyExtended(self.name)

    @property
    def model(self) -> StoredModel | None:
        """The model it ended with or, until it has ended, its best so far, or None.

        Raises ``CorruptBlob``.
        """
        source = self.best if self.result is None else self.result
        if not (source and source.get("card") and source.get("weights")):
            return None
        weights = BlobRef.from_document(source["weights"])
        return StoredModel(source["card"], weights, is_final=self.result is not None)


@dataclass(frozen=True)
class StudySummary:
    """A study in short: ``budget`` trials, and the parts of its result that were asked for.

    ``result`` is None until the study has ended with one. ``created`` is the server's time; a study
    that was deleted and started again has another. ``finishing``, ``finish_reason`` and ``refits``
    are those of a ``StoredStudy``; ``validation`` is the share of the training images that
    is held out, ``folds`` how many parts of them are in turn, if not 0, and ``repeats`` how often
    each of the best trials is run again. ``test_images`` are those of its data set, 0 without one.
    """

    name: str
    budget: int
    created: datetime
    cancelled: bool
    result: dict[str, Any] | None
    finishing: bool
    finish_reason: str | None
    refits: bool
    validation: float
    repeats: int
    folds: int
    test_images: int

    @property
    def has_ended(self) -> bool:
        """Whether the study has ended with a result."""
        return self.result is not None


class Studies:
    """The studies of a database, by name."""

    def __init__(self, database: Any, guard: Guard) -> None:
        self._studies = database["studies"]
        self._guard = guard

    def open(self, name: str, spec: Mapping[str, Any]) -> StoredStudy:
        """Create a study, or return the existing one of this name, whatever its spec is."""
        new = {
            "spec": {"$literal": dict(spec)},
            "created": "$$NOW",
            "result": None,
            "cancelled": False,
        }
        keep_existing = [{"$replaceWith": {"$mergeObjects": [new, "$$ROOT"]}}]
        with self._guard():
            document = self._studies.find_one_and_update(
                {"_id": name},
                keep_existing,
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        return _from_document(document)

    def get(self, name: str) -> StoredStudy | None:
        """Return a study, or None."""
        with self._guard():
            document = self._studies.find_one({"_id": name})
        return None if document is None else _from_document(document)

    def all(self) -> list[StoredStudy]:
        """Return all studies, oldest first."""
        with self._guard():
            return [_from_document(document) for document in self._studies.find().sort("created")]

    def unfinished_with(self, objectives: Iterable[str]) -> list[str]:
        """Return the names of the studies of these objectives that have not ended, oldest first."""
        which = {"spec.objective": {"$in": list(objectives)}, "result": None, "cancelled": False}
        with self._guard():
            return [each["_id"] for each in self._studies.find(which, {"_id": 1}).sort("created")]

    def specs_with(self, algorithm: str) -> dict[str, dict[str, Any]]:
        """Return the specifications of the studies with an algorithm of this name, by study."""
        with self._guard():
            found = self._studies.find({"spec.algorithm": algorithm}, {"spec": 1})
            return {each["_id"]: each["spec"] for each in found}

    def summaries(self, name: str | None = None, parts: Sequence[str] = ()) -> list[StudySummary]:
        """Return all studies in short, oldest first, or only the one of that name, if it exists.

        A model's card is most of a study's bytes, so nothing of a result is read but ``parts``:
        dotted names such as ``result.card.name``, which come nested as ``summary.result``.
        """
        # A field that no result has: the server sends {} for a result, and nothing for null.
        fields = [
            *("spec.trials", "spec.validation", "spec.folds", "spec.repeats", "spec.dataset.test"),
            *("created", "cancelled", "finishing", "finish_reason", "refits", "result._", *parts),
        ]
        with self._guard():
            documents = self._studies.find({} if name is None else {"_id": name}, fields)
            return [_summary(document) for document in documents.sort("created")]

    def extend(self, name: str, spec: Mapping[str, Any], extended: int | None = None) -> None:
        """Replace a study's specification and reopen it: its budget grew. Raises ``NotFound``.

        With ``extended``, raises ``StudyExtended`` if that is another number by now.
        """
        fields: dict[str, Any] = {
            "spec": {"$literal": dict(spec)},
            "finishing": False,
            **dict.fromkeys(("result", "finish_reason", "decided")),
            # Somebody raised it, and it was then started again with other changes: it is still so.
            "raised_from": {
                "$cond": [{"$eq": ["$spec.trials", spec.get("trials")]}, "$raised_from", None]
            },
            "extended": _one_more("extended"),
        }
        self._update(name, [{"$set": fields}], extended)

    def raise_budget(self, name: str, trials: int) -> None:
        """Give a study more trials while it goes on; it can be repeated.

        Nothing changes if it has so many, does not exist, has ended, is to end, or was cancelled.
        """
        goes_on = {"result": None, "cancelled": False, "finishing": {"$ne": True}}
        rise = {field: _one_more(field) for field in ("extended", "raised")}
        before = {"$ifNull": ["$raised_from", "$spec.trials"]}
        fields = {"spec.trials": trials, "decided": None, "raised_from": before, **rise}
        which = {"_id": name, **goes_on, "spec.trials": {"$lt": trials}}
        with self._guard():
            self._studies.update_one(which, [{"$set": fields}])

    def plan_refit(self, name: str, refits: bool) -> None:
        """Note whether the study's winner is to be refitted. Raises ``NotFound``."""
        self._set(name, {"refits": refits})

    def finish(self, name: str, why: str | None = None, extended: int | None = None) -> None:
        """Mark a study: it is to end with the trials that it has. Raises ``NotFound``.

        The first reason that is given stays, and a study that has ended is not changed. With
        ``extended``, raises ``StudyExtended`` if that is another number by now.
        """
        reason = {"$ifNull": ["$finish_reason", {"$literal": why}]}
        has_ended = {"$ne": [{"$ifNull": ["$result", None]}, None]}
        fields = {"finishing": True, "finish_reason": reason}
        changes = {n: {"$cond": [has_ended, f"${n}", each]} for n, each in fields.items()}
        self._update(name, [{"$set": changes}], extended)

    def decide_once(self, name: str, what: str, value: Any, extended: int | None = None) -> Any:
        """Note what the study has come to, and return it: what was noted first stays.

        So all who run it come to the same end, though one of them sees a result that another did
        not. It can be repeated, and is forgotten when the study is extended. Raises ``NotFound``
        and, with ``extended``, ``StudyExtended`` if that is another number by now.
        """
        field = f"decided.{what}"
        changes = [{"$set": {field: {"$ifNull": [f"${field}", {"$literal": value}]}}}]
        with self._guard():
            document = self._studies.find_one_and_update(
                _as_extended(name, extended),
                changes,
                {field: 1},
                return_document=ReturnDocument.AFTER,
            )
        if document is None:
            raise self._why_unchanged(name)
        return document["decided"][what]

    def spend(self, name: str) -> float:
        """Add the time since the last call to a study's; return the seconds it has run so far.

        Whoever runs the study calls this again and again: several at once count as one, and a break
        of ``BREAK_S`` or more does not count. Raises ``NotFound``.
        """
        passed = {"$subtract": ["$$NOW", {"$ifNull": ["$spent_at", "$$NOW"]}]}
        counts = {"$and": [{"$gt": [passed, 0]}, {"$lt": [passed, round(1000 * BREAK_S)]}]}
        added = {"$cond": [counts, {"$divide": [passed, 1000]}, 0.0]}
        spent = {"$add": [{"$ifNull": ["$spent_s", 0.0]}, added]}
        changes = [{"$set": {"spent_s": spent, "spent_at": "$$NOW"}}]
        with self._guard():
            document = self._studies.find_one_and_update(
                {"_id": name}, changes, {"spent_s": 1}, return_document=ReturnDocument.AFTER
            )
        if document is None:
            raise self._why_unchanged(name)
        return float(document["spent_s"])

    def offer(self, name: str, best: Mapping[str, Any]) -> None:
        """Store the model of the best trial so far. Raises ``NotFound``."""
        self._set(name, {"best": dict(best)})

    def conclude(
        self,
        name: str,
        result: Mapping[str, Any],
        trials: int | None = None,
        extended: int | None = None,
    ) -> None:
        """Store the result of a study. Raises ``NotFound``, also if it was deleted meanwhile.

        ``trials`` is how many of them it is the result of: if the study was to finish early, this
        becomes its budget, so that it can be extended as any other. With ``extended``, raises
        ``StudyExtended`` if that is another number by now: the result is that of an earlier plan.
        """
        fields: dict[str, Any] = {"result": {"$literal": dict(result)}}
        if trials is not None:
            fields["spec.trials"] = {"$cond": ["$finishing", trials, "$spec.trials"]}
        self._update(name, [{"$set": fields}], extended)

    def cancel(self, name: str) -> None:
        """Mark a study as cancelled: its coordinator posts no more trials. Raises ``NotFound``."""
        self._set(name, {"cancelled": True})

    def delete(self, name: str) -> None:
        """Delete a study's document, if it exists."""
        with self._guard():
            self._studies.delete_one({"_id": name})

    def referred_to(self, file_ids: Iterable[Any]) -> set[Any]:
        """Return those of these files that have weights of a study's model, also so far."""
        paths = ("result.weights.file_id", "best.weights.file_id")
        with self._guard():
            return referred_to(self._studies, paths, file_ids)

    def _set(self, name: str, fields: Mapping[str, Any]) -> None:
        self._update(name, {"$set": dict(fields)})

    def _update(self, name: str, update: Any, extended: int | None = None) -> None:
        with self._guard():
            updated = self._studies.update_one(_as_extended(name, extended), update)
        if not updated.matched_count:
            raise self._why_unchanged(name)

    def _why_unchanged(self, name: str) -> StoreError:
        if self.get(name) is not None:
            return StudyExtended(name)
        return NotFound(f"study {name!r} is no longer in the store: it was deleted")


def _one_more(field: str) -> dict[str, Any]:
    """Return the expression of a count that rises by one; a missing one is 0."""
    return {"$add": [{"$ifNull": [f"${field}", 0]}, 1]}


def _as_extended(name: str, extended: int | None) -> dict[str, Any]:
    """Return the condition of a study that was extended so often; of any without a number."""
    if extended is None:
        return {"_id": name}
    return {"_id": name, "extended": extended or None}  # missing until it is extended


def _from_document(document: Mapping[str, Any]) -> StoredStudy:
    return StoredStudy(
        name=document["_id"],
        spec=document["spec"],
        result=document["result"],
        best=document.get("best"),  # missing until the first offer
        cancelled=document["cancelled"],
        finishing=bool(document.get("finishing")),  # missing until somebody asks
        finish_reason=text(document.get("finish_reason")),
        refits=document.get("refits") is not False,  # missing until a coordinator runs it
        extended=whole(document.get("extended"), 0),  # missing until it is extended
        raised=whole(document.get("raised"), 0),
        raised_from=whole(document.get("raised_from"), 0) or None,
    )


def _summary(document: Mapping[str, Any]) -> StudySummary:
    spec = mapping(document.get("spec"))
    return StudySummary(
        name=document["_id"],
        budget=whole(spec.get("trials"), 0),
        created=document["created"],
        cancelled=document["cancelled"],
        result=document.get("result"),
        finishing=bool(document.get("finishing")),
        finish_reason=text(document.get("finish_reason")),
        refits=document.get("refits") is not False,
        validation=number(spec.get("validation")) or 0.0,
        repeats=whole(spec.get("repeats"), 0),
        folds=whole(spec.get("folds"), 0),
        test_images=whole(mapping(spec.get("dataset")).get("test"), 0),
    )
