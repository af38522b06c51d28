"""What a worker says of itself."""

from dataclasses import dataclass
from typing import Dict, Optional


@dataclass(frozen=True)
class Identity:
    """A worker process: its id, the one study it works for (or any), its device, its versions."""

    worker: str
    study: Optional[str]
    device: str
    versions: Dict[str, str]
