"""Keys that teach: what each does, and what a person sees of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from support.home import until

from hyperhive.inference.collecting.collection import Collection
from hyperhive.inference.frames import Frame
from hyperhive.inference.labelling import NOTHING_LEARNED, Result
from hyperhive.inference.predictor import Prediction
from hyperhive.inference.teaching.controls import Controls
from hyperhive.inference.teaching.keyboard import Journal
from hyperhive.inference.teaching.states import DONE, LEARNING, Progress
from hyperhive.inference.teaching.view import View


class Teaching:
    """Controls before a camera that shows something else in each frame."""

    def __init__(self, folder: Path, burst: int = 1) -> None:
        self.folder = folder
        self.collection = Collection(folder)
        self.controls = Controls(self.collection, burst)
        self._frames = 0

    def press(self, keys: str, frames: int = 1, label: str = "", known: Sequence[str] = ()) -> View:
        """Press keys, each before so many frames; return what is seen then."""
        for key in keys:
            assert self.controls.press(key)
            for _ in range(frames):
                self.see(label, known)
        return self.view()

    def see(self, label: str = "", known: Sequence[str] = (), number: int | None = None) -> None:
        """Show a frame, and what a model says of it."""
        self._frames += 1
        random = np.random.RandomState(self._frames if number is None else number)
        cells = random.randint(0, 256, (16, 16, 3)).astype(np.uint8)
        image = np.asarray(Image.fromarray(cells).resize((64, 64), Image.Resampling.NEAREST))
        frame = Frame(image, "name", "camera 0", self._frames, float(self._frames))
        prediction = Prediction(((label, 0.9),)) if label else NOTHING_LEARNED
        self.controls.see(Result(frame, prediction), known)

    def view(self) -> View:
        """Return what is seen once all pictures are written."""
        self.collection.flush()
        return self.controls.view(Progress())

    def pictures(self) -> list[str]:
        """Return the folder of each picture, sorted."""
        found = self.folder.glob("**/*.png")
        return sorted(str(path.parent.relative_to(self.folder)) for path in found)


@pytest.fixture
def teaching(tmp_path: Path) -> Iterator[Teaching]:
    made = Teaching(tmp_path / "things")
    yield made
    made.collection.close()


def test_a_key_takes_a_picture_of_its_class(teaching: Teaching) -> None:
    """Classes get keys as they are named; 0 is the background, space the last one again."""
    assert teaching.press("1 ").message == "press n, and type what you show"
    assert teaching.press("nCup").typed == "class: Cup_   (Enter, or Escape)"
    assert teaching.press("\n").message == "Cup: hold 1 to take pictures"
    teaching.press("nball\n11200 ")
    assert teaching.pictures() == ["Cup", "Cup", "ball", "nothing", "nothing", "nothing"]
    view = teaching.view()
    assert view.lines()[0] == "1 Cup 2 of 20   2 ball 1 of 20   0 nothing 3 of 20"
    assert view.chosen == "nothing"
    assert view.has_taken
    assert "17 more pictures of nothing" in view.lines()[1]
    assert not teaching.controls.press("q")


def test_a_model_that_is_wrong_is_corrected(teaching: Teaching) -> None:
    """Only what it says of a class that it knows is wrong; unknown is wrong too."""
    teaching.press("ncup\nnball\n")
    known = ("ball", "cup")
    teaching.press("1", label="cup", known=known)
    teaching.press("1", label="ball", known=known)
    teaching.press("1", label="", known=known)
    teaching.press("nstar\n3", label="ball", known=known)
    assert teaching.pictures() == ["cup", "cup/corrected", "cup/corrected", "star"]
    assert teaching.press("\x7f\x7f").message == "undone: the last picture of cup is gone"
    assert teaching.pictures() == ["cup", "cup/corrected"]
    assert teaching.press("\x7f\x7f\x7f").message == "there is nothing to undo"


def test_a_burst_goes_on_until_it_has_its_pictures(tmp_path: Path) -> None:
    """Frames that look alike do not count; another key or a second of them ends it."""
    teaching = Teaching(tmp_path, burst=3)
    teaching.press("ncup\nnball\n")
    teaching.press("1", frames=5)
    assert teaching.pictures() == 3 * ["cup"]
    assert teaching.controls.press("2")
    for _ in range(40):
        teaching.see(number=7)
    assert teaching.pictures() == ["ball", "cup", "cup", "cup"]
    assert "turn it" in teaching.view().message
    teaching.see()
    assert len(teaching.pictures()) == 4
    teaching.press("2nlisa\n", frames=0)
    teaching.see()
    assert len(teaching.pictures()) == 4  # the rest of a burst is for no other class
    teaching.press("2\x7f", frames=1)
    teaching.see()
    assert len(teaching.pictures()) == 4
    teaching.collection.close()


def test_classes_beyond_the_ninth_have_no_key(teaching: Teaching) -> None:
    """They are typed again, and space takes their pictures."""
    for number in range(11):
        teaching.press(f"nthing {number}\n")
    assert teaching.view().message == "thing 10: hold space to take pictures"
    assert [each.key for each in teaching.view().classes] == [*"1234567890", "", ""]
    teaching.press(" ")
    assert teaching.pictures() == ["thing 10"]


def test_a_name_that_no_folder_can_have(teaching: Teaching) -> None:
    """It is one sentence, and the class that was chosen before stays."""
    teaching.press("ncup\n")
    view = teaching.press("na/b\n")
    assert "no class can be called a/b" in view.message
    assert teaching.press("nCUP\n").chosen == "cup"


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    """The message says so, a log gets it, and teaching goes on."""
    (tmp_path / "cup").write_text("a file where a folder should be")
    teaching = Teaching(tmp_path)
    teaching.press("ncup\nnball\n")

    def is_told() -> bool:
        teaching.controls.press("1")
        teaching.see()
        return bool(teaching.controls.remarks)

    until(is_told, "a sentence")
    assert "cannot write to" in teaching.controls.remarks[0]
    teaching.controls.press("2")
    teaching.see()
    teaching.collection.flush()
    assert "cup" not in teaching.collection.counts()
    assert teaching.pictures() == ["ball"]


def test_the_lines_of_a_study(teaching: Teaching) -> None:
    """Accuracy by trial, the best, and whether it is enough."""
    teaching.press("ncup\n")
    learning = Progress(LEARNING, {}, 1, 6, (0.5, None, 0.75))
    lines = teaching.controls.view(learning).lines()
    assert lines[1] == "version 1: trial 4 of 6, best accuracy 75.0 %"
    assert lines[2] == "accuracy by trial: 50.0 %, -, 75.0 %"
    done = Progress(DONE, {}, 1, 1, (0.5,), "more will help")
    view = teaching.controls.view(done)
    lines, shown = view.lines(), view.to_json()
    assert lines[1:4] == [
        "version 1 is learned, best accuracy 50.0 %",
        "accuracy by trial: 50.0 %",
        "more will help",
    ]
    assert shown["progress"] == "version 1 is learned, best accuracy 50.0 %; more will help"
    out = io.StringIO()
    Journal(Console(file=out, width=100)).show(["cup 91 %", *lines])
    assert out.getvalue() == shown["progress"] + "\n"
    assert shown["accuracies"] == [{"share": 0.5, "text": "50.0 %"}]
    assert shown["classes"][0] == {"key": "1", "name": "cup", "shown": "cup", "count": 0}
