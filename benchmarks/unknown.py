"""What tells pictures of no class from members, and what that costs: the tables of docs/camera.md.

    python benchmarks/unknown.py [--data simpsons-mnist.zip] [--faces cmu-faces-quarter.zip]
                                 [--sets simpsons simpsons-gray digits] [--seed 0]

A LeNet-5 is trained as a search ends with it, and calibrated as a study does it: temperature and
thresholds come from its validation images, which have 95 % of the members pass, and are used by
the refit on all training images. All figures are of that refit on the test split, and on kinds of
pictures that nothing was chosen by: faces, digits, noise, walls, photographs.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks._common import SHARED, simpsons_option
from benchmarks._models import card_of
from benchmarks._strangers import (
    MILD,
    Random,
    distorted,
    faces,
    fitted,
    framed,
    in_colour,
    noise,
    photographs,
    scrambled,
    walls,
)
from hyperhive.coordinator.evaluation import calibrate
from hyperhive.model.calibration import Calibration, best_temperature, calibration_error
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import Request, digits, load
from hyperhive.model.lenet import LeNet5
from hyperhive.model.membership import statistics
from hyperhive.model.normalise import to_tensor
from hyperhive.model.training import TrainingData, train

CPU = torch.device("cpu")
EACH = 300
NAMES = ("simpsons", "simpsons-gray", "digits")
Score = Callable[[np.ndarray], np.ndarray]
"""Returns float ``[N]`` of pictures uint8 ``[N, 28, 28, C]``: the higher, the more a member."""


class Net(NamedTuple):
    """A trained model, and the images it was trained on."""

    model: LeNet5
    data: TrainingData
    seen: np.ndarray
    labels: np.ndarray

    def answer(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits ``[N, classes]`` and features ``[N, 84]``."""
        with torch.no_grad():
            parts = [
                self.model.answer(self.data.normalise(part))
                for part in to_tensor(pictures, CPU).split(1000)
            ]
        logits, features = (torch.cat(some).double().numpy() for some in zip(*parts))
        return logits, features


def trained(data: TrainingData, seed: int, **changed: object) -> Net:
    """Train with what a search of Simpsons-MNIST ends with."""
    config = TrainConfig("", 0.099, 19, 0.17, seed=seed, **changed)  # type: ignore[arg-type]
    kept = np.arange(len(data.dataset.train_labels))
    if not config.train_on_all:
        kept, _ = data.dataset.validation_split(config.validation_fraction, config.split_seed)
    model = train(config, data).model.eval()
    return Net(model, data, data.dataset.train_images[kept], data.dataset.train_labels[kept])


def calibrated(net: Net) -> Calibration:
    """Return the calibration that a study would give this trial."""
    packed, dataset = pack_weights(net.model), net.data.dataset
    return calibrate(packed, card_of(packed, dataset, TrainConfig("", 0.099, 19, 0.17)), dataset)


def strangers(dataset: Dataset, archive: Path, simpsons: Dataset) -> dict[str, np.ndarray]:
    """Return kinds of pictures of no class, as the model sees them out of a camera's frame too."""
    random = Random(1)
    kinds = {"faces": faces(archive)}
    if dataset.name == "digits":
        kinds["Simpsons"] = in_colour(simpsons.test_images[: 2 * EACH])
    else:
        kinds["digits"] = in_colour(digits().test_images)
    for kind in ("uniform", "Gaussian", "smooth"):
        kinds[kind + " noise"] = noise(kind, EACH, random)
    found = {}
    for kind, pictures in kinds.items():
        found[kind] = fitted(pictures, dataset.channels)
        frames = [framed(picture, random) for picture in pictures[:EACH]]
        found[kind + ", frame"] = fitted(frames, dataset.channels)
    found["walls, frame"] = fitted(walls(EACH, random), dataset.channels)
    found["photographs"] = fitted(photographs(EACH, random), dataset.channels)
    return found


def scores(net: Net, calibration: Calibration) -> dict[str, Score]:
    """Return ways to tell members, each fitted to what the model was trained on."""
    features = net.answer(net.seen)[1]
    members = calibration.members
    assert members is not None

    def confidence(pictures: np.ndarray) -> np.ndarray:
        return calibration.probabilities(net.answer(pictures)[0]).max(axis=1)

    def margin(pictures: np.ndarray) -> np.ndarray:
        ordered = np.sort(calibration.probabilities(net.answer(pictures)[0]), axis=1)
        return ordered[:, -1] - ordered[:, -2]

    near = _near_class(features, net.labels)
    neighbours = _neighbours(features)
    return {
        "confidence": confidence,
        "margin": margin,
        "largest logit": lambda pictures: net.answer(pictures)[0].max(axis=1),
        "energy, arXiv:2010.03759": lambda pictures: _energy(net.answer(pictures)[0]),
        "Mahalanobis on features, arXiv:1807.03888": lambda pictures: near(net.answer(pictures)[1]),
        "10th neighbour in features, arXiv:2204.06507": lambda pictures: neighbours(
            net.answer(pictures)[1]
        ),
        "exposure to scrambled members, arXiv:1812.04606": _exposed(net.seen),
        "statistics of the pixels (ours)": lambda pictures: -members.distance(pictures),
    }


def _energy(logits: np.ndarray) -> np.ndarray:
    top = logits.max(axis=1)
    return top + np.log(np.exp(logits - top[:, None]).sum(axis=1))


def _near_class(features: np.ndarray, labels: np.ndarray) -> Score:
    means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
    spread = np.cov((features - means[labels]).T)
    precision = np.linalg.inv(spread + 1e-2 * np.trace(spread) / len(spread) * np.eye(len(spread)))

    def score(some: np.ndarray) -> np.ndarray:
        away = some[:, None] - means
        return -np.einsum("nki,ij,nkj->nk", away, precision, away).min(axis=1)

    return score


def _neighbours(features: np.ndarray) -> Score:
    def unit(some: np.ndarray) -> np.ndarray:
        return some / (np.linalg.norm(some, axis=1, keepdims=True) + 1e-9)

    known = unit(features)

    def score(some: np.ndarray) -> np.ndarray:
        parts = np.array_split(unit(some), -(-len(some) // 500))
        return np.concatenate([np.sort(part @ known.T, axis=1)[:, -10] for part in parts])

    return score


def _exposed(seen: np.ndarray) -> Score:
    """Return a small network's score that was shown members and scrambled ones."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    others = scrambled(seen, Random(0))
    judge = make_pipeline(StandardScaler(), MLPClassifier((32,), max_iter=30, random_state=0))
    is_member = np.repeat([1, 0], [len(seen), len(others)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 30 rounds are what it gets
        judge.fit(statistics(np.concatenate([seen, others])), is_member)
    return lambda pictures: judge.predict_log_proba(statistics(pictures))[:, 1]


def auroc(members: np.ndarray, others: np.ndarray) -> float:
    """Return the chance that a member scores higher than another picture."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, "left") + np.searchsorted(ordered, members, "right")
    return float(below.mean() / 2 / len(others))


def report_errors(name: str, data: TrainingData, trial: Net, refit: Net, seed: int) -> None:
    """Print the calibration error of ways to come by a temperature."""
    spared = trained(data, seed, validation_fraction=0.05)
    dataset = data.dataset
    print(f"\n{name}: calibration error on the test split")
    print("| model | test accuracy | temperature | before | after |\n|---|---|---|---|---|")
    rows = {
        "the trial, by its validation images": (trial, trial, 0.2),
        "**the refit, by the trial's validation images**": (refit, trial, 0.2),
        "5 % kept out of the refit": (spared, spared, 0.05),
    }
    for row, (net, by, fraction) in rows.items():
        _, held_out = dataset.validation_split(fraction, 0)
        logits = by.answer(dataset.train_images[held_out])[0]
        temperature = best_temperature(logits, dataset.train_labels[held_out])
        logits, labels = net.answer(dataset.test_images)[0], dataset.test_labels
        errors = [
            calibration_error(Calibration(t).probabilities(logits), labels)
            for t in (1.0, temperature)
        ]
        accuracy = (logits.argmax(axis=1) == labels).mean()
        cells = "| {} | {:.1%} | {:.2f} | {:.1%} | {:.1%} |"
        print(cells.format(row, accuracy, temperature, *errors), flush=True)


def report_scores(
    name: str, trial: Net, refit: Net, calibration: Calibration, kinds: dict[str, np.ndarray]
) -> None:
    """Print for each score how it tells each kind, at the threshold that validation gives."""
    dataset = refit.data.dataset
    _, held_out = dataset.validation_split(0.2, 0)
    right = refit.answer(dataset.test_images)[0].argmax(axis=1) == dataset.test_labels
    print(f"\n{name}: AUROC / accepted at 95 % of test members / **said unknown**, %")
    print("| score | correct kept | {} |".format(" | ".join(kinds)))
    print("|---|---|{}".format("---|" * len(kinds)))
    by_trial = scores(trial, calibration)
    for score, of_refit in scores(refit, calibration).items():
        threshold = np.quantile(by_trial[score](dataset.train_images[held_out]), 0.05)
        members = of_refit(dataset.test_images)
        cells = [f"{100 * (members[right] >= threshold).mean():.1f}"]
        for pictures in kinds.values():
            found = of_refit(pictures)
            accepted = (found >= np.quantile(members, 0.05)).mean()
            cells.append(
                f"{auroc(members, found):.2f} / {100 * accepted:.0f} / "
                f"**{100 * (found < threshold).mean():.0f}**"
            )
        print("| {} | {} |".format(score, " | ".join(cells)), flush=True)


def said(net: Net, calibration: Calibration, pictures: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the classes ``[N]`` predict-cam has in mind, and whether it says them."""
    logits = net.answer(pictures)[0]
    rows = zip(calibration.probabilities(logits), calibration.membership(pictures))
    return logits.argmax(axis=1), np.array([calibration.knows(*row) for row in rows])


def report_decision(
    name: str, refit: Net, calibration: Calibration, kinds: dict[str, np.ndarray]
) -> None:
    """Print what predict-cam says of strangers, of members, and of members seen by a camera."""
    dataset = refit.data.dataset
    print(f"\n{name}: what predict-cam says")
    print(f"thresholds: confidence {calibration.min_confidence:.3f}, margin "
    f"{calibration.min_margin:.3f}, membership "
          f"{calibration.min_membership:.3f}")  # fmt: skip
    print("| of no class | said unknown |\n|---|---|")
    for kind, pictures in kinds.items():
        known = said(refit, calibration, pictures)[1]
        print(f"| {kind} | {1 - known.mean():.1%} |")
    predicted, known = said(refit, calibration, dataset.test_images)
    right = predicted == dataset.test_labels
    line = "members: named {:.1%} of all, {:.1%} of the rightly named, {:.1%} of the wrongly named"
    print(line.format(known.mean(), known[right].mean(), known[~right].mean()))
    print("| members, 480x480 | named rightly, unknown off | of these not called unknown |")
    print("|---|---|---|")
    random = Random(2)
    chosen = random.permutation(len(dataset.test_labels))[: 2 * EACH]
    images = in_colour(dataset.test_images[chosen])
    for kind in MILD:
        pictures = distorted(images, kind, random, dataset.channels)
        predicted, known = said(refit, calibration, pictures)
        right = predicted == dataset.test_labels[chosen]
        cells = "| {} | {:.1%} | {:.1%} |"
        print(cells.format(kind, right.mean(), known[right].mean()), flush=True)


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("what tells pictures of no class from members")
    parser.add_argument("--faces", type=Path, default=SHARED.parent / "cmu-faces-quarter.zip")
    parser.add_argument("--sets", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.faces.is_file():  # said now, not after two networks are trained
        parser.error(f"there is no {options.faces}: name the archive of CMU's faces")
    torch.set_num_threads(1)
    for name in options.sets:
        gray = load(Request("simpsons-gray", options.data), lambda done, total: None).dataset
        request = Request(name, None if name == "digits" else options.data)
        dataset = load(request, lambda done, total: None).dataset
        data = TrainingData(dataset, CPU)
        trial = trained(data, options.seed)
        refit = trained(data, options.seed, train_on_all=True)
        calibration = calibrated(trial)
        kinds = strangers(dataset, options.faces, gray)
        report_errors(name, data, trial, refit, options.seed)
        report_scores(name, trial, refit, calibration, kinds)
        report_decision(name, refit, calibration, kinds)


if __name__ == "__main__":
    main()
