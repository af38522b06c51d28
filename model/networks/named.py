"""Networks by name: LeNet-5, torchvision's small ones, and those of installed packages."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Mapping

from hyperhive.common.errors import ConfigError, DeviceError
from hyperhive.common.extras import entry_points
from hyperhive.model.config import LENET5, OF_LENET5, TEACHER
from hyperhive.model.model_files import LARGEST

if TYPE_CHECKING:  # a coordinator looks names up without PyTorch
    from torch import nn

GROUP = "hyperhive.networks"
"""The entry points of an installed package's networks."""

TORCHVISION = "torchvision:"
SMALL = (
    *("densenet121", "densenet169"),
    *("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3"),
    *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
    *("regnet_x_400mf", "regnet_x_800mf", "regnet_y_400mf", "regnet_y_800mf"),
    "resnet18",
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
)
"""torchvision's networks of classification whose weights fit into a model (``LARGEST``), and that
every version from 0.11 on makes with random weights. Transformers are larger. SqueezeNets are left
out: of their pooling, OpenCV 4.1 computes something else without an error."""


def names() -> list[str]:
    """Return the names of all networks that can be made here."""
    has_torchvision = importlib.util.find_spec("torchvision") is not None
    small = [TORCHVISION + name for name in SMALL] if has_torchvision else []
    return [LENET5, TEACHER, *small, *sorted(_registered())]


def why_missing(name: str) -> str | None:
    """Return why no network of this name can be made here, as a sentence; None if one can."""
    if name in (LENET5, TEACHER) or name in names():
        return None
    if not name.startswith(TORCHVISION):
        others = ", ".join([LENET5, f"{TORCHVISION}NAME", TEACHER, *sorted(_registered())])
        return (
            f"network {name!r:.60} is not known here: choose one of {others}, or install the "
            f"package that registers it (entry point {GROUP})"
        )
    if name[len(TORCHVISION) :] in SMALL:
        return f"network {name} needs torchvision: pip install 'hyperhive[torch]'"
    return f"network {name!r:.60} is none of torchvision's that can be used: {', '.join(SMALL)}"


def build(name: str, channels: int, classes: int, image_size: int, **of_lenet5: str) -> nn.Module:
    """Return a network with random weights, drawn by PyTorch's generator, in training mode.

    Args:
        name: ``lenet5``, ``teacher``, ``torchvision:NAME`` with a name of ``SMALL``, or that of an
            entry point of group ``hyperhive.networks``: a factory that is called with ``channels``,
            ``classes`` and ``image_size``.
        channels: 1 for grey images, 3 for colour. The first layer of torchvision's networks takes
            three. For grey its weights are added up over them, which is the same as three equal
            channels.
        classes: number of classes, at least 2.
        image_size: the side of an image in pixels.
        of_lenet5: see ``of_lenet5``.

    The network maps normalised float32 ``[N, C, S, S]`` to logits ``[N, classes]``. Raises
    ``ConfigError`` for an unknown name, for one that cannot compute such images, and for weights
    that are larger than ``LARGEST`` or all frozen; ``DeviceError`` if its package cannot be
    imported.
    """
    why = why_missing(name)
    if why is not None:
        raise ConfigError(why)
    if name == LENET5:
        from hyperhive.model.networks.lenet import LeNet5

        return LeNet5(channels, classes, image_size=image_size, **of_lenet5)
    if name == TEACHER:
        from hyperhive.model.networks.teacher import TeacherNetwork

        return TeacherNetwork(channels, classes)
    return _checked(_factory(name), name, channels, classes, image_size)


def _checked(factory: Any, name: str, channels: int, classes: int, image_size: int) -> nn.Module:
    """Return the network that a factory makes, once it has answered for a blank image."""
    import torch

    try:
        model: nn.Module = factory(channels=channels, classes=classes, image_size=image_size)
        weights = sum(each.numel() * each.element_size() for each in model.state_dict().values())
        with torch.no_grad():
            answer = model.eval()(torch.zeros(1, channels, image_size, image_size)).shape
    except Exception as error:  # of a stranger's code; the frames are in its cause
        raise ConfigError(
            f"network {name} cannot compute images of {image_size}x{image_size} with {channels} "
            f"channel{'s' if channels > 1 else ''}, so choose another image_size or network: "
            f"{_last_line(error)}"
        ) from error
    if tuple(answer) != (1, classes):
        raise ConfigError(f"network {name} gives {list(answer)[1:]} logits, and not {classes}")
    if not any(each.requires_grad for each in model.parameters()):
        raise ConfigError(f"network {name} has no weights that can be trained: all are frozen")
    if weights > LARGEST:
        raise ConfigError(
            f"network {name} has weights of {weights >> 20} MB, and a model may have "
            f"{LARGEST >> 20}: choose a smaller one"
        )
    return model.train()


def of_lenet5(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what a configuration, as JSON, says of the parts that only LeNet-5 has.

    Raises ``ConfigError`` for what they cannot be.
    """
    own = {name: config[name] for name in OF_LENET5 if name in config}
    for name, value in own.items():
        if value not in OF_LENET5[name]:
            raise ConfigError(f"{name} must be one of {', '.join(OF_LENET5[name])}: {value!r:.60}")
    return own


def _factory(name: str) -> Any:
    """Return what makes a network that is not missing here."""
    try:
        if name.startswith(TORCHVISION):
            from hyperhive.model.networks.torchvision_networks import factory

            return factory(name[len(TORCHVISION) :])
        return _registered()[name].load()
    except Exception as error:  # of a stranger's code, or of torchvision for another PyTorch
        raise DeviceError(f"network {name} cannot be used here: {_last_line(error)}") from error


def _registered() -> dict[str, Any]:
    """Return the entry points of installed packages; none can take a name that is ours."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    return {
        n: p
        for n, p in points.items()
        if n not in (LENET5, TEACHER) and not n.startswith(TORCHVISION)
    }


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1]:.120}" if lines else type(error).__name__
