"""What a trial's document must be made of: whoever may change one may write anything into it.

MongoDB confines a worker's login to the trials, and not to the fields or types that a worker
writes. Rubbish in a field that only tells something is as good as nothing there. A trial that has
not ended, with rubbish where its transitions compute, is nobody's: no transition takes it, or the
server would refuse what all workers ask, and it reads as one that failed, or all would wait for it.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

_NUMBERS = ("fence", "version", "attempts", "max_attempts")
_LISTS = ("issued", "late", "excluded")


def _is_one_of(field: str, types: Sequence[str]) -> dict[str, Any]:
    # Not a condition with $type, which looks at what is in a list too.
    return {"$in": [{"$type": "$" + field}, ["missing", *types]]}


CAN_LIVE: dict[str, Any] = {
    "$expr": {
        "$and": [
            *(_is_one_of(field, ("int", "long", "double")) for field in _NUMBERS),
            *(_is_one_of(field, ("array",)) for field in _LISTS),
        ]
    }
}
"""The condition of documents that transitions can compute with."""


def obstacle(document: Mapping[str, Any]) -> str | None:
    """Return the first field for which ``CAN_LIVE`` does not hold; None if it does."""
    for fields, types in ((_NUMBERS, (int, float)), (_LISTS, (list,))):
        for field in fields:
            value = document.get(field, types[0]())
            if not isinstance(value, types) or isinstance(value, bool):
                return field
    return None
