"""``predict-cam --keep`` and ``--save-crops``: what a run keeps of what it sees."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.lenets import save_untrained

from hyperhive.common.errors import UsageError
from hyperhive.inference.cli import app
from hyperhive.inference.collecting.kept import ANSWERS, waiting
from hyperhive.model.data.series import series_of

EACH = 6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that is never sure."""
    return save_untrained(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder for outputs."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of six pictures, and one that is saved again with other pixels."""
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(EACH):
        Image.fromarray(look(number)).save(root / f"{number}.png")
    Image.fromarray(look(0)).save(root / "again.jpg", quality=90)
    return root


def look(number: int, height: int = 300, width: int = 400) -> np.ndarray:
    """Return a picture whose square looks like that of no other number."""
    cells = np.random.RandomState(number).randint(0, 256, (12, 16, 3)).astype(np.uint8)
    size = (width, height)
    return np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC))


def predict(*arguments: object) -> None:
    app([str(argument) for argument in arguments], standalone_mode=False)


def answers(kept: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (kept / ANSWERS).read_text().splitlines()]


UNSURE = ("--min-confidence", "0.99")


def test_unknown_pictures_are_kept_once_with_their_answers(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that looks like a kept one is skipped, also by the next run; each is its own series."""
    predict(folder, "--model", model, *UNSURE, "--keep", "unknown")
    said = capsys.readouterr().out
    assert "6 doubtful pictures kept in kept, 1 skipped (1 like a kept one)" in said
    assert "label them: predict-cam --label kept --into FOLDER" in said
    kept = waiting(Path("kept"))
    assert len(kept) == EACH
    assert len({series_of(each.path.name) for each in kept}) == EACH
    for each, line in zip(kept, sorted(answers(Path("kept")), key=lambda one: one["picture"])):
        assert (each.path.name, each.label, each.source) == (
            line["picture"],
            "unknown",
            line["source"],
        )
        assert [list(pair) for pair in each.top] == [list(one.values()) for one in line["top3"]]
        assert abs(line["kept"] - time.time()) < 600
        with Image.open(each.path) as image, Image.open(line["source"]) as source:
            assert image.size == (256, 256)
            centre = np.asarray(source.convert("RGB").crop((50, 0, 350, 300)).resize((256, 256)))
            assert np.abs(np.asarray(image).astype(int) - centre).mean() < 3
    predict(folder, "--model", model, *UNSURE, "--keep", "unknown")
    assert "0 doubtful pictures kept in kept, 7 skipped (7 like" in capsys.readouterr().out


def test_at_most_so_many_an_hour_whichever_run_kept_them(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The times of the files count; after an hour there is room again."""
    arguments = (folder, "--model", model, "--keep", "below=0.9", "--keep-in", "doubts")
    predict(*arguments, "--at-most", "4/hour")
    assert "4 doubtful pictures kept in doubts, 3 skipped (3 beyond 4 an hour)" in (
        capsys.readouterr().out
    )
    predict(*arguments, "--at-most", "4/hour")
    assert "0 doubtful pictures kept in doubts, 7 skipped" in capsys.readouterr().out
    for path in sorted(Path("doubts").glob("*.png"))[:1]:
        os.utime(path, (time.time() - 3700,) * 2)
    predict(*arguments, "--at-most", "4/hour")
    assert "1 doubtful picture kept in doubts, 6 skipped" in capsys.readouterr().out
    assert len(waiting(Path("doubts"))) == 5


def test_sure_answers_are_not_kept(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without doubt no folder is made, and the summary says so."""
    predict(folder, "--model", model, "--keep", "below=0.0001")
    assert "0 doubtful pictures kept in kept, 0 skipped" in capsys.readouterr().out
    assert not Path("kept").exists()


def test_a_scene_of_a_video_is_one_series(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Frames of one moment go to one side of a split; one after a pause begins another series."""
    cv2 = pytest.importorskip("cv2", reason="no OpenCV: there are no videos")
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 1.0, (400, 300))
    for second in range(15):
        writer.write(look(0 if 2 <= second < 14 else second)[..., ::-1])
    writer.release()
    predict(clip, "--every", "1", "--model", model, *UNSURE, "--keep", "unknown")
    assert "3 doubtful pictures kept in kept, 12 skipped" in capsys.readouterr().out
    assert len({series_of(each.path.name) for each in waiting(Path("kept"))}) == 1
    predict(clip, "--every", "14", "--model", model, *UNSURE, "--keep", "unknown", "--keep-in", "b")
    assert len({series_of(each.path.name) for each in waiting(Path("b"))}) == 2


def test_live_mode_keeps_doubtful_pictures_too(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are those of the frames that it labelled, though it writes none of them."""
    cv2 = pytest.importorskip("cv2", reason="no OpenCV: there are no videos")
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (400, 300))
    for _ in range(20):
        writer.write(look(1)[..., ::-1])
    writer.release()
    predict(clip, "--live", "--no-show", "--model", model, *UNSURE, "--keep", "unknown")
    assert "1 doubtful picture kept in kept" in capsys.readouterr().out
    assert waiting(Path("kept"))[0].label == "unknown"
    assert not Path("predictions").exists()


def test_crops_are_written_by_label(
    model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each written frame's square is in a folder of its label, under the frame's own name."""
    predict(folder, "--model", model, "--save-crops")
    assert "written: predictions/crops" in capsys.readouterr().out.replace(os.sep, "/")
    lines = Path("predictions/predictions.jsonl").read_text().splitlines()
    labels = {Path(line["source"]).stem: line["label"] for line in map(json.loads, lines)}
    crops = {path.stem: path.parent.name for path in Path("predictions/crops").glob("*/*.png")}
    assert crops == labels
    assert len(crops) == EACH + 1


def test_answers_that_were_cut_or_changed_do_no_harm(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    """A process killed within a line, and a hand that edits, cost that answer and nothing else."""
    kept = tmp_path / "kept"
    kept.mkdir()
    lines = ['[1]\n{"picture": "x.png", "label": "a", "top3": [3, {"label": 4}]}\n{"picture": "y.']
    (kept / ANSWERS).write_text("".join(lines))
    Image.fromarray(look(50)).save(kept / "x.png")
    predict(folder, "--model", model, *UNSURE, "--keep", "unknown", "--at-most", "3/hour")
    by_name = {each.path.name: each for each in waiting(kept)}
    assert by_name.pop("x.png").top == ()
    assert len(by_name) == 2
    assert all(each.label == "unknown" and len(each.top) == 3 for each in by_name.values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--keep", "sometimes"], "--keep must be unknown, or below="),
        (["--keep", "below=nan"], "--keep must be unknown, or below="),
        (["--keep", "below=1.5"], "--keep must be unknown, or below="),
        (["--keep", "unknown", "--at-most", "many"], "--at-most must be a number an hour"),
        (["--keep", "unknown", "--at-most", "0/hour"], "--at-most must be a number an hour"),
        (["--at-most", "9/hour"], "--at-most and --keep-in need --keep"),
        (["--keep", "unknown", "--no-unknown"], "--no-unknown leaves nothing"),
        (["--label", "kept"], "--label and --into belong together"),
        (["--into", "things"], "--label and --into belong together"),
        (["--label", "a", "--into", "b", "--keep", "unknown"], "--label classifies nothing"),
        (["--label", "a", "--into", "b", "--live"], "omit the source and --live"),
        (["cat.png", "--label", "a", "--into", "b"], "omit the source and --live"),
    ],
)
def test_options_that_make_no_sense_together(arguments: list[str], sentence: str) -> None:
    """Each is refused in a sentence, before anything is opened."""
    with pytest.raises(UsageError, match=sentence):
        predict(*arguments)
