"""A study from its plan to its model, with workers that deliver real weights and made-up losses."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import re
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.lenets import load_model
from support.live import study_of
from support.printed import plain
from support.thread_workers import Act, claimed, deliver, loss_of, working

from hyperhive.common.console import Screen
from hyperhive.common.errors import CheckpointError
from hyperhive.common.signals import StopSignals
from hyperhive.coordinator import stored_model
from hyperhive.coordinator.best_so_far import BestModelPublisher
from hyperhive.coordinator.evaluation import calibrate
from hyperhive.coordinator.model_maker import PICTURE_FILE, ModelMaker
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.ranking import best_of
from hyperhive.coordinator.results.ended import add
from hyperhive.coordinator.results.export import as_json
from hyperhive.coordinator.results.exported import read
from hyperhive.coordinator.search import Search
from hyperhive.coordinator.spaces.named import ROBUST
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.study_run import StudyFailed, StudyRun, open_study
from hyperhive.coordinator.views.fleet import FleetReader
from hyperhive.coordinator.views.picture import Answers, draw
from hyperhive.coordinator.views.status import report as status_report
from hyperhive.coordinator.views.study_state import Snapshot, StudyState
from hyperhive.coordinator.views.summary import Result, summary
from hyperhive.coordinator.views.terminal import Lines, panel
from hyperhive.coordinator.views.wording import doing, time_left, with_interval
from hyperhive.model import checkpoint
from hyperhive.model.card import Card
from hyperhive.model.checkpoint import pack_weights
from hyperhive.model.config import TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest
from hyperhive.model.metrics import Evaluation, evaluate
from hyperhive.model.model_files import CARD_FILE, WEIGHTS_FILE
from hyperhive.model.networks.lenet import LeNet5
from hyperhive.store.blobs import BlobRef
from hyperhive.store.errors import NotFound, StoreUnavailable, StudyChanged
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.terms import BASELINE, REFIT, SEARCH, ErrorKind
from hyperhive.store.trials.trial import Trial
from hyperhive.store.trials.updates import new_token

TEST_IMAGES = 24


@pytest.fixture(autouse=True)
def _few_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw a picture where it is looked at: Matplotlib takes a second for each."""
    if request.node.name not in (
        "test_a_study_ends_with_a_model_that_was_tested_once",
        "test_a_failed_baseline_does_not_fail_the_study",
    ):
        path = "hyperhive.coordinator.views.picture.draw"
        monkeypatch.setattr(path, lambda file, *_: file.touch())


def tiny(name: str = "tiny") -> Dataset:
    """Return a data set of two classes of grey images: dark ones and light ones."""
    random = np.random.RandomState(0)

    def split(n: int) -> Any:
        labels = np.arange(n, dtype=np.int64) % 2
        noise = random.randint(0, 60, (n, 28, 28, 1))
        return (noise + 120 * labels[:, None, None, None]).astype(np.uint8), labels

    return Dataset(name, ("dark", "light"), *split(40), *split(TEST_IMAGES))


def plan(**changed: Any) -> Plan:
    return Plan(**{"name": "s", "data": DatasetRequest("folder"), "trials": 3, **changed})


def weights_of(trial: Trial) -> bytes:
    """Return the weights of a network that differs between trials."""
    torch.manual_seed(trial.tid + 100 * (trial.purpose == REFIT))
    return pack_weights(LeNet5(1, 2))


def train(store: Store, trial: Trial) -> None:
    device = {"device": "cpu (test)", "torch": "0"}
    deliver(store, trial, weights_of(trial), diverged=False, trained_on=device)


def run(
    store: Store, uri: str, models: Path, act: Act = train, refit: bool = True, **changed: Any
) -> Result:
    data = tiny()
    study = open_study(store, plan(**changed), data)
    stop = threading.Event()
    with working(uri, act):
        return StudyRun(
            store, study, data, models / study.name, refit, lambda snapshot: None, stop
        ).run()


def only_search(store: Store, uri: str, name: str = "s") -> list[Trial]:
    """Run a study's search without the refit, the test and the picture."""
    study = open_study(store, plan(name=name), tiny())
    with working(uri, train):
        return Search(store, study, lambda snapshot: None, threading.Event()).run()


def jobs(store: Store) -> list[Trial]:
    return store.trials.find("s")


# -- while it runs ------------------------------------------------------------------------------


def test_a_running_study_publishes_the_model_of_its_best_trial(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """After each trial the store has the model of the best one; at the end, the winner's."""
    study = open_study(store, plan(trials=4), tiny())
    published = []

    def look(snapshot: Snapshot) -> None:
        best = snapshot.study.best
        if best is not None:
            model = store.model("s")
            assert not model.is_final
            published.append((best.tid, model.card["trial"]))
            assert model.weights.as_document() == best.artifact
            assert model.card["weights_sha256"] == model.weights.sha256
            card = Card.from_json(model.card)
            assert card.calibration is not None
            assert card.test_accuracy is None

    with working(mongo_uri, train):
        StudyRun(store, study, tiny(), tmp_path / "s", True, look, threading.Event()).run()
    assert published
    assert all(best == trial for best, trial in published)
    assert store.model("s").is_final


def publisher(store: Store, study: Study, folder: Path) -> BestModelPublisher:
    """Return a publisher that makes cards as the study's run does."""
    maker = ModelMaker(store, study, tiny(), folder, lambda step: step())
    return BestModelPublisher(store, maker.card_so_far)


def test_a_trial_without_a_model_is_not_published(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """A best trial with an incomplete reference to its weights, or no accuracy, ends no search."""
    study = open_study(store, plan(), tiny())
    best = best_of(only_search(store, mongo_uri))
    assert best is not None
    for spoilt in (
        dataclasses.replace(best, artifact={"file_id": "x"}),
        dataclasses.replace(best, result={"loss": 0.0}),
    ):
        publisher(store, study, tmp_path).look(StudyState("s", 3, (spoilt,)))
    with pytest.raises(NotFound, match="study 's' has no model yet"):
        store.model("s")


def test_a_model_that_could_not_be_published_is_published_later(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is away nothing is published; at the next look the same trial is."""
    study = open_study(store, plan(), tiny())
    best = best_of(only_search(store, mongo_uri))
    assert best is not None
    publishing = publisher(store, study, tmp_path)

    def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(store.studies, "offer", away)
        publishing.look(snapshot(store).study)
    with pytest.raises(NotFound):
        store.model("s")
    publishing.look(snapshot(store).study)
    assert store.model("s").card["trial"] == best.tid


def test_the_winner_of_an_imported_study_is_trained_again(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Its weights were not exported: the refit gives the model, and without one there is none."""
    before = only_search(store, mongo_uri)
    file = tmp_path / "s.json"
    file.write_bytes(as_json(store, "s"))
    store.delete_study("s")
    exported = read(file)
    add(store, exported.study, exported.trials)
    with pytest.raises(StudyFailed, match="was imported, and no weights with it: start again"):
        run(store, mongo_uri, tmp_path, refit=False)
    result = run(store, mongo_uri, tmp_path)
    assert result.card is not None
    best = best_of(before)
    assert best is not None
    assert (result.card.trial, result.card.test_accuracy is None) == (best.tid, False)
    assert [trial.imported for trial in store.trials.find("s", SEARCH)] == [True] * len(before)


# -- how a study ends --------------------------------------------------------------------------


def test_a_study_ends_with_a_model_that_was_tested_once(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Weights, card and picture of the refitted winner lie in MODELS/STUDY; the store knows them.

    The weights load, name the test images as the card's confusion says, and the picture is a PNG
    that fills a page.
    """
    result = run(store, mongo_uri, tmp_path / "deep" / "models")
    folder = tmp_path / "deep" / "models" / "s"
    assert result.folder == folder
    best = min(store.trials.find("s", SEARCH), key=loss_of)
    assert result.winner.tid == best.tid
    model, card = load_model(folder)
    shown = json.loads((folder / CARD_FILE).read_text())
    assert shown == card.to_json() == result.card.to_json()
    assert (folder / WEIGHTS_FILE).read_bytes() == weights_of(store.trials.find("s", REFIT)[0])
    data = tiny()
    images = torch.from_numpy(data.test_images.transpose(0, 3, 1, 2).copy())
    named = model(checkpoint.normaliser(card, torch.device("cpu"))(images)).argmax(dim=1).numpy()
    assert shown["test_accuracy"] == pytest.approx(float((named == data.test_labels).mean()))
    assert np.sum(shown["confusion"]) == TEST_IMAGES
    assert np.trace(shown["confusion"]) == round(shown["test_accuracy"] * TEST_IMAGES)
    assert (card.study, card.trial, card.config["train_on_all"]) == ("s", best.tid, True)
    assert card.validation_accuracy == pytest.approx(1 - loss_of(best))
    assert card.dataset["content_hash"] == data.content_hash
    assert card.trained_on == {"device": "cpu (test)", "torch": "0"}
    assert result.picture == folder / PICTURE_FILE
    with Image.open(folder / PICTURE_FILE) as picture:
        assert picture.format == "PNG"
        assert picture.size[0] == 1200
        assert 800 <= picture.size[1] <= 1200
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50
    stored = store.studies.get("s")
    assert stored is not None
    assert stored.result is not None
    assert stored.result["card"] == shown


def test_without_a_refit_the_winners_own_weights_are_kept(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """With --no-refit no refit trial is posted; the model is the one that the winner trained."""
    result = run(store, mongo_uri, tmp_path, refit=False)
    assert store.trials.find("s", REFIT) == []
    assert (tmp_path / "s" / WEIGHTS_FILE).read_bytes() == weights_of(result.winner)
    assert not result.card.config["train_on_all"]


def test_a_study_calibrates_its_model(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """Validation images give temperature and thresholds; the test split gives the error."""
    result = run(store, mongo_uri, tmp_path)
    found = result.card.calibration
    assert found is not None
    weights = store.blobs.get(BlobRef.from_document(result.winner.artifact or {}))
    of_trial = dataclasses.replace(
        result.card,
        config=dict(result.winner.config),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    expected = calibrate(weights, of_trial, tiny())
    assert dataclasses.replace(found, error_before=None, error_after=None) == expected
    assert found.min_membership == pytest.approx(0.05 - 0.5 * math.sqrt(0.05 * 0.95 / 40), abs=1e-4)
    assert (found.temperature, found.min_confidence, found.validated) == (1.0, 0.0, 8)
    assert found.error_before is not None
    assert 0 <= found.error_before <= 1
    assert found.error_before == found.error_after
    assert load_model(tmp_path / "s")[1].calibration == found
    stored = store.studies.get("s")
    assert stored is not None
    assert Card.from_json((stored.result or {})["card"]).calibration == found
    shown = plain(summary(result))
    assert "membership below 0.0328 (from 40 training images); confidence is not used: " in shown
    assert f"{found.correct} correct images, and it takes 99" in shown
    assert "temperature 1 (8 validation images show no better one)" in shown
    assert f"calibration error on {TEST_IMAGES} test images" in shown


def test_the_trials_of_one_data_set_share_their_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """The images are measured once, not once per trial or split; another data set's again."""
    torch.manual_seed(0)
    packed = pack_weights(LeNet5(1, 2))
    sha256 = hashlib.sha256(packed).hexdigest()
    seen = []

    def counted(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return np.stack([images, images])

    monkeypatch.setattr("hyperhive.coordinator.evaluation.seen_by_camera", counted)
    for level, split_seed, calls in ((255, 5, 1), (255, 5, 1), (255, 6, 1), (254, 6, 2)):
        data = tiny("counted")
        data.train_images[0] = level  # no other test has these images
        config = TrainConfig("", 0.1, 1, 0.5, split_seed=split_seed).to_json()
        card = Card(["dark", "light"], 1, [0.5], [0.5], sha256, {}, config)
        calibrate(packed, card, dataclasses.replace(data))
        assert len(seen) == calls


def test_a_winner_whose_weights_cannot_be_used_leaves_no_calibration(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """The refit is still kept, its card has no thresholds, and the summary says so."""
    device = {"device": "cpu (test)", "torch": "0"}

    def bad_but_for_the_refit(store: Store, trial: Trial) -> None:
        packed = weights_of(trial) if trial.purpose == REFIT else b"no weights"
        words = {"validation_accuracy": "all of them"} if trial.purpose == BASELINE else {}
        deliver(store, trial, packed, diverged=False, trained_on=device, **words)

    result = run(store, mongo_uri, tmp_path, bad_but_for_the_refit)
    assert result.untuned_accuracy is None  # what its worker reported is not a number
    assert result.card.calibration is None
    assert load_model(tmp_path / "s")[1].calibration is None
    assert "predict-cam never answers it" in plain(summary(result))


@pytest.mark.long
def test_the_picture_shows_what_is_unknown(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """Test images that predict-cam would call unknown have a grey frame."""
    data = tiny()
    labels = data.test_labels
    trials = only_search(store, mongo_uri)
    for known, colour in ((True, (26, 127, 55)), (False, (110, 119, 129))):
        answers = Answers(labels, np.full(len(labels), known), 1.0)
        draw(tmp_path / "a.png", trials, trials[0], {}, data, answers)
        with Image.open(tmp_path / "a.png") as picture:
            assert ((np.asarray(picture)[..., :3] == colour).all(axis=2)).sum() > 1000


def test_a_finished_study_is_not_run_again(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """A finished study that is started again posts nothing and writes its model again."""
    first = run(store, mongo_uri, tmp_path / "a")
    before = jobs(store)
    data = tiny()
    study = open_study(store, plan(), data)
    folder = tmp_path / "b" / "s"
    again = StudyRun(store, study, data, folder, True, lambda _: None, threading.Event()).run()
    assert jobs(store) == before
    assert (again.card, again.winner) == (first.card, first.winner)
    assert again.untuned_accuracy == first.untuned_accuracy
    for name in (WEIGHTS_FILE, CARD_FILE):
        written = (tmp_path / "b" / "s" / name).read_bytes()
        assert written == (tmp_path / "a" / "s" / name).read_bytes()
    with pytest.raises(CheckpointError, match="there is no"):
        load_model(tmp_path / "c")
    store.database.jobs.update_one({"_id": first.winner.id}, {"$set": {"exp_key": "another"}})
    with pytest.raises(NotFound, match="somebody wrote into it; its model is in"):
        StudyRun(store, study, data, folder, True, lambda _: None, threading.Event()).run()


def test_a_larger_budget_reopens_a_study(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """A finished study whose budget grows keeps its trials and adds the missing ones."""
    run(store, mongo_uri, tmp_path, trials=2, refit=False)
    before = store.trials.find("s", SEARCH)
    result = run(store, mongo_uri, tmp_path, trials=5, refit=False)
    trials = store.trials.find("s", SEARCH)
    assert [trial.tid for trial in trials] == list(range(5))
    assert [trial.result for trial in trials[:2]] == [trial.result for trial in before]
    assert result.winner.tid == min(trials, key=loss_of).tid
    assert len(store.trials.find("s", BASELINE)) == 2


def test_a_study_is_compared_with_untuned_and_usual_settings(
    store: Store, mongo_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summary, picture, status and dashboard have both; a study that ended before has them too."""

    def act(store: Store, trial: Trial) -> None:
        accuracy = (0.109, 0.642)[trial.tid] if trial.purpose == BASELINE else 1 - loss_of(trial)
        device = {"device": "cpu (test)", "torch": "0"}
        deliver(store, trial, weights_of(trial), validation_accuracy=accuracy, trained_on=device)

    drawn: list[Any] = []
    path = "hyperhive.coordinator.views.picture.draw"
    monkeypatch.setattr(path, lambda file, *given: drawn.append(given[2]) or file)
    first = run(store, mongo_uri, tmp_path, act)
    again = run(store, mongo_uri, tmp_path, act)
    for result in (first, again):
        assert (result.untuned_accuracy, result.usual_accuracy) == (0.109, 0.642)
        said = plain(summary(result))
        found = re.escape(f"{100 * (1 - loss_of(result.winner)):.1f}")
        story = rf"validation  10.9 % untuned -> 64.2 % with usual settings -> {found} % with this"
        assert re.search(story, said)
        assert "usual settings: learning rate 0.01, epochs 10, momentum 0.9\n" in said
    # Nothing was written, so it is drawn again.
    assert drawn == [{"untuned": 0.109, "usual settings": 0.642}] * 2
    state = FleetReader(store).read().studies[0]
    assert (state.untuned_accuracy, state.usual_accuracy) == (0.109, 0.642)


def test_a_study_of_more_than_three_numbers_tells_how_far_it_came(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """From the untuned over the best three numbers to its winner, in one line of every view.

    The winner's figure is the mean of its folds, which is said with their spread.
    """
    folds = [0.832, 0.841, 0.85]
    found = {(BASELINE, 0): 0.109, (BASELINE, 2): 0.704}

    def act(store: Store, trial: Trial) -> None:
        accuracy = found.get((trial.purpose, trial.tid), 0.841)
        of_folds = {"fold_accuracies": folds, "fold_deviation": 0.009}
        of_folds["validation_balanced_accuracy"] = 0.836
        more = of_folds if trial.purpose == SEARCH else {}
        device = {"device": "cpu (test)", "torch": "0"}
        said = {"validation_accuracy": accuracy, "trained_on": device, **more}
        deliver(store, trial, weights_of(trial), **said)

    rate = {"distribution": "loguniform", "low": 0.01, "high": 0.1}
    space = parse({"learning_rate": rate, "epochs": 3, "momentum": 0.5, "mirror": True})
    given = {"trials": 1, "space": space, "folds": 3}
    for result in [run(store, mongo_uri, tmp_path, act, **given) for _ in range(2)]:
        said = plain(summary(result))
        assert (
            "\nvalidation  10.9 % untuned -> 70.4 % with three numbers tuned -> "
            "84.1 % with this search\n"
        ) in said
        assert "\nfolds       84.1 % ± 0.9 over 3 folds (83.2 to 85.0 %)\n" in said
        assert "83.6 % of validation images, if all classes count alike\n" in said
    fleet = FleetReader(store).read()
    assert fleet.studies[0].tuned_accuracy == 0.704
    test, shown = result.card.test_accuracy, study_of(store, fleet.studies[0].name)
    tuned = next(e for e in shown["progress"]["baselines"] if e["name"] == "three numbers tuned")
    assert round(tuned["value"], 3) == 0.704
    assert "84.1 % ± 0.9" in shown["sentence"][0]
    tested = with_interval(test, TEST_IMAGES)
    assert f"test: {tested}" in shown["sentence"]
    assert f"test {tested}" in plain(status_report(store, None))
    described = plain(stored_model.describe(stored_model.from_store(store, "s")))
    assert "folds    84.1 % ± 0.9 over 3 folds (83.2 to 85.0 %)\n" in described


def test_the_images_of_the_first_fold_calibrate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of a trial with folds are those of its first, which has not seen these."""
    torch.manual_seed(0)
    packed, data, seen = pack_weights(LeNet5(1, 2)), tiny(), []
    config = TrainConfig("", 0.1, 1, 0.5, split_seed=3, folds=5).to_json()
    sha256 = hashlib.sha256(packed).hexdigest()
    card = Card(["dark", "light"], 1, [0.5], [0.5], sha256, {}, config)

    def spied(model: Any, images: torch.Tensor, *given: Any) -> Evaluation:
        seen.append(images.permute(0, 2, 3, 1).numpy())
        return evaluate(model, images, *given)

    monkeypatch.setattr("hyperhive.coordinator.evaluation.evaluate", spied)
    assert calibrate(packed, card, data).validated == 8
    assert np.array_equal(seen[0], data.train_images[data.validation_split(0, 3, 5, 0)[1]])
    with pytest.raises(CheckpointError, match="of another data set: folds = 5"):
        calibrate(packed, card, dataclasses.replace(data, validation=4))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trials": 3}, "tpe begins when 10 have finished (startup), and this study ended with 3"),
        ({"trials": 3, "startup": 3, "algorithm": "anneal"}, "anneal begins when 3 have finished"),
        ({"trials": 4, "startup": 3}, None),
        ({"trials": 3, "algorithm": "random"}, None),
    ],
)
def test_a_study_that_was_random_search_says_so(
    store: Store, mongo_uri: str, tmp_path: Path, changed: Any, said: str | None
) -> None:
    """Until ``startup`` trials have finished no algorithm chooses: the summary tells."""
    for result in [run(store, mongo_uri, tmp_path, refit=False, **changed) for _ in range(2)]:
        shown = plain(summary(result))
        assert ("drawn       all trials at random: " in shown) is (said is not None)
        assert said is None or said in shown


@pytest.mark.long
def test_a_failed_baseline_does_not_fail_the_study(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """If the untuned configuration gives no result, the study ends without its accuracy."""

    def act(store: Store, trial: Trial) -> None:
        if trial.purpose == BASELINE:
            store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "no")
        else:
            train(store, trial)

    result = run(store, mongo_uri, tmp_path, act)
    assert (result.untuned_accuracy, result.usual_accuracy) == (None, None)
    assert result.picture is not None
    assert result.picture.is_file()


# -- how a study fails -------------------------------------------------------------------------


def test_a_study_in_which_all_diverged_says_so(
    store: Store, mongo_uri: str, tmp_path: Path
) -> None:
    """Without a usable trial the study fails with one sentence that says what to change."""

    def act(store: Store, trial: Trial) -> None:
        deliver(store, trial, diverged=True, loss=1.0, validation_accuracy=None)

    with pytest.raises(StudyFailed) as failed:
        run(store, mongo_uri, tmp_path, act)
    assert str(failed.value) == (
        "study s has no result: 3 of 3 diverged: lower the learning rate's bounds; its 3 trials "
        "are not run again: start it with more trials (`--trials 6`, in Python `trials=6`), under "
        "another name (`--name`, `name=`), or after `hyperhive study delete s`"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failed_refit_names_the_way_out(store: Store, mongo_uri: str, tmp_path: Path) -> None:
    """A refit without weights ends in one sentence with its reason and --no-refit."""

    def act(store: Store, trial: Trial) -> None:
        if trial.purpose == REFIT:
            store.queue.fail(trial, ErrorKind.BAD_PAYLOAD, "the reason")
        else:
            train(store, trial)

    with pytest.raises(StudyFailed) as failed:
        run(store, mongo_uri, tmp_path, act)
    assert "the reason" in str(failed.value)
    assert "--no-refit" in str(failed.value)
    assert run(store, mongo_uri, tmp_path, refit=False).card.test_accuracy is not None


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"trials": 2}, "trials was 3 and is 2"),
        ({"trials": 9, "algorithm": "random"}, "algorithm was 'tpe' and is 'random'"),
        (
            {"space": ROBUST},
            "space.epochs.high was 30 and is 60",
        ),
    ],
)
def test_a_study_that_changed_is_refused(store: Store, changed: Any, shown: str) -> None:
    """A name that another specification uses is refused; the message names the difference."""
    open_study(store, plan(), tiny())
    with pytest.raises(StudyChanged) as refused:
        open_study(store, plan(**changed), tiny())
    assert shown in str(refused.value)
    assert "choose another name" in str(refused.value)
    stored = store.studies.get("s")
    assert stored is not None
    assert stored.spec["trials"] == 3


def test_a_study_whose_data_changed_is_refused(store: Store) -> None:
    """Other images under the same study's name are another study."""
    open_study(store, plan(), tiny())
    other = tiny()
    other.train_images[0] = 7
    with pytest.raises(StudyChanged, match=r"dataset\.content_hash was"):
        open_study(store, plan(), other)


def test_opening_a_study_publishes_its_data_once(store: Store) -> None:
    """Workers can fetch the data set by its hash; opening again stores no second copy."""
    data = tiny()
    for _ in range(2):
        open_study(store, plan(), data)
    fetched = Dataset.unpack(store.datasets.fetch(data.content_hash), data.content_hash)
    assert fetched.classes == data.classes
    assert store.client.hyperhive.fs.files.count_documents({}) == 1


# -- what a person sees ------------------------------------------------------------------------


def test_a_summary_can_be_copied_from_a_log(store: Store, mongo_uri: str) -> None:
    """On a console of 80 columns, no path and no command is wrapped."""
    folder = Path("/home/somebody/a-folder-with-a-long-name/and-another-one-below-it/models/s")
    winner = best_of(only_search(store, mongo_uri))
    assert winner is not None
    config = {**winner.config, "train_on_all": True}
    card = Card(["a", "b"], 1, [0.5], [0.5], "", {}, config, test_accuracy=0.875)
    result = Result(winner, card=card, folder=folder, picture=folder / PICTURE_FILE)
    shown = plain(summary(result), width=80)
    assert "87.5 % of test images (refitted" in shown
    assert "unknown with this search" in shown
    assert str(folder / WEIGHTS_FILE) in shown
    assert str(folder / PICTURE_FILE) in shown
    assert f"predict-cam --model {folder}" in shown


def test_status_shows_studies_trials_and_workers(store: Store, mongo_uri: str) -> None:
    """The report has a line for each study with its counts, and one for each live worker."""
    assert "no study yet" in plain(status_report(store, None))
    only_search(store, mongo_uri)
    store.studies.conclude("s", {"card": {"test_accuracy": 0.875}})
    open_study(store, plan(name="another", trials=9), tiny())
    store.workers.report("nano-12", None, "cuda (Tegra X1)", {}, None)
    shown = plain(status_report(store, None))
    (ended,) = [line for line in shown.splitlines() if "3 of 3" in line]
    assert "87.5 %" in ended
    (another,) = [line for line in shown.splitlines() if "another" in line]
    assert "0 of 9" in another
    (worker,) = [line for line in shown.splitlines() if "nano-12" in line]
    assert "cuda (Tegra X1)" in worker
    assert "idle" in worker
    assert "another" not in plain(status_report(store, "s"))
    with pytest.raises(NotFound, match="there is no study 'nope'"):
        status_report(store, "nope")


def test_status_shows_what_went_wrong(store: Store) -> None:
    """Expired leases, trials run again, late results and failed devices, with their trials."""
    open_study(store, plan(name="calm"), tiny())
    open_study(store, plan(), tiny())
    assert "went wrong" not in plain(status_report(store, None))
    for tid in range(3):
        store.queue.post(Draft("s", tid, {"learning_rate": 0.01}, {}, objective="lenet5"))
    silent = claimed(store, lease=0.0)
    deliver(store, claimed(store))  # the same trial, which was up again
    deliver(store, silent)
    store.queue.give_back(claimed(store), device_error="no memory")
    store.queue.claim("w2", new_token(), ["lenet5"], lease=0.0)
    store.workers.report("nano-12", None, "cpu", {}, None, undelivered=2)
    shown = plain(status_report(store, None))
    assert (
        "taken again after a worker was lost or stopped, or an attempt failed: trials 0, 1" in shown
    )
    assert "second result kept, not counted: trial 0" in shown
    assert "silent worker, the next free one takes it: trial 1" in shown
    assert "the device of a worker failed, others may take it: trial 1" in shown
    assert "idle; results that wait on its device: 2" in shown
    workers = store.client.hyperhive.workers
    workers.update_many({}, [{"$set": {"last_seen": {"$subtract": ["$$NOW", 300_000]}}}])
    assert "lost: killed, asleep or cut off; results that wait" in plain(status_report(store, None))
    for worker in ("w3", "w4"):  # its last attempts
        store.queue.claim(worker, new_token(), ["lenet5"], lease=0.0)
    assert "silent worker, the next" not in plain(status_report(store, None))
    store.cancel_study("s")
    assert "s (cancelled)" in plain(status_report(store, None))


def test_status_tells_the_errors_of_trials(store: Store) -> None:
    """How many have failed and the last error; one that runs again names the objective's error."""
    open_study(store, plan(), tiny())
    for tid, attempts in enumerate((1, 1, 3)):
        draft = Draft("s", tid, {"learning_rate": 0.01}, {}, "lenet5", max_attempts=attempts)
        store.queue.post(draft)
        store.queue.fail(claimed(store), ErrorKind.OBJECTIVE, f"KeyError: ':train: {tid}'")
    shown = plain(status_report(store, None))
    assert "2 trials failed (the last error: KeyError: ':train: 1')" in shown
    assert (
        "an attempt failed, and is made again (the last error: KeyError: ':train: 2'): trial 2"
        in shown
    )
    assert "lost" not in shown
    store.cancel_study("s")
    assert "2 trials failed" in plain(status_report(store, None))


def test_an_attempt_that_fails_is_shown_at_once(store: Store) -> None:
    """In a log it is told once for each attempt; the panel shows what waits for its next."""
    store.queue.post(Draft("s", 0, {}, {}, "lenet5"))
    told = Screen(file=io.StringIO(), width=200)
    lines = Lines(told)
    for _ in range(3):
        store.database.jobs.update_one({}, {"$set": {"not_before": None}})
        store.queue.fail(claimed(store), ErrorKind.OBJECTIVE, "KeyError: ':train:'")
        for _ in range(2):
            lines.show(snapshot(store))
            if store.trials.find("s")[0].attempts == 2:
                shown = "trial 0: attempt 2 of 3 failed (KeyError: ':train:')"
                assert shown in plain(panel(snapshot(store)))
    failed = "failed (KeyError: ':train:')"
    assert told.file.getvalue().splitlines()[1:] == [  # type: ignore[attr-defined]
        f"trial 0: attempt 1 of 3 {failed}",
        f"trial 0: attempt 2 of 3 {failed}",
        f"[1/3] trial 0: {failed}; best none yet",
    ]


def test_status_shows_a_second_copy(store: Store) -> None:
    """The worker of the copy has a line with its own progress, next to that of the holder."""
    open_study(store, plan(), tiny())
    store.queue.post(Draft("s", 0, {"learning_rate": 0.01}, {}, objective="lenet5", cost=30))
    slow = claimed(store)
    store.queue.heartbeat(slow, {"epoch": 2, "epochs": 30, "done": 2})
    an_hour_ago = {"book_time": {"$subtract": ["$refresh_time", 3_600_000]}}
    store.client.hyperhive.jobs.update_many({}, [{"$set": an_hour_ago}])
    copy = store.queue.copy("mac-1", new_token(), ["lenet5"], "s", 1.0)
    assert copy is not None
    store.queue.heartbeat(copy, {"epoch": 9, "epochs": 30, "done": 9})
    for trial in (slow, copy):
        store.workers.report(str(trial.owner), None, "cpu", {}, "s/0")
    shown = plain(status_report(store, "s"))
    assert "s, trial 0: epoch 2 of 30" in shown
    (line,) = [line for line in shown.splitlines() if "mac-1" in line]
    assert "s, second copy of trial 0: epoch 9 of 30" in line
    assert "went wrong" not in shown


def test_status_names_studies_in_full_on_a_narrow_console(store: Store, mongo_uri: str) -> None:
    """A study's name can be read, and copied, on a console of 80 columns."""
    only_search(store, mongo_uri, "demo-simpsons-0123ab")
    store.studies.conclude("demo-simpsons-0123ab", {"card": {"test_accuracy": 0.875}})
    assert "demo-simpsons-0123ab" in plain(status_report(store, None), 80)


def test_a_long_name_leaves_the_numbers_whole(store: Store) -> None:
    """That of a search in Python; and without a worker there is no table of them."""
    name = "mydigits-20261129-160547-bb9e"
    open_study(store, plan(name=name), tiny())
    shown = plain(status_report(store, None), 80)
    assert {"done", "running", "waiting", "failed", "0 of 3"} <= {
        each.strip() for line in shown.splitlines() for each in re.split("[│┃]", line)
    }
    assert "workers\n" not in shown


def snapshot(store: Store, **fields: Any) -> Snapshot:
    state = StudyState("s", 3, tuple(store.trials.find("s", SEARCH)))
    return Snapshot(state, "searching", tuple(store.workers.present("s")), **fields)


def test_a_log_has_a_line_for_each_trial_that_ends(store: Store, mongo_uri: str) -> None:
    """Without a terminal, each trial, each phase and a resume is one line."""
    only_search(store, mongo_uri)
    done = snapshot(store)
    empty = Snapshot(StudyState("s", 3, ()), "searching")
    console = Screen(width=80, force_terminal=False)
    lines = Lines(console)
    with console.capture() as capture:
        for each in (empty, done, done):
            lines.show(each)
    shown = capture.get().splitlines()
    assert shown[0].startswith("s: no worker yet: run `hyperhive worker`")
    deserted = dataclasses.replace(empty, had_workers=True)
    with console.capture() as capture:
        Lines(console).show(deserted)
    assert "all workers are gone: run `hyperhive worker`" in capture.get()
    assert [line.split(":")[0] for line in shown[2:]] == [
        f"[{trial.tid + 1}/3] trial {trial.tid}" for trial in done.study.searched
    ]
    assert len(shown) == 5
    with console.capture() as capture:
        Lines(console).show(done)
    assert "resumed; 3 of 3 trials have ended" in capture.get()


def test_the_panel_shows_what_each_worker_does(store: Store) -> None:
    """The panel shows the counts, and the trial and epoch of each worker or that there is none."""
    study = open_study(store, plan(), tiny())
    assert "no worker yet" in plain(panel(snapshot(store)))
    config = study.config({"learning_rate": 0.02, "epochs": 9.0, "momentum": 0.5})
    store.queue.post(Draft("s", 0, config, {}, objective="lenet5"))
    store.workers.report("nano-12", None, "cuda", {}, None)
    trial = store.queue.claim("nano-12", "token", ["lenet5"])
    assert trial is not None
    assert doing(trial) == "trial 0"
    store.queue.heartbeat(trial, {"epoch": 3, "epochs": 9, "validation_accuracy": 0.612})
    shown = plain(panel(snapshot(store)))
    assert "0 of 3 done, 1 running, 0 waiting, 0 failed" in shown
    assert "trial 0: epoch 3 of 9, 61.2 %" in shown
    store.queue.heartbeat(trial, {"step": 3, "accuracy": 0.6125, "loss": 1.0, "a": 1, "b": 2})
    assert "trial 0: step 3, accuracy 0.6125, loss 1, a 1\n" in plain(panel(snapshot(store)))
    assert "no worker yet" not in shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (89.0, "about 89 s left"), (150.0, "about 2 min left")]
)
def test_time_left_is_rounded(seconds: Any, shown: str) -> None:
    """It is in seconds below 90, in minutes above, and empty if it is unknown."""
    assert time_left(seconds) == shown


def test_a_signal_in_the_middle_of_a_wait_does_not_deadlock() -> None:
    """A handler may interrupt code that holds the event's lock; a second signal interrupts all."""
    with StopSignals() as signals:
        ask: Any = signal.getsignal(signal.SIGTERM)
        handler = threading.Thread(target=ask, args=(signal.SIGTERM, None), daemon=True)
        with signals.stop._cond:  # type: ignore[attr-defined]
            handler.start()
            handler.join(60)
            assert not handler.is_alive()
        assert signals.stop.wait(60)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
