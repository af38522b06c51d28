"""The picture at a study's end: names of any length and script, and settings of any user."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from hyperhive.coordinator.views.picture import Answers, Lettering, draw
from hyperhive.model.data.dataset import Dataset
from hyperhive.store.trials.trial import Trial

NAMES = {
    3: ["ant", "WWW", "iii", "a_b", "x$y"],
    10: [f"class {n:02} " + "w" * n for n in range(10)],
    40: [
        f"{n} of the forty classes of which each has a long name"[: 3 + 57 * n // 39]
        for n in range(40)
    ],
    11: [
        *("空", "海と山と川と空と雲と雨と雪と風と", "кошка обыкновенная", "$a$ and $b", "$"),
        *("a\x1b[2J", "x\ny", "😀", "عربي", "ไทย", "_hidden"),
    ],
}


def trial(tid: int, accuracy: float, **config: Any) -> Trial:
    result = {"status": "ok", "loss": 1 - accuracy, "validation_accuracy": accuracy}
    vals = {name: [value] for name, value in config.items()}
    misc = {"cmd": ["objective", "lenet5"], "vals": vals}
    document = {"_id": tid, "exp_key": "s", "tid": tid, "state": 2, "misc": misc}
    return Trial.from_document({**document, "config": config, "result": result})


def pictured(path: Path, classes: list[str], name: str = "pets") -> Figure:
    """Draw a study's picture; return the figure that was saved."""
    random = np.random.RandomState(0)
    shown = random.randint(0, 255, (60, 28, 28, 1)).astype(np.uint8)
    labels = np.arange(60, dtype=np.int64) % len(classes)
    dataset = Dataset(name, tuple(classes), shown, labels, shown, labels)
    answers = Answers(random.permutation(labels), random.rand(60) < 0.8, 0.5)
    trials = [trial(0, 0.5, hidden=64), trial(1, 0.9, activation="$x$ 空", batch_size=1024)]
    saved: list[Figure] = []
    save = Figure.savefig
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            Figure, "savefig", lambda self, *a, **k: (saved.append(self), save(self, *a, **k))
        )
        draw(path, trials, trials[1], {"untuned": 0.1}, dataset, answers)
    return saved[0]


@pytest.mark.parametrize(
    "classes", [11, *(pytest.param(few, marks=pytest.mark.long) for few in NAMES if few != 11)]
)
def test_no_title_reaches_the_next_one(tmp_path: Path, classes: int) -> None:
    """Titles of pictures, the heading and the legend stay apart, in the picture, and warn not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = pictured(tmp_path / "a.png", NAMES[classes], "a long name of a data set " * 9)
        images, history = figure.subfigs
        titles = [axes.title.get_window_extent() for axes in images.axes]
    for row in range(4):
        line = titles[10 * row : 10 * row + 10]
        assert all(left.x1 < right.x0 for left, right in zip(line, line[1:]))
    heading = images._suptitle.get_window_extent()
    for box in (*titles, heading, history.axes[0].get_legend().get_window_extent()):
        assert 0 <= box.x0 < box.x1 <= 1200
    legend, plot = history.axes[0].get_legend(), history.axes[0].get_window_extent()
    assert legend.get_window_extent().y0 >= plot.y1
    assert "batch size 1024" in " ".join(text.get_text() for text in legend.get_texts())


def test_names_that_differ_at_their_ends_stay_different() -> None:
    """A long name loses its middle."""
    letters = Lettering(FigureCanvasAgg(Figure()), 8)
    first, second = (letters.fitted(f"a rather long name {end}", 60) for end in ("one", "two"))
    assert first != second
    assert max(map(letters.width, (first, second))) <= 60
    assert letters.fitted("short", 60) == "short"


@pytest.mark.long
def test_the_settings_of_the_user_are_not_used(tmp_path: Path) -> None:
    """Settings that need LaTeX, or hide the axes, change nothing."""
    with Image.open(pictured(tmp_path / "a.png", NAMES[3]) and tmp_path / "a.png") as usual:
        expected = np.asarray(usual)
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30, "savefig.dpi": 20}):
        pictured(tmp_path / "b.png", NAMES[3])
        assert matplotlib.rcParams["text.usetex"]
    with Image.open(tmp_path / "b.png") as picture:
        assert (np.asarray(picture) == expected).all()


@pytest.mark.long
def test_a_picture_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it cannot be written to its end, the next run sees that there is none."""

    def full(self: Any, path: Path, **_: Any) -> None:
        Path(path).write_bytes(b"\x89PNG")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space left"):
        pictured(tmp_path / "a.png", NAMES[3])
    assert list(tmp_path.iterdir()) == []
