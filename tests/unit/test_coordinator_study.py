"""A study: read from a file, checked, bound to its data, compared."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyperhive.common.errors import ConfigError, DatasetError, UsageError
from hyperhive.coordinator.demo import plan as demo_plan
from hyperhive.coordinator.planning.datasets import DatasetOptions
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.planning.study_file import read_file
from hyperhive.coordinator.session import StudyOptions, plan_of
from hyperhive.coordinator.spaces.named import CLASSIC, QUICK, ROBUST, named
from hyperhive.coordinator.spaces.parsing import parse
from hyperhive.coordinator.spaces.search_space import to_json
from hyperhive.coordinator.study import Study, differences, require_networks
from hyperhive.model.augmentation.views import mirrors
from hyperhive.model.config import UNTUNED, USUAL, TrainConfig
from hyperhive.model.data.dataset import Dataset
from hyperhive.model.data.loading import DatasetRequest, LoadedDataset
from hyperhive.store.trials.terms import BASELINE
from hyperhive.store.trials.trial import Trial

EVERY_KEY = """
name = "every-key"
trials = 7
algorithm = "anneal"
seed = 3
validation = 0.25
batch_size = 32
augment = "camera"
network = "torchvision:resnet18"
startup = 4
max_attempts = 2
metric = "validation_accuracy"
direction = "maximize"
target = "validation_accuracy >= 0.9"
max_time = "2 h"
patience = 5
pruner = "asha"
try = [{ epochs = 2, learning_rate = 0.05, momentum = 0.5 }]

[dataset]
name = "folder"
data = "images/pets.zip"
gray = true
strict = true
image_size = 64

[space]
epochs = { distribution = "quniform", low = 1, high = 3, step = 1 }
learning_rate = { distribution = "loguniform", low = 0.01, high = 0.1 }
momentum = { distribution = "uniform", low = 0.0, high = 0.9 }
"""


HIDDEN = '{ distribution = "quniform", low = 16, high = 128, step = 16 }'


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


def plan(**changed: Any) -> Plan:
    return Plan(**{"name": "s", "data": DatasetRequest("digits"), **changed})


def tiny(name: str = "tiny") -> Dataset:
    images = np.zeros((8, 28, 28, 1), np.uint8)
    labels = np.array([0, 1] * 4, np.int64)
    return Dataset(name, ("a", "b"), images, labels, images, labels)


# -- the file ----------------------------------------------------------------------------------


def test_a_file_may_set_every_field_of_a_plan(tmp_path: Path) -> None:
    """All keys are read, and a relative data path starts at the file's folder."""
    read = Plan(**read_file(write(tmp_path, EVERY_KEY)))
    assert read == Plan(
        name="every-key",
        data=DatasetRequest("folder", tmp_path / "images/pets.zip", True, True, image_size=64),
        network="torchvision:resnet18",
        trials=7,
        algorithm="anneal",
        seed=3,
        validation=0.25,
        batch_size=32,
        augment="camera",
        startup=4,
        max_attempts=2,
        metric="validation_accuracy",
        direction="maximize",
        target="validation_accuracy >= 0.9",
        max_time="2 h",
        patience=5,
        pruner="asha",
        known=({"epochs": 2, "learning_rate": 0.05, "momentum": 0.5},),
        space=parse(
            {
                "epochs": {"distribution": "quniform", "low": 1, "high": 3, "step": 1},
                "learning_rate": {"distribution": "loguniform", "low": 0.01, "high": 0.1},
                "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.9},
            }
        ),
    )


def test_an_absolute_data_path_stays_as_it_is(tmp_path: Path) -> None:
    """Only a relative path starts at the study file's folder."""
    text = '[dataset]\nname = "folder"\ndata = "/somewhere/else"\n'
    assert read_file(write(tmp_path, text))["data"].data == Path("/somewhere/else")


def test_a_data_path_may_begin_with_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shell reads a study file; ~ means the same in it."""
    monkeypatch.setenv("HOME", "/home/me")
    text = '[dataset]\nname = "folder"\ndata = "~/pictures"\n'
    assert read_file(write(tmp_path, text))["data"].data == Path("/home/me/pictures")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    """Notepad and PowerShell write one."""
    (tmp_path / "study.toml").write_bytes('name = "pets"\r\ntrials = 3\r\n'.encode(encoding))
    assert read_file(tmp_path / "study.toml") == {"name": "pets", "trials": 3}


def test_a_file_may_name_its_space(tmp_path: Path) -> None:
    """A name stands for bounds and augmentation; a key of the file wins, whatever the order."""
    assert read_file(write(tmp_path, 'space = "robust"')) == {"space": ROBUST, "augment": "camera"}
    plain = read_file(write(tmp_path, 'augment = "none"\nspace = "robust"'))
    assert plain == {"space": ROBUST, "augment": "none"}


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    """Every key is optional: the command line may give the rest."""
    assert read_file(write(tmp_path, "")) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trails = 3", "has an unknown key: trails"),
        (
            "trails = 3",
            "there are algorithm, augment, batch_size, dataset, direction, folds, max",
        ),
        ("data = 'x'", "has an unknown key: data"),
        ('[dataset]\nname = "digits"\ngrey = true', "unknown key: dataset.grey"),
        ("[dataset]\nname = 3", "dataset.name must be a string"),
        ('[dataset]\nname = "digits"\ngray = "yes"', "dataset.gray must be true or false"),
        ('[dataset]\nname = "digits"\nimage_size = "64"', "dataset.image_size must be a whole"),
        ('[dataset]\nname = "digits"\nimage_size = 16', "image_size must be a whole number from"),
        ('[dataset]\nname = "mnist"', "unknown data set 'mnist': choose one of simpsons"),
        ("[dataset]\ngray = true", "dataset.name is missing: choose one of simpsons"),
        ("dataset = 'digits'", "[dataset] must be a table"),
        ("space = 3", "[space] must be a table, or the name of a space: classic, robust"),
        ("space = 'narrow'", "no space is called 'narrow': choose one of classic, robust"),
        (EVERY_KEY.replace("high = 3", "high = 0"), "epochs: low must be below high"),
        (EVERY_KEY.replace("try = [", "try = [3, "), "try must be a list of configurations"),
        ("trials = = 3", "is not valid TOML"),
        ("trials: 3", "is not valid TOML"),
        pytest.param("trials = " + "9" * 5000, "is not valid TOML", id="5,000 digits"),
        pytest.param("trials = " + "[" * 100_000, "is not valid TOML", id="deep"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    """Each refusal is one line that names the file and what is wrong in it."""
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        read_file(path)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"name = '\xff'"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: Any) -> None:
    """A file that is missing, or is not text, is a usage error that names it."""
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"study\.toml"):
        read_file(path)


# -- the plan ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "a study's name"),
        ({"name": "a/b"}, "a study's name"),
        ({"name": ".."}, "a study's name"),
        ({"name": "a\n"}, "a study's name"),
        ({"name": "n" * 65}, "a study's name"),
        ({"name": 7}, "a study's name"),
        ({"algorithm": "grid"}, "algorithm must be one of tpe, random, anneal"),
        ({"augment": "flip"}, "augment must be one of none, camera"),
        ({"augment": ["camera"]}, "augment must be one of none, camera"),
        ({"network": ""}, "network must be the name of a network"),
        ({"network": "x", "objective": "mine"}, 'network = "x" is for objective lenet5'),
        ({"trials": 0}, "trials must be a whole number, 1 or more"),
        ({"trials": 2.5}, "trials must be a whole number, 1 or more"),
        ({"trials": True}, "trials must be a whole number, 1 or more"),
        ({"trials": "9"}, "trials must be a whole number, 1 or more"),
        ({"seed": -1}, "seed must be a whole number, 0 or more"),
        ({"batch_size": 0}, "batch_size must be a whole number, 1 or more"),
        ({"startup": 0}, "startup must be a whole number, 1 or more"),
        ({"max_attempts": 0}, "max_attempts must be a whole number, 1 or more"),
        ({"trials": 10**30}, "trials must be below 2**32"),
        ({"seed": 2**64}, "seed must be below 2**32"),
        ({"batch_size": 2**63}, "batch_size must be below 2**32"),
        ({"startup": 10**400}, "startup must be below 2**32"),
        ({"max_attempts": 2**32}, "max_attempts must be below 2**32"),
        ({"validation": 10**400}, "validation must be a number between 0 and 1"),
        ({"validation": 0.0}, "validation must be a number between 0 and 1"),
        ({"validation": 1}, "validation must be a number between 0 and 1"),
        ({"validation": "0.2"}, "validation must be a number between 0 and 1"),
        ({"validation": float("nan")}, "validation must be a number between 0 and 1"),
    ],
)
def test_an_impossible_plan_is_refused(changed: dict[str, Any], message: str) -> None:
    """Each refusal is one sentence that names the field and its rule."""
    with pytest.raises(UsageError) as refused:
        plan(**changed)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("seed", [2**32, 2**63])
def test_a_seed_that_workers_cannot_use_is_refused(seed: int) -> None:
    """A seed is refused if NumPy's RandomState (32 bits) or BSON (64) would fail later."""
    with pytest.raises(UsageError, match="seed"):
        plan(seed=seed)


def test_what_is_for_lenet5_alone_is_refused_for_another_objective(tmp_path: Path) -> None:
    """A key that its trials would not have: the refusal says where it belongs, if anywhere."""
    path = write(tmp_path, 'objective = "mine"\nbatch_size = 32\n')
    with pytest.raises(UsageError, match=r"batch_size is for objective lenet5: write it below"):
        read_file(path)
    with pytest.raises(UsageError, match=r'augment = "camera" is for objective lenet5'):
        plan(objective="mine", augment="camera")
    text = 'objective = "mine"\n[space]\nbatch_size = 32\nhidden = ' + HIDDEN
    mine = Plan(
        **{"name": "s", "data": DatasetRequest("digits"), **read_file(write(tmp_path, text))}
    )
    assert Study(mine, "hash", {}).config({"hidden": 16.0})["batch_size"] == 32


def test_numbers_that_the_store_has_no_room_for_are_refused(tmp_path: Path) -> None:
    """Whole numbers of more than eight bytes, and those that Python itself refuses to read."""
    for field in ("trials", "startup", "max_attempts", "batch_size"):
        with pytest.raises(UsageError, match=field + r" must be below 2\*\*32"):
            plan(**{field: 2**63})
    with pytest.raises(UsageError, match=r"study\.toml is not valid TOML"):
        read_file(write(tmp_path, "trials = " + "9" * 5000))


# -- the study ---------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["lenet5", "mine"])
def test_data_that_no_trial_could_use_is_refused(objective: str) -> None:
    """A class with one training image cannot be split; the refusal names it."""
    data = tiny()
    labels = np.array([0, 0, 0, 0, 0, 0, 0, 1], np.int64)
    small = Dataset(
        "small", ("cats", "dogs"), data.train_images, labels, *[data.test_images, labels]
    )
    with pytest.raises(
        DatasetError, match="class dogs has 1 training image beside its test images: add"
    ):
        Study.of(plan(objective=objective), small)


def test_a_spec_is_plain_json_with_all_that_results_depend_on() -> None:
    """The spec survives JSON, and has the plan, the space and the data's hash, but no names."""
    data = tiny()
    spec = Study.of(plan(seed=5, trials=9), data).spec()
    assert json.loads(json.dumps(spec)) == spec
    assert (spec["seed"], spec["trials"], spec["algorithm"]) == (5, 9, "tpe")
    assert spec["dataset"]["content_hash"] == data.content_hash
    assert parse(spec["space"]) == CLASSIC
    assert "name" not in spec
    assert "data" not in spec


def test_a_configuration_has_the_plans_seeds_and_the_trials_values() -> None:
    """Values of the space are used under their names; everything else comes from the plan."""
    study = Study(plan(seed=4, validation=0.3, batch_size=16), "hash", {})
    config = study.config({"learning_rate": 0.02, "epochs": 3.0, "momentum": 0.5})
    assert (
        config
        == TrainConfig(
            dataset="hash",
            learning_rate=0.02,
            epochs=3,
            momentum=0.5,
            batch_size=16,
            seed=4,
            validation_fraction=0.3,
            split_seed=4,
        ).to_json()
    )


def test_a_study_trains_its_network_or_searches_it() -> None:
    """The plan's, unless the space has it; a study of LeNet-5 has the specification of old.

    One that cannot be made here is refused, also where it is only one of several.
    """
    values = {"learning_rate": 0.02, "epochs": 3.0, "momentum": 0.5}
    another = Study.of(plan(network="tiny"), tiny())
    assert another.config(values)["network"] == "tiny"
    assert another.baselines()[0].config["network"] == "tiny"
    assert "network" not in Study.of(plan(), tiny()).spec()
    choice = {"network": {"choices": ["lenet5", "tiny"]}, "learning_rate": 0.1, "epochs": 1}
    searched = plan(space=parse({**choice, "momentum": 0}))
    assert Study.of(searched, tiny()).config({"network": 1})["network"] == "tiny"
    for each in (another.plan, searched):
        with pytest.raises(UsageError, match="network 'tiny' is not known here: choose one of"):
            require_networks(each, tiny())
    require_networks(plan(), tiny())


@pytest.mark.parametrize(
    ("changed", "network"),
    [({"network": "teacher"}, {}), ({}, {"network": {"choices": ["lenet5", "teacher"]}})],
)
def test_what_does_not_go_together_is_refused_before_any_trial(
    changed: dict[str, Any], network: dict[str, Any]
) -> None:
    """A plan's network with a part of the space, and two options of which each may be chosen."""
    space = {"learning_rate": 0.1, "epochs": 1, "momentum": 0.5, **network}
    with pytest.raises(UsageError, match=r"search space, .*activation: activation and pooling are"):
        plan(space=parse({**space, "activation": {"choices": ["relu", "tanh"]}}), **changed)


def test_a_spec_has_augmentation_only_if_there_is_any() -> None:
    """A plan's trials augment as it says; without augmentation the spec is the one of old."""
    values = {"learning_rate": 0.02, "epochs": 3.0, "momentum": 0.5}
    robust = Study.of(plan(augment="camera"), tiny())
    assert robust.config(values)["augment"] == "camera"
    assert all("augment" not in each.config for each in robust.baselines())
    assert robust.spec()["augment"] == "camera"
    classic = Study.of(plan(), tiny())
    assert "augment" not in classic.config(values)
    assert "augment" not in classic.spec()
    assert differences(classic.spec(), robust.spec()) == ["augment was 'none' and is 'camera'"]


SPEC_OF_BEFORE: dict[str, Any] = {
    "trials": 12,
    "algorithm": "tpe",
    "seed": 0,
    "validation": 0.2,
    "batch_size": 64,
    "startup": 10,
    "max_attempts": 3,
    "objective": "lenet5",
    "space": {
        "learning_rate": {"distribution": "loguniform", "low": 0.001, "high": 0.1},
        "epochs": {"distribution": "quniform", "low": 5, "high": 5, "step": 1},
        "momentum": 0.9,
    },
    "dataset": {**tiny().card(), "content_hash": tiny().content_hash},
}


def test_a_space_that_the_plans_network_does_not_go_with_is_refused() -> None:
    """Now, and not when the search first draws such a value."""
    given: Any = {"name": "s", "data": DatasetRequest("digits"), **named("extended")}
    with pytest.raises(
        UsageError, match="search space, activation: activation and pooling are for"
    ):
        Plan(**given, network="torchvision:resnet18")


def test_a_flag_gives_the_teacher_that_the_space_of_a_file_needs(tmp_path: Path) -> None:
    """The file alone is refused, and the message says which flag to pass."""
    space = (
        "learning_rate = 0.1\nepochs = 1\nmomentum = 0\nteacher_weight = { choices = [0.1, 0.9] }"
    )
    path = write(tmp_path, f"[space]\n{space}")
    none = {field.name: None for field in dataclasses.fields(StudyOptions)}
    given: Any = {**none, "file": path, "images": DatasetOptions("digits", None)}
    options = StudyOptions(**given)
    with pytest.raises(UsageError, match=r"study file .* need a teacher \(--teacher\)"):
        plan_of(options)
    assert plan_of(dataclasses.replace(options, teacher=True)).teacher is True


def test_a_specification_of_the_version_before_is_that_of_now() -> None:
    """Its study is resumed by a plan that says the same, and so is one of another objective."""
    rate = SPEC_OF_BEFORE["space"]["learning_rate"]
    space = parse({"learning_rate": rate, "epochs": 5, "momentum": 0.9})
    now = Study.of(plan(trials=12, space=space), tiny())
    before = Study.stored("s", SPEC_OF_BEFORE)
    assert before.spec() == now.spec()
    assert before.config({"learning_rate": 0.02}) == now.config({"learning_rate": 0.02})
    assert now.spec() == {**SPEC_OF_BEFORE, "space": {**SPEC_OF_BEFORE["space"], "epochs": 5}}
    own = {**SPEC_OF_BEFORE, "objective": "mine", "space": {"hidden": rate}}
    mine = Study.of(plan(trials=12, objective="mine", space=parse({"hidden": rate})), tiny())
    assert Study.stored("s", own).spec() == mine.spec()


def test_a_space_may_search_the_batch_size() -> None:
    """A searched batch size wins over the plan's."""
    size = {"distribution": "quniform", "low": 16, "high": 128, "step": 16}
    space = parse({**to_json(CLASSIC), "batch_size": size})
    study = Study(plan(batch_size=64, space=space), "hash", {})
    values = {"learning_rate": 0.02, "epochs": 3.0, "momentum": 0.5, "batch_size": 32.0}
    assert study.config(values)["batch_size"] == 32


def test_the_baselines_are_untuned_and_as_is_usual() -> None:
    """Each differs from a trial in the three hyperparameters only; the seed's is the first."""
    study = Study(plan(seed=4), "hash", {})
    tuned = study.config({"learning_rate": 0.9, "epochs": 30.0, "momentum": 0.8})
    assert USUAL == {"learning_rate": 0.01, "momentum": 0.9, "epochs": 10}
    for draft, tid, choice in zip(study.baselines(), (0, 1), (UNTUNED, USUAL)):
        assert (draft.purpose, draft.tid, draft.cost) == (BASELINE, tid, choice["epochs"])
        assert {key: draft.config[key] for key in choice} == choice
        assert {key for key in draft.config if draft.config[key] != tuned[key]} == set(choice)


def test_a_search_of_more_is_compared_with_the_best_three_numbers() -> None:
    """Whatever of the further hyperparameters it has: the usual settings were beaten long ago."""
    for more in (
        {"mirror": True},
        {"weight_decay": {"distribution": "uniform", "low": 0, "high": 1}},
    ):
        study = Study(plan(space=parse({**to_json(CLASSIC), **more})), "hash", {})
        untuned, tuned = study.baselines()
        assert (untuned.tid, untuned.config["epochs"]) == (0, 2)
        assert (tuned.tid, tuned.config["learning_rate"], tuned.cost) == (2, 0.099, 19)
        assert not {"mirror", "weight_decay"} & {*untuned.config, *tuned.config}
    batch = Study(plan(space=parse({**to_json(CLASSIC), "batch_size": 32})), "hash", {})
    assert [draft.tid for draft in batch.baselines()] == [0, 1]


def test_a_study_with_folds_gives_them_to_all_its_trials() -> None:
    """A trial's length is that of all its trainings; without folds the study is as before."""
    study = Study(plan(folds=5), "hash", {})
    (trial, untuned, usual) = (study.suggested(0, VALUES), *study.baselines())
    assert [each.config["folds"] for each in (trial, untuned, usual)] == [5, 5, 5]
    assert [each.cost for each in (trial, untuned, usual)] == [15, 10, 50]
    assert Study.stored("s", study.spec()).spec() == study.spec()
    assert "folds" not in Study(plan(), "hash", {}).spec()
    assert "folds" not in Study(plan(), "hash", {}).suggested(0, VALUES).config


VALUES = {"learning_rate": 0.02, "epochs": 3.0, "momentum": 0.5}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"folds": 1}, "folds must be 0, or 2 or more"),
        ({"folds": 5, "validation": 0.3}, "validation and folds exclude each other"),
        ({"folds": 5, "objective": "mine"}, "folds are for objective lenet5, and this study's is"),
        (
            {"space": parse({**to_json(CLASSIC), "folds": 5})},
            "all trials of a study are validated alike: write folds above",
        ),
    ],
)
def test_folds_that_no_study_can_have_are_refused(changed: dict[str, Any], said: str) -> None:
    """Before anything is posted, in a sentence that names the key."""
    with pytest.raises(UsageError, match=said):
        plan(**changed)


def test_a_data_set_without_folds_is_refused_before_the_name_is_taken() -> None:
    """It says which images decide, or which class has too few."""
    with pytest.raises(ConfigError, match="has validation images of its own: omit folds"):
        Study.of(plan(folds=2), dataclasses.replace(tiny(), validation=4))
    with pytest.raises(ConfigError, match="choose fewer folds"):
        Study.of(plan(folds=2**20), tiny())


def test_each_difference_is_one_phrase() -> None:
    """Changed, added and removed keys are named with their path; equal ones are not."""
    old = {"seed": 0, "same": 1, "gone": True, "space": {"epochs": {"high": 30, "low": 2}}}
    new = {"seed": 1, "same": 1, "space": {"epochs": {"high": 20, "low": 2}}, "came": "x" * 99}
    assert differences(old, new) == [
        "came was None and is '{}...".format("x" * 56),
        "gone was True and is None",
        "seed was 0 and is 1",
        "space.epochs.high was 30 and is 20",
    ]
    assert differences(old, old) == []


# -- the demo's plan ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits", "My Photos", "träume", "n" * 70])
def test_a_demo_has_a_plan_for_data_of_any_name(name: str) -> None:
    """A folder's name need not be a valid study's name: the demo makes one from it."""
    assert demo_plan(LoadedDataset(tiny(name)), None, 0, None).name.startswith("demo-")


def test_a_demo_searches_what_suits_its_images() -> None:
    """The digits have the classic space, pictures the quick one, unless another is given."""
    digits, pictures = (LoadedDataset(tiny(name)) for name in ("digits", "pictures"))
    plans = [demo_plan(digits, None, 0, None), demo_plan(pictures, None, 0, None)]
    assert [(each.space, each.trials) for each in plans] == [(CLASSIC, 20), (QUICK, 12)]
    robust = demo_plan(pictures, None, 0, "robust")
    assert (robust.space, robust.augment, robust.trials) == (ROBUST, "camera", 30)


@pytest.mark.parametrize("name", ["quick", "extended"])
def test_a_named_space_mirrors_only_what_may_be_mirrored(name: str) -> None:
    """A mirrored 3 is no 3: trials of digits are not mirrored, in training or in validation."""
    given = Plan("s", DatasetRequest("digits"), **named(name))
    for may_mirror in (True, False):
        space = to_json(
            Study.of(given, dataclasses.replace(tiny(), may_mirror=may_mirror)).plan.space
        )
        assert ("mirror" in space, mirrors(str(space.get("views")))) == (may_mirror, may_mirror)


def test_the_study_of_the_best_lenet5_has_its_known_configurations() -> None:
    """examples/simpsons.toml fits the space that it names: its known configurations can be drawn.

    Trials and refits show what was searched, also where it is the default.
    """
    given = Plan(**read_file(Path(__file__).parents[2] / "examples" / "simpsons.toml"))
    study = Study.of(given, tiny())
    drafts = [study.known(tid, config) for tid, config in enumerate(given.known)]
    assert [draft.config["views"] for draft in drafts] == ["both", "both"]
    shown = ("schedule", "activation", "pooling", "cutout")
    assert [[draft.config[name] for name in shown] for draft in drafts] == [
        ["one-cycle", "relu", "max", 0.0],
        ["cosine", "relu", "max", 0.095],
    ]
    job = {"_id": 0, "exp_key": study.name, "misc": {"cmd": ["objective", "lenet5"]}}
    refit = study.refit(Trial.from_document({**job, "tid": 0, "config": drafts[0].config}))
    assert refit is not None
    assert refit.config == {**drafts[0].config, "train_on_all": True}


@pytest.mark.parametrize("mirrors", [{"mirror": True}, {"views": "both"}])
def test_a_space_of_ones_own_may_not_mirror_what_may_not_be_mirrored(mirrors: Any) -> None:
    """It is refused, and not trained after all; the owner may say that the images may be."""
    rate = {"distribution": "uniform", "low": 0.1, "high": 0.2}
    space = parse({"learning_rate": rate, "epochs": 2, "momentum": 0.5, **mirrors})
    digits = dataclasses.replace(tiny(), may_mirror=False)
    with pytest.raises(UsageError, match="those of data set tiny may not be mirrored: leave"):
        Study.of(plan(space=space), digits)
    assert Study.of(plan(space=space), tiny()).plan.space == space


def test_two_demos_have_two_studies() -> None:
    """No two runs of the demo share a study, and an explicit budget is kept."""
    first, second = (
        demo_plan(LoadedDataset(tiny("digits")), trials, 0, None) for trials in (None, 4)
    )
    assert first.name != second.name
    assert (first.trials, second.trials) == (20, 4)
