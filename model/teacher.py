"""A teacher's answers: its logits for every training image, as safetensors bytes, and back.

A study trains one larger network before its search. LeNet-5 then learns from what that network
answers, beside the labels (``model/learners/targets.py``; Hinton, Vinyals and Dean, Distilling the
Knowledge in a Neural Network, arXiv:1503.02531). The answers are computed once, so a trial takes no
longer than one without a teacher, and the network itself is not kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import safetensors
import safetensors.numpy
import torch

from hyperhive.common.errors import ConfigError
from hyperhive.model.config import TrainConfig
from hyperhive.model.metrics import logits_of, of_views
from hyperhive.model.training import TrainingData

_LOGITS = "logits"


def answers_of(model: torch.nn.Module, config: TrainConfig, data: TrainingData) -> np.ndarray:
    """Return a network's logits for all training images by index, float32 ``[N, classes]``.

    They are the means of the views that its configuration has. Images that were held out are among
    them: a refit trains on these too.
    """
    images = data.split(replace(config, train_on_all=True)).images
    views = config.views
    logits = of_views(lambda seen: logits_of(model, seen, data.normalise), images, views)
    answers: np.ndarray = logits.cpu().numpy()
    return answers


def pack_answers(answers: np.ndarray) -> bytes:
    """Return answers as the bytes of a safetensors file, which cannot carry code."""
    packed: bytes = safetensors.numpy.save({_LOGITS: np.ascontiguousarray(answers)})
    return packed


def unpack_answers(packed: bytes) -> np.ndarray:
    """Return the answers in bytes of ``pack_answers``; raises ``ConfigError`` for any others.

    Their shape is not known here: ``TrainingData.with_answers`` requires it.
    """
    try:
        arrays = safetensors.numpy.load(packed)
    except (safetensors.SafetensorError, KeyError) as error:
        raise ConfigError(f"the teacher's answers are not a safetensors file: {error}") from error
    answers: np.ndarray | None = arrays.get(_LOGITS)
    if answers is None or answers.dtype != np.float32:
        raise ConfigError("the teacher's answers must be float32 logits")
    return answers
