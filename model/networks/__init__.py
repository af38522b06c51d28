"""The networks that can be trained, by name. Importing this needs no PyTorch."""

from __future__ import annotations

from hyperhive.model.networks.named import build, names, of_lenet5, why_missing

__all__ = ["build", "names", "of_lenet5", "why_missing"]
