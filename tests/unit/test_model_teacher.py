"""The network that teaches, and its answers."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from support.stripes import config, stripes

from hyperhive.model.config import TEACHER
from hyperhive.model.networks import build
from hyperhive.model.teacher import answers_of, pack_answers, unpack_answers
from hyperhive.model.training import TrainingData


def test_the_network_has_the_size_that_is_stated_and_takes_any_image() -> None:
    network = build(TEACHER, 3, 10, 28)
    assert sum(each.numel() for each in network.parameters()) == 427_178
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


def test_each_training_image_has_the_mean_answer_to_it_and_its_mirror_image() -> None:
    """Those that are held out have one too, and all are in the order of the data set."""
    turned = stripes()
    turned.train_images[:, :, :14] //= 2  # else an image would be much like its mirror image
    data = TrainingData(turned, torch.device("cpu"))
    network = build(TEACHER, 1, 2, 28)
    once = answers_of(network, config(), data)
    both = answers_of(network, dataclasses.replace(config(), views="mirrored"), data)
    turned.train_images[:] = turned.train_images[:, :, ::-1].copy()
    other = answers_of(network, config(), TrainingData(turned, torch.device("cpu")))
    assert once.shape == (32, 2)
    assert not np.allclose(once, other, atol=1e-3)
    np.testing.assert_allclose(both, (once + other) / 2, atol=1e-5)
    np.testing.assert_array_equal(unpack_answers(pack_answers(both)), both)
