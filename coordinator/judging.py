"""A model on the test split: the one time that this happens in a study."""

from dataclasses import replace

import torch

from model import checkpoint
from model.calibration import Calibration, calibration_error
from model.card import Card
from model.dataset import Dataset
from model.metrics import Evaluation, evaluate
from model.normalise import to_tensor

_CPU = torch.device("cpu")


def judge(packed: bytes, card: Card, dataset: Dataset) -> Evaluation:
    """Evaluate a model's weights; raises ``CheckpointError`` where they cannot be used."""
    model = checkpoint.unpack_weights(packed, card, _CPU)
    images = to_tensor(dataset.test_images, _CPU)
    labels = torch.from_numpy(dataset.test_labels)
    return evaluate(model, images, labels, checkpoint.normaliser(card, _CPU))


def with_errors(calibration: Calibration, found: Evaluation, dataset: Dataset) -> Calibration:
    """Return a calibration with what it does for the calibration error on the test split."""
    labels = dataset.test_labels
    return replace(
        calibration,
        error_before=calibration_error(found.probabilities, labels),
        error_after=calibration_error(calibration.probabilities(found.logits), labels),
    )
