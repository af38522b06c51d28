"""The types of the bookkeeping fields that transitions compute with.

MongoDB limits a worker's login to the collection of trials, but not to fields or types, so any
field may hold anything. In a field that is only shown, a wrong type counts as absent. An unfinished
trial with a malformed bookkeeping field belongs to nobody: no transition touches it, because one
bad document would make the server reject every worker's query; and it reads as failed, so that
nobody waits for it.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

_NUMBERS = ("fence", "version", "attempts", "max_attempts")
_LISTS = ("issued", "late", "excluded")


def _is_one_of(field: str, types: Sequence[str]) -> dict[str, Any]:
    # $type as a query operator would also match a list that contains such a value.
    return {"$in": [{"$type": "$" + field}, ["missing", *types]]}


CAN_LIVE: dict[str, Any] = {
    "$expr": {
        "$and": [
            *(_is_one_of(field, ("int", "long", "double")) for field in _NUMBERS),
            *(_is_one_of(field, ("array",)) for field in _LISTS),
        ]
    }
}
"""The condition of documents whose bookkeeping fields transitions can compute with."""


def malformed_field(document: Mapping[str, Any]) -> str | None:
    """Return the first field that keeps a document from meeting ``CAN_LIVE``; None if it does."""
    for fields, types in ((_NUMBERS, (int, float)), (_LISTS, (list,))):
        for field in fields:
            value = document.get(field, types[0]())
            if not isinstance(value, types) or isinstance(value, bool):
                return field
    return None
