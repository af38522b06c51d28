"""Evidence: statistics of the pixels tell pictures of no class from members; no network score does.

predict-cam answers unknown to all faces, digits, noise and walls and to 95 % of photographs with a
model of Simpsons-MNIST in colour, and keeps 97 % of the correct labels. In grey it refuses 87 % of
faces and 92 % of photographs. Confidence refuses 1 % of faces and no digit. The calibration error
of the colour model on the test split falls from 13.9 to 3.8 %.
docs/camera.md has every table.

    python benchmarks/unknown.py [--data simpsons-mnist.zip] [--faces cmu-faces-quarter.zip]
                                 [--sets simpsons simpsons-gray digits] [--seed 0]

LeNet-5 is trained with the best configuration of a search, and calibrated as in a study:
temperature and thresholds come from the validation images of a trial, and the model that is trained
on all training images (the refit) uses them. Every figure is of the refit, on the test split and on
kinds of pictures that no threshold was chosen by: faces, digits, noise, walls, photographs. The
photographs come with scikit-image: without it the benchmark leaves them out, and says so.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import DATA, loaded, simpsons_option
from benchmarks._membership_scores import Net, auroc, scores, trained
from benchmarks._models import card_of
from benchmarks._strangers import MILD, Random, distorted, in_colour, strangers
from hyperhive.common.wording import percent
from hyperhive.coordinator.evaluation import calibrate
from hyperhive.model.calibration import Calibration, calibration_error
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.device import CPU
from hyperhive.model.temperature_scaling import best_temperature
from hyperhive.model.training import TrainingData

EACH = 300
"""Pictures of each kind."""
NAMES = ("simpsons", "simpsons-gray", "digits")
CONFIG = TrainConfig("", 0.099, 19, 0.17)
"""The best configuration that a study of Simpsons-MNIST found."""


def calibrated(net: Net) -> Calibration:
    """Return the calibration that a study would give this trial."""
    packed, dataset = pack_weights(net.model), net.data.dataset
    return calibrate(packed, card_of(packed, dataset, CONFIG), dataset)


def report_errors(name: str, trial: Net, refit: Net, seed: int) -> None:
    """Print the calibration error with temperatures from different validation images."""
    config = dataclasses.replace(CONFIG, seed=seed, validation_fraction=0.05)
    spared = trained(trial.data, config)
    dataset = trial.data.dataset
    print(f"\n{name}: calibration error on the test split")
    print("| model | test accuracy | temperature | before | after |\n|---|---|---|---|---|")
    rows = {
        "the trial, from its validation images": (trial, trial, 0.2),
        "**the refit, from the trial's validation images**": (refit, trial, 0.2),
        "5 % held out of the refit": (spared, spared, 0.05),
    }
    for row, (net, source, fraction) in rows.items():
        _, held_out = dataset.validation_split(fraction, 0)
        logits = source.answer(dataset.train_images[held_out])[0]
        temperature = best_temperature(logits, dataset.train_labels[held_out])
        logits, labels = net.answer(dataset.test_images)[0], dataset.test_labels
        errors = [
            calibration_error(Calibration(t).probabilities(logits), labels)
            for t in (1.0, temperature)
        ]
        accuracy = (logits.argmax(axis=1) == labels).mean()
        shown = [percent(accuracy), f"{temperature:.2f}", *map(percent, errors)]
        print(f"| {row} | {' | '.join(shown)} |", flush=True)


def report_scores(
    name: str, trial: Net, refit: Net, calibration: Calibration, kinds: dict[str, np.ndarray]
) -> None:
    """Print how each score separates each kind, at the threshold from the validation images."""
    dataset = refit.data.dataset
    _, held_out = dataset.validation_split(0.2, 0)
    is_correct = refit.answer(dataset.test_images)[0].argmax(axis=1) == dataset.test_labels
    print(f"\n{name}: AUROC / accepted at 95 % of test members / **answered unknown**, %")
    print(f"| score | correct ones kept | {' | '.join(kinds)} |")
    print(f"|---|---|{'---|' * len(kinds)}")
    of_trial = scores(trial, calibration)
    for score, of_refit in scores(refit, calibration).items():
        threshold = np.quantile(of_trial[score](dataset.train_images[held_out]), 0.05)
        members = of_refit(dataset.test_images)
        cells = [f"{100 * (members[is_correct] >= threshold).mean():.1f}"]
        for pictures in kinds.values():
            others = of_refit(pictures)
            accepted = (others >= np.quantile(members, 0.05)).mean()
            cells.append(
                f"{auroc(members, others):.2f} / {100 * accepted:.0f} / "
                f"**{100 * (others < threshold).mean():.0f}**"
            )
        print(f"| {score} | {' | '.join(cells)} |", flush=True)


def answers(net: Net, calibration: Calibration, pictures: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the likeliest classes ``[N]``, and whether predict-cam would answer with each."""
    logits = net.answer(pictures)[0]
    rows = zip(calibration.probabilities(logits), calibration.membership(pictures))
    return logits.argmax(axis=1), np.array([calibration.knows(*row) for row in rows])


def report_decision(
    name: str, refit: Net, calibration: Calibration, kinds: dict[str, np.ndarray]
) -> None:
    """Print predict-cam's answers for strangers, for members, and for members seen by a camera."""
    dataset = refit.data.dataset
    print(f"\n{name}: what predict-cam answers")
    print(
        f"thresholds: confidence {calibration.min_confidence:.3f}, margin "
        f"{calibration.min_margin:.3f}, membership {calibration.min_membership:.3f}"
    )
    print("| of no class | answered unknown |\n|---|---|")
    for kind, pictures in kinds.items():
        known = answers(refit, calibration, pictures)[1]
        print(f"| {kind} | {percent(1 - known.mean())} |")
    predicted, known = answers(refit, calibration, dataset.test_images)
    is_correct = predicted == dataset.test_labels
    kept = [percent(known[which].mean()) for which in (slice(None), is_correct, ~is_correct)]
    print(
        "members that keep their label: {} of all, {} of the correct ones, {} of the wrong "
        "ones".format(*kept)
    )
    print("| members, 480x480 | correct, without unknown | of these not answered unknown |")
    print("|---|---|---|")
    random = Random(2)
    chosen = random.permutation(len(dataset.test_labels))[: 2 * EACH]
    images = in_colour(dataset.test_images[chosen])
    for kind in MILD:
        pictures = distorted(images, kind, random, dataset.channels)
        predicted, known = answers(refit, calibration, pictures)
        is_correct = predicted == dataset.test_labels[chosen]
        print(
            f"| {kind} | {percent(is_correct.mean())} | {percent(known[is_correct].mean())} |",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("what tells pictures of no class from members")
    parser.add_argument("--faces", type=Path, default=DATA / "cmu-faces-quarter.zip")
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    faces = options.faces if options.faces.is_file() else None
    if faces is None:
        print(f"skipping the faces: there is no {options.faces}; name CMU's archive with --faces")
    torch.set_num_threads(1)
    gray = loaded("simpsons-gray", options.data)
    for name in options.sets:
        dataset = loaded(name, None if name == "digits" else options.data)
        data = TrainingData(dataset, CPU)
        config = dataclasses.replace(CONFIG, seed=options.seed)
        trial = trained(data, config)
        refit = trained(data, dataclasses.replace(config, train_on_all=True))
        calibration = calibrated(trial)
        kinds = strangers(dataset, faces, gray, EACH)
        report_errors(name, trial, refit, options.seed)
        report_scores(name, trial, refit, calibration, kinds)
        report_decision(name, refit, calibration, kinds)


if __name__ == "__main__":
    main()
