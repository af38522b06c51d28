"""Training never uses float64, which Apple's GPUs lack. No test here runs on such a GPU.

MPS has no float64 (pytorch/pytorch #122602), so one float64 tensor would end a training there.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.stripes import config, stripes

from hyperhive.model import training
from hyperhive.model.learners.autograd import AutogradLearner
from hyperhive.model.normalise import to_tensor
from hyperhive.model.training import TrainingData, train

CPU = torch.device("cpu")
modes = pytest.importorskip(
    "torch.utils._python_dispatch", reason="this torch cannot intercept operations"
)
if not hasattr(modes, "TorchDispatchMode"):
    pytest.skip("torch 1.11 cannot intercept operations", allow_module_level=True)


def tensors(values: Any) -> list[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        return tensors(list(values.values()))
    return (
        [t for each in values for t in tensors(each)] if isinstance(values, (list, tuple)) else []
    )


class OnlyWhatMpsHas(modes.TorchDispatchMode):  # type: ignore[misc,name-defined]
    """Fails at the first operation that has a float64 tensor as input or output."""

    operations = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run the operation, and check its inputs and outputs."""
        given = operation(*args, **(kwargs or {}))
        self.operations += 1
        for tensor in tensors([args, kwargs or {}, given]):
            assert tensor.dtype is not torch.float64, operation
        return given


EVERY_KIND = dict.fromkeys(("shift", "rotate", "scale", "cutout", "colour"), 0.5)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "camera": {"augment": "camera", "mirror": True, "shift": 0.5},
    "kinds": {**EVERY_KIND, "averaging": 0.5, "label_smoothing": 0.1, "views": "mirrored"},
    "1998": {"activation": "tanh", "pooling": "average", "decoupled": True, "weight_decay": 0.1},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_training_computes_nothing_in_float64(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No operation uses float64, from augmentation to the last epoch's validation."""
    monkeypatch.setattr(training, "new_learner", AutogradLearner)  # as on a GPU
    data = TrainingData(stripes(), CPU)
    with OnlyWhatMpsHas() as seen:
        trained = train(config(epochs=1, **options), data)
    assert seen.operations > 100
    assert {value.dtype for value in trained.model.state_dict().values()} == {torch.float32}


def test_float64_would_be_seen() -> None:
    """The check detects float64 even in a temporary tensor."""
    with pytest.raises(AssertionError), OnlyWhatMpsHas():
        to_tensor(stripes().test_images, CPU).double().float()
