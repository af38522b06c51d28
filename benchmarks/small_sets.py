"""Evidence: a model of twenty drawings a class knows its own classes, and few others.

Of the frames whose likeliest class is right, 9 of 10 or more keep their label; of strangers, 7 of
10 or more are unknown. docs/camera.md has the tables.

    python benchmarks/small_sets.py [--each 20 40 67 150] [--seeds 5] [--space classic]

For each size and seed a data set of balls, boxes and stars is drawn. As in a study whose trials are
still start-up, eight random configurations are trained, the best is refitted, and it is calibrated.
predict-cam's own predictor labels 640x480 frames of new cards that fill the guide, of strangers
(crosses, rings, stripes, noise), and of cards that are held too far away. The calibration error is
that of 600 new pictures, which no threshold was chosen by. The seed is that of drawings, of splits,
of weights and of configurations.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._models import make
from benchmarks._shapes import FAR, MEMBERS, STRANGERS, Random, data_set, frames, picture
from hyperhive.coordinator.algorithms.known import Known
from hyperhive.coordinator.spaces.named import NAMED
from hyperhive.coordinator.suggest import Suggester
from hyperhive.inference.models.file import from_file
from hyperhive.inference.predictor import Predictor
from hyperhive.model.calibration import PLAIN, Calibration, calibration_error
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.device import CPU
from hyperhive.model.training import TrainingData, train

COLUMNS = (
    "likeliest class right",
    "of these keep their label",
    "strangers unknown",
    "too far away: unknown",
    "of these told to fill the square",
    "unknown strangers told so",
    "calibration error, temperature 1",
    "with the card's temperature",
)
_SHOWN = 40
"""Frames of each class; 30 of each stranger, 20 of each class too far away."""
_FRESH = 200


def best_config(dataset: Dataset, space: str, trials: int, seed: int) -> TrainConfig:
    """Return the random configuration with the lowest validation loss, to be refitted."""
    data = TrainingData(dataset, CPU)
    searched = NAMED[space]["space"]
    suggester, nothing = Suggester("random", searched, seed, startup=trials), Known(searched)
    given = {"dataset": "", "augment": NAMED[space]["augment"], "seed": seed, "split_seed": seed}
    best, lowest = None, np.inf
    for tid in range(1, trials + 1):
        values = suggester.suggest(tid, nothing)
        config = TrainConfig.from_json({**values, **given})
        trained = train(config, data)
        loss = trained.epochs[-1].validation_loss
        if not trained.diverged and loss is not None and loss < lowest:
            best, lowest = config, loss
    assert best is not None
    return dataclasses.replace(best, train_on_all=True)


def told(predictor: Predictor, shown: list[np.ndarray]) -> tuple[float, float]:
    """Return the share of frames that are unknown, and of these the share known when enlarged."""
    unknown = [frame for frame, answer in zip(shown, predictor.predict(shown)) if not answer.known]
    closer = [predictor.closer(frame) is not None for frame in unknown]
    return len(unknown) / len(shown), float(np.mean(closer)) if closer else np.nan


def errors(predictor: Predictor, seed: int) -> tuple[float, float]:
    """Return the calibration error of new pictures at temperature 1 and at the card's."""
    random = Random(10_000 + seed)
    labels = np.repeat(np.arange(len(MEMBERS)), _FRESH)
    answers = predictor.assess([picture(MEMBERS[label], random) for label in labels])
    calibration = predictor.card.calibration
    assert calibration is not None
    # Softmax forgets only a constant per picture: these are logits, up to that.
    logits = np.log(np.maximum(answers.probabilities, 1e-37)) * calibration.temperature
    both = (PLAIN, Calibration(calibration.temperature))
    plain, calibrated = (calibration_error(each.probabilities(logits), labels) for each in both)
    return plain, calibrated


def measured(each: int, space: str, trials: int, seed: int) -> list[float]:
    """Return the figures of one study, in the order of ``COLUMNS``."""
    dataset = data_set(each, seed)
    config = best_config(dataset, space, trials, seed)
    with tempfile.TemporaryDirectory() as folder:
        predictor = from_file(make(dataset, config, Path(folder))).predictor
    random = Random(20_000 + seed)
    names = [name for name in MEMBERS for _ in range(_SHOWN)]
    answers = predictor.predict(frames(names, random))
    kept = [answer.known for answer, name in zip(answers, names) if answer.top[0][0] == name]
    strangers = told(predictor, frames([name for name in STRANGERS for _ in range(30)], random))
    far = told(predictor, frames([name for name in MEMBERS for _ in range(20)], random, FAR))
    return [
        len(kept) / len(names),
        float(np.mean(kept)) if kept else np.nan,
        strangers[0],
        *far,
        strangers[1],
        *errors(predictor, seed),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="what models of small sets know of their classes")
    parser.add_argument("--each", type=int, nargs="+", default=[20, 40, 67, 150])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--space", choices=sorted(NAMED), default="classic")
    parser.add_argument("--trials", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{options.space}, {options.seeds} seeds: mean / lowest / highest, %\n")
    print(f"| pictures a class | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for each in options.each:
        seeds = range(1, options.seeds + 1)
        found = [measured(each, options.space, options.trials, seed) for seed in seeds]
        rows = 100 * np.array(found)
        ranges = zip(np.nanmean(rows, axis=0), np.nanmin(rows, axis=0), np.nanmax(rows, axis=0))
        cells = [" / ".join(f"{value:.0f}" for value in each) for each in ranges]
        print(f"| {each} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
