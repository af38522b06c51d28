"""Search the hyperparameters of a program, which may be written in any language.

Run `python search.py`.
"""

from __future__ import annotations

from pathlib import Path

import hyperhive
from hyperhive import hp

PROGRAM = Path(__file__).with_name("train.sh")
descent = hyperhive.command(f"sh '{PROGRAM}' --lr {{lr}} --steps {{steps}}")

space = {"lr": hp.loguniform("lr", -5, 0), "steps": hp.quniform("steps", 5, 50, 5)}

if __name__ == "__main__":
    study = hyperhive.search(descent, space, trials=25, target=1e-6)
    print(study.best.config, study.best.loss)
