"""The configuration of one LeNet-5 training, as plain JSON. Importing this needs no PyTorch."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any, Mapping

from hyperhive.common.errors import ConfigError
from hyperhive.common.values import is_sha256, number

LENET5 = "lenet5"
"""The name of the network that every study trains unless it asks for another."""

_WORDS = {
    "schedule": ("cosine", "constant", "one-cycle"),
    "augment": ("none", "camera"),
    "activation": ("relu", "tanh"),
    "pooling": ("max", "average"),
    "views": ("one", "mirrored", "shifted", "both"),
}

AUGMENTATIONS = _WORDS["augment"]
VIEWS = _WORDS["views"]

OF_LENET5 = {name: _WORDS[name] for name in ("activation", "pooling")}
"""What only LeNet-5 has, the default first. Weights do not tell it: a card's configuration does."""

UNTUNED = {"learning_rate": 0.001, "epochs": 2, "momentum": 0.0}
"""The hyperparameters of this project before any tuning: the first baseline of a study.

On ten classes it is hardly better than chance, so alone it would flatter a search.
"""

USUAL = {"learning_rate": 0.01, "epochs": 10, "momentum": 0.9}
"""What somebody would write down without a search: the second baseline of a study.

Learning rate and momentum are those of PyTorch's own example of SGD, see ``torch.optim``.
"""

THREE_TUNED = {"learning_rate": 0.099, "epochs": 19, "momentum": 0.17}
"""The best three numbers that an earlier search found: the second baseline of a study of more.

69.4 % of the validation images of Simpsons-MNIST in colour: ``hyperhive demo --dataset simpsons``.
"""

TEACHER = "teacher"
"""The name of the network that teaches unless a study asks for another."""

TEACHING: Mapping[str, Any] = {
    "learning_rate": 0.1,
    "epochs": 30,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "schedule": "one-cycle",
    "batch_size": 64,
    "mirror": True,
    "shift": 0.5,
    "views": "mirrored",
    "augment": "none",
}
"""How a teacher is trained: 91.5 % of validation images of Simpsons-MNIST in colour, one run of 6
minutes of one core (``benchmarks/teacher.py``)."""

LEARNING: Mapping[str, Any] = {"teacher_weight": 0.9, "teacher_temperature": 4.0}
"""How LeNet-5 learns from a teacher unless the search space says otherwise: it gains 1.8 and 2.2
points (two seeds, 40 epochs, ``benchmarks/teacher.py``)."""

ON_ALL_DATA = {"train_on_all": True}
"""What a refit changes in the configuration of the trial that it repeats."""


@dataclass(frozen=True)
class TrainConfig:
    """A complete training configuration; it gives the same weights each time on the same device.

    Raises ``ConfigError`` for a value out of range.

    Args:
        dataset: hash of the data set, see ``Dataset.content_hash``.
        learning_rate: step size of SGD, > 0.
        epochs: passes over the training images, >= 1.
        momentum: momentum of SGD, 0 <= momentum < 1.
        batch_size: images per step.
        schedule: ``cosine`` lowers the learning rate to 0 along half a cosine (Loshchilov and
            Hutter, SGDR, arXiv:1608.03983, without restarts); ``one-cycle`` raises it first
            (Smith and Topin, arXiv:1708.07120); ``constant`` keeps it. Cosine gains
            about five points of accuracy on Simpsons-MNIST (``benchmarks/variants.py``).
            ``model/learners/steps.py`` has the shares.
        seed: decides the initial weights, the order of the images and their augmentation.
        validation_fraction: share of the training split that is held out, 0 < f < 1.
        split_seed: decides which images are held out.
        train_on_all: train on the held-out images too; then there is no validation.
        augment: ``camera`` distorts each image as a camera might see it, differently in every epoch
            (``model/augmentation/camera.py``); ``none`` uses the images unchanged.
        network: the name of what is trained, see ``hyperhive.model.networks``.
        activation: of LeNet-5: ``relu``, or the scaled ``tanh`` of 1998.
        pooling: of LeNet-5: ``max``, or the trainable ``average`` of 1998.
        decoupled: learning rate, momentum, weight decay and batch size mean the same whatever the
            others are; ``model/learners/steps.py`` has the formula and its sources.
        nesterov: Nesterov's form of momentum, see there; without momentum it changes nothing.
        weight_decay: >= 0. Decoupled it is the share by which weights shrink in a step with 64
            images at the highest rate; else a part of the gradient, as in ``torch.optim.SGD``.
        mirror: train on mirror images too: each image is mirrored in half of all epochs.
        shift: strength of random shifts, 0 (none) to 1; ``model/augmentation/kinds.py`` has the
            bounds of this and the next four.
        rotate: the same of rotations.
        scale: the same of changes of size.
        cutout: the same of squares that are cut out.
        colour: the same of changes of light and colour.
        label_smoothing: share of the target that goes to all classes alike, 0 <= s < 1.
        averaging: the model's weights, in validation too, are a moving average over this share of
            all steps (``model/learners/average.py``), 0 <= a < 1; 0: they are the last step's.
        views: what the model looks at to answer; ``model/augmentation/views.py`` says what each is.
        folds: validate on each of so many parts of the training split in turn; 0: on one part,
            ``validation_fraction``. There are none where nothing is held out.
        teacher: hash of a teacher's answers, see ``model/teacher.py``; empty: there is none.
        teacher_weight: share of the target that is the teacher's answer, 0 to 1.
        teacher_temperature: divides the teacher's logits, > 0: above 1 its answer is less sure.
    """

    dataset: str
    learning_rate: float
    epochs: int
    momentum: float
    batch_size: int = 64
    schedule: str = "cosine"
    seed: int = 0
    validation_fraction: float = 0.2
    split_seed: int = 0
    train_on_all: bool = False
    augment: str = "none"
    network: str = LENET5
    activation: str = "relu"
    pooling: str = "max"
    decoupled: bool = False
    nesterov: bool = False
    weight_decay: float = 0.0
    mirror: bool = False
    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    cutout: float = 0.0
    colour: float = 0.0
    label_smoothing: float = 0.0
    averaging: float = 0.0
    views: str = "one"
    folds: int = 0
    teacher: str = ""
    teacher_weight: float = 0.0
    teacher_temperature: float = 1.0

    def __post_init__(self) -> None:
        _require(self.learning_rate > 0, "learning_rate must be above 0", self.learning_rate)
        _require(self.epochs >= 1, "epochs must be 1 or more", self.epochs)
        _require(self.epochs < 2**32, "epochs must be below 2**32", self.epochs)
        _require(0 <= self.momentum < 1, "momentum must be in [0, 1)", self.momentum)
        for name, words in _WORDS.items():
            value = getattr(self, name)
            _require(value in words, f"{name} must be one of {', '.join(words)}", value)
        _require(0 <= self.seed < 2**63, "seed must be in [0, 2**63)", self.seed)
        _require(0 <= self.split_seed < 2**32, "split_seed must be in [0, 2**32)", self.split_seed)
        _require(self.batch_size >= 1, "batch_size must be 1 or more", self.batch_size)
        _require(self.batch_size < 2**32, "batch_size must be below 2**32", self.batch_size)
        _require(
            0 < self.validation_fraction < 1,
            "validation_fraction must be between 0 and 1",
            self.validation_fraction,
        )
        is_plain = all(getattr(self, name) == words[0] for name, words in OF_LENET5.items())
        _require(
            self.network == LENET5 or is_plain,
            f"{' and '.join(OF_LENET5)} are for network {LENET5} only, and the network is",
            self.network,
        )
        for name in ("shift", "rotate", "scale", "cutout", "colour", "teacher_weight"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"{name} must be from 0 to 1", value)
        for name in ("label_smoothing", "averaging"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"{name} must be in [0, 1)", value)
        _require(self.weight_decay >= 0, "weight_decay must be 0 or more", self.weight_decay)
        _require(
            not self.decoupled or self.weight_decay * self.batch_size < 64,
            "weight_decay must be below 64 / batch_size where it is decoupled",
            self.weight_decay,
        )
        self._require_folds()
        temperature = self.teacher_temperature
        _require(temperature > 0, "teacher_temperature must be above 0", temperature)
        self._require_teacher()

    def _require_teacher(self) -> None:
        teacher, weight = self.teacher, self.teacher_weight
        _require(teacher == "" or is_sha256(teacher), "teacher must be a SHA-256", teacher)
        needed = "teacher_weight and teacher_temperature need a teacher (--teacher)"
        _require(bool(teacher) or (weight, self.teacher_temperature) == (0, 1), needed, weight)
        # It would have learned from the images that all folds but the first hold out.
        _require(not (teacher and self.folds), "a teacher does not go with folds", self.folds)

    def _require_folds(self) -> None:
        folds = self.folds
        _require(folds == 0 or folds >= 2, "folds must be 0, or 2 or more", folds)
        _require(
            not (folds and self.train_on_all),
            "folds do not go with train_on_all, where no image is held out: set one of them",
            f"folds = {folds}",
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Build a configuration from untrusted JSON.

        A whole number may be a float (hyperopt's ``quniform`` gives 12.0). Raises ``ConfigError``
        for a missing key, an unknown key, and a value of the wrong type or out of range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        types = typing.get_type_hints(cls)
        unknown = sorted(set(values) - set(fields))
        _require(not unknown, "unknown keys in a training configuration", ", ".join(unknown))
        missing = [
            name
            for name, field in fields.items()
            if field.default is dataclasses.MISSING and name not in values
        ]
        _require(not missing, "keys missing in a training configuration", ", ".join(missing))
        return cls(**{name: _as(types[name], name, v) for name, v in values.items()})

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as plain JSON, which ``from_json`` reads back.

        What was not in the first version is written only if it is not the default. So a worker of
        an earlier version still trains a configuration that it can follow, and refuses any other,
        because it does not know the key.
        """
        values = dataclasses.asdict(self)
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {
            name: value
            for name, value in values.items()
            if name in _FIRST or value != defaults[name]
        }


_FIRST = (
    *("dataset", "learning_rate", "epochs", "momentum", "batch_size", "schedule"),
    *("seed", "validation_fraction", "split_seed", "train_on_all"),
)
"""The fields of the first version."""

IMPROVEMENTS = frozenset(
    field.name for field in dataclasses.fields(TrainConfig) if field.name not in _FIRST
) - {"augment", "network", "folds"}
"""The fields by which LeNet-5 gets better than learning rate, epochs and momentum can make it."""


def complete(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole configuration, as JSON, of what is given of one. Raises ``ConfigError``."""
    return TrainConfig.from_json(values).to_json()


def _as(kind: Any, name: str, value: Any) -> Any:
    """Return a value as its field's type; raise ``ConfigError`` if that would need a guess."""
    finite = number(value) is not None
    if kind is float and finite:
        return float(value)
    if kind is int and finite and value == int(value):
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a string"}
    raise ConfigError(f"{name} must be {words[kind]}, not {value!r:.60}")


def _require(holds: bool, rule: str, value: Any) -> None:
    if not holds:
        raise ConfigError(f"{rule}: {value!s:.60}")
