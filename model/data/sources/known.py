"""The names of data sets: what each holds, and what it needs."""

from __future__ import annotations

from typing import NamedTuple

from hyperhive.common.errors import UsageError
from hyperhive.common.values import is_sha256

CMU_FACES = "cmu-faces"
FASHION_MNIST = "fashion-mnist"
FOLDER = "folder"
DIGITS = "digits"
TORCHVISION = "torchvision"
PUBLISHED = "sha256"
TASKS = ("person", "sunglasses", "pose", "expression")
"""What the faces can be told apart by."""


class Known(NamedTuple):
    """A data set: how to name it, what it holds, and what it needs."""

    name: str
    holds: str
    needs: str


KNOWN = (
    Known(
        "simpsons",
        "Simpsons-MNIST, 10 characters in colour",
        "downloaded once, or --data PATH: the repository alvarobartt/simpsons-mnist",
    ),
    Known("simpsons-gray", "the same in grey", "as simpsons"),
    Known(DIGITS, "scikit-learn's digits, 10 classes in grey", "nothing"),
    Known(
        FASHION_MNIST,
        "Fashion-MNIST, 10 kinds of clothes in grey",
        "torchvision, which downloads it once, or --data PATH: a folder with its four files",
    ),
    Known(
        f"{CMU_FACES}:TASK",
        f"faces of 20 people in grey; TASK is {', '.join(TASKS[:-1])} or {TASKS[-1]}",
        "--data PATH: a folder or zip with the CMU Face Images of the UCI repository",
    ),
    Known(
        f"{TORCHVISION}:CLASS",
        "a set of torchvision.datasets, such as CIFAR10, CIFAR100, EuroSAT, Flowers102, Food101, "
        "KMNIST, OxfordIIITPet, STL10, SVHN",
        "torchvision, which downloads it once, or --data PATH: the folder that is its root",
    ),
    Known(
        FOLDER,
        "your own images: a folder per class",
        "--data PATH: a folder or zip (then --dataset can be omitted)",
    ),
    Known(
        f"{PUBLISHED}:HASH",
        "a data set that is in the store",
        "`hyperhive dataset publish`, or a study that had it",
    ),
)


NAMES = ", ".join(known.name for known in KNOWN)
_WITH_MORE = (CMU_FACES, TORCHVISION, PUBLISHED)
"""What a colon follows."""


def is_name(text: str) -> bool:
    """Return whether a text is meant as a data set's name; otherwise it may be a path."""
    return text.partition(":")[0] in _WITH_MORE or text in [known.name for known in KNOWN]


def require_known(name: str) -> None:
    """Raise ``UsageError`` if no data set can have this name."""
    base, _, rest = name.partition(":")
    if base == CMU_FACES and rest not in TASKS:
        names = ", ".join(f"{CMU_FACES}:{task}" for task in TASKS)
        raise UsageError(f"data set {name!r} needs a task: choose one of {names}")
    if base == TORCHVISION and not rest.isidentifier():
        raise UsageError(
            f"data set {name!r} needs the name of a class of torchvision.datasets, as in "
            f"{TORCHVISION}:CIFAR10"
        )
    if base == PUBLISHED and not is_sha256(rest):
        raise UsageError(
            f"data set {name!r} needs the 64 digits that `hyperhive dataset publish` prints"
        )
    if not is_name(name):
        raise UsageError(f"unknown data set {name!r}: choose one of {NAMES}")


def published_hash(name: str) -> str | None:
    """Return the hash of a data set that is named as one in the store; None for any other."""
    base, _, rest = name.partition(":")
    return rest if base == PUBLISHED else None
