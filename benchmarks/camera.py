"""Evidence: seen by a camera in an ordinary room, augmentation raises accuracy from 66.5 to 73.9 %.

On 2,000 test images of Simpsons-MNIST in colour. Without a camera it is 71.9 % without and 75.8 %
with augmentation. docs/camera.md has every table.

    python benchmarks/camera.py [--images 200] [--http] [--model models/mine --model models/other]

Test images are enlarged, put into the guide of a 640x480 frame before varied backgrounds, and
distorted as by cameras and rooms (``_scene.py``): by each distortion alone at three strengths, and
by all together as in an ordinary room. The frames become a video file (motion JPEG), which
predict-cam's own source reads and labels. With ``--http``, a server on this machine shows two of
the series too. A frame counts as correct if its class is the likeliest, even if it is ``unknown``.

Prints tables in Markdown. All rows of a table show the same images. Without ``--model``, it first
trains two models to compare, with and without augmentation (``_models.py``).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import _models
from benchmarks._camera_scores import Pictures, Score
from benchmarks._common import loaded, simpsons_option
from benchmarks._scene import KINDS, ROOM, Scene
from hyperhive.inference.models.file import from_file


def main() -> None:
    """Measure and print."""
    parser = simpsons_option("accuracy on what a camera makes of test images")
    parser.add_argument("--dataset", default="simpsons", help="simpsons, simpsons-gray or digits")
    parser.add_argument("--model", type=Path, action="append", help="may be given several times")
    parser.add_argument("--images", type=int, default=500, help="test images of each distortion")
    parser.add_argument("--all", type=int, default=2000, help="test images of the first table")
    parser.add_argument("--http", action="store_true", help="show two series over HTTP too")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    is_simpsons = options.dataset.startswith("simpsons")
    dataset = loaded(options.dataset, options.data if is_simpsons else None)
    with tempfile.TemporaryDirectory() as folder:
        paths = options.model or [
            _models.make(dataset, config, Path(folder) / name)
            for name, config in _models.CONFIGS.items()
        ]
        models = [from_file(path) for path in paths]
    pictures = Pictures(dataset, models)
    names = [path.name for path in paths]
    _print_whole(pictures, names, options.all, options.seed)
    if options.http:
        _print_http(pictures, names, options.images, options.seed)
    _print_kinds(pictures, names, options.images, options.seed)


def _print_whole(pictures: Pictures, names: list[str], count: int, seed: int) -> None:
    """Print scores without a camera, with an undistorted scene, and in an ordinary room."""
    chosen = pictures.some(count)
    scenes = {
        "undistorted": Scene(seed, {}),
        "**ordinary room**, all at once": Scene(seed, ROOM),
        "the same, each at its bound": Scene(seed, ROOM, at_bound=True),
    }
    _row(f"{len(chosen):,} test images", _paired(names, ["unknown"] * len(names)))
    _row("---", ["---:"] * (2 * len(names)))
    plain = pictures.plain(chosen)
    _row("as they are, no camera", _paired(_accuracies(plain), _unknown(plain)))
    for title, scene in scenes.items():
        scores = pictures.by_video(scene, chosen)
        _row(title, _paired(_accuracies(scores), _unknown(scores)))
    print()


def _print_http(pictures: Pictures, names: list[str], count: int, seed: int) -> None:
    """Print scores on the same frames as a video and as snapshots of a server."""
    chosen = pictures.some(count)
    _row(f"{len(chosen):,} test images", names)
    _row("---", ["---:"] * len(names))
    for title, strengths in (("undistorted", {}), ("**ordinary room**", ROOM)):
        scene = Scene(seed, strengths)
        _row(title + ", video", _accuracies(pictures.by_video(scene, chosen)))
        _row(title + ", MJPEG over HTTP", _accuracies(pictures.by_http(scene, chosen)))
    print()


def _print_kinds(pictures: Pictures, names: list[str], count: int, seed: int) -> None:
    """Print scores for each distortion alone, at its three strengths."""
    chosen = pictures.some(count)
    _row(f"{len(chosen):,} test images", ["mild, **room**, strong", *names])
    _row("---", ["---", *["---:"] * len(names)])
    _row("undistorted", ["", *_accuracies(pictures.by_video(Scene(seed, {}), chosen))])
    for name, kind in KINDS.items():
        scenes = [Scene(seed, {name: strength}) for strength in kind.strengths]
        by_strength = [_accuracies(pictures.by_video(scene, chosen)) for scene in scenes]
        mild, room, strong = (str(strength) for strength in kind.strengths)
        shown = kind.unit.format(f"{mild}, **{room}**, {strong}")
        _row(kind.title, [shown, *("{} · **{}** · {}".format(*each) for each in zip(*by_strength))])


def _accuracies(scores: Sequence[Score]) -> list[str]:
    return [f"{100 * score.accuracy:.1f}" for score in scores]


def _unknown(scores: Sequence[Score]) -> list[str]:
    return [f"{100 * score.unknown / score.frames:.1f}" for score in scores]


def _paired(one: Sequence[str], other: Sequence[str]) -> list[str]:
    return [cell for pair in zip(one, other) for cell in pair]


def _row(head: str, cells: Sequence[str]) -> None:
    print(f"| {head} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
