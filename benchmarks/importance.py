"""How far the importance of hyperparameters can be trusted by the number of trials, and its time.

    python benchmarks/importance.py

Random trials of a function of eight hyperparameters. "rate" decides most, then "x"; "wide", "units"
and "noise" decide nothing. A pair is one that decides and one that does not, and is right if the
first has the larger share; half of the pairs are right by chance. 60 studies of each size:

    trials    pairs that are right    "rate" is the first
        30                  81.1 %                 38.3 %
        50                  90.8 %                 56.7 %
       110                  97.8 %                 90.0 %
       220                  99.7 %                  100 %
    10,000 trials: 15 ms
"""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path

import numpy as np

from hyperhive.common.wording import percent
from hyperhive.coordinator.figures.importance import importance

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.importance_cases import study

PAIRS = list(product(("rate", "x"), ("wide", "units", "noise")))
STUDIES = 60


def measured(trials: int) -> tuple[float, float]:
    """Return the share of pairs that are right, and of studies in which ``rate`` is the first."""
    right, first = [], []
    for number in range(STUDIES):
        shares = importance(study(2 * number + 1001, trials * 11 // 10))["shares"]
        found = {each["name"]: each["share"] for each in shares}
        right.extend(found[one] > found[other] for one, other in PAIRS)
        first.append(shares[0]["name"] == "rate")
    return float(np.mean(right)), float(np.mean(first))


def main() -> None:
    """Print the table."""
    print('trials    pairs that are right    "rate" is the first')
    for trials in (30, 50, 110, 220):
        right, first = measured(trials)
        print(f"{trials:6}{percent(right):>24}{percent(first):>23}")
    large = study(7, 11_000)
    started = time.perf_counter()
    importance(large)
    print(f"10,000 trials: {1000 * (time.perf_counter() - started):.0f} ms")


if __name__ == "__main__":
    main()
