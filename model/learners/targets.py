"""What a network is trained to answer: labels, or a distribution over the classes."""

from __future__ import annotations

import torch
from torch.nn import functional

from hyperhive.common.errors import ConfigError
from hyperhive.model.config import TrainConfig


def targets_of(
    config: TrainConfig, labels: torch.Tensor, classes: int, answers: torch.Tensor | None
) -> torch.Tensor:
    """Return the targets of images: their labels if nothing is mixed, else float32 [N, classes].

    Label smoothing gives each class an equal part of ``label_smoothing``, and the label the rest
    (Szegedy et al., arXiv:1512.00567, section 7). Of that, ``teacher_weight`` is replaced by the
    softmax of the teacher's logits / ``teacher_temperature`` (Hinton et al., arXiv:1503.02531,
    section 2). The student's own logits are never divided by a temperature: so both parts are one
    distribution, with one cross-entropy.

    Args:
        config: of the training.
        labels: int64 ``[N]``.
        classes: the number of classes.
        answers: a teacher's logits, float32 ``[N, classes]``.

    Raises ``ConfigError`` if the configuration weighs a teacher's answers and there are none.
    """
    weight, smoothing = config.teacher_weight, config.label_smoothing
    if weight and answers is None:
        raise ConfigError("teacher_weight is above 0, but there are no teacher's answers")
    if not weight and not smoothing:
        return labels
    targets = functional.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes
    if weight and answers is not None:
        taught = functional.softmax(answers / config.teacher_temperature, dim=1)
        targets = (1 - weight) * targets + weight * taught
    return targets
