"""What a trial's document must be made of: whoever may change one may write anything into it.

MongoDB confines a worker's login to the trials, and not to the fields or types that a worker
writes. Rubbish in a field that only tells something is as good as nothing there. A trial that has
not ended, with rubbish where its transitions compute, is nobody's: no transition takes it, or the
server would refuse what all workers ask, and it reads as one that failed, or all would wait for it.
"""

from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence

_NUMBERS = ("fence", "version", "attempts", "max_attempts")
_LISTS = ("issued", "late", "excluded")


def _is_one_of(field: str, types: Sequence[str]) -> Dict[str, Any]:
    # Not a condition with $type, which looks at what is in a list too.
    return {"$in": [{"$type": "$" + field}, ["missing", *types]]}


CAN_LIVE: Dict[str, Any] = {
    "$expr": {
        "$and": [
            *(_is_one_of(field, ("int", "long", "double")) for field in _NUMBERS),
            *(_is_one_of(field, ("array",)) for field in _LISTS),
        ]
    }
}
"""The condition of documents that transitions can compute with."""


def obstacle(document: Mapping[str, Any]) -> Optional[str]:
    """Return the first field for which ``CAN_LIVE`` does not hold; None if it does."""
    for fields, types in ((_NUMBERS, (int, float)), (_LISTS, (list,))):
        for field in fields:
            value = document.get(field, types[0]())
            if not isinstance(value, types) or isinstance(value, bool):
                return field
    return None


def mapping(value: Any) -> Dict[str, Any]:
    """Return a document as it is, an empty one for anything else."""
    return dict(value) if isinstance(value, Mapping) else {}


def sequence(value: Any) -> List[Any]:
    """Return a list as it is, an empty one for anything else."""
    return list(value) if isinstance(value, (list, tuple)) else []


def whole(value: Any, default: int) -> int:
    """Return a whole number, ``default`` for anything else."""
    if isinstance(value, float) and value.is_integer():  # as MongoDB's old shell writes them
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def text(value: Any) -> Optional[str]:
    """Return text, None for anything else."""
    return value if isinstance(value, str) else None


def date(value: Any) -> Optional[datetime]:
    """Return a time, None for anything else."""
    return value if isinstance(value, datetime) else None
