"""``hyperhive dataset``: what there is, what is in one, and publishing it for other machines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.home import Home

from hyperhive.coordinator.api.plans import dataset_of, plan_of
from hyperhive.model.data.dataset import Dataset
from hyperhive.store.store import Store


@pytest.fixture
def pets(home: Home) -> Path:
    """Give a folder with 10 cats and 5 dogs; two cats are the same picture."""
    random = np.random.RandomState(0)
    for name, count in (("cat", 10), ("dog", 5)):
        (home.work / "pets" / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.randint(0, 256, (30, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(home.work / "pets" / name / f"{number}.png")
    (home.work / "pets/cat/9.png").write_bytes((home.work / "pets/cat/8.png").read_bytes())
    (home.work / "pets/dog/x.png").write_bytes(b"no picture")
    return home.work / "pets"


def test_the_list_says_what_each_needs(home: Home) -> None:
    """Each name stands with what it holds and what it needs, and no server is started for it."""
    said = home.call("dataset", "list").stdout
    for text in ("fashion-mnist\n", "cmu-faces:TASK\n", "needs: torchvision", "sha256:HASH"):
        assert text in said
    assert not home.mongo.exists()


def test_an_inspection_needs_no_server(home: Home, pets: Path) -> None:
    """It names duplicates, unreadable files and sizes; --json has them too."""
    command = ["dataset", "inspect", "--data", "pets"]
    said = home.call(*command, "--picture", "pets.png").stdout
    assert "exact duplicates" in said
    assert "cat/8.png = cat/9.png" in said or "cat/9.png = cat/8.png" in said
    assert "sizes: 40x30 (15)" in said
    assert "cat has 2.0 times as many training images as dog (8 and 4)" in said
    assert "left out 1 unreadable image: dog/x.png" in said
    with Image.open(home.work / "pets.png") as picture:
        assert picture.size == (724, 156)
    found = json.loads(home.call(*command, "--json", "--drop-duplicates").stdout)
    assert found["exact_duplicates"] == []
    assert found["sizes"] == {"40x30": 15}
    assert sum(sum(counts.values()) for counts in found["classes"].values()) == 14
    assert not home.mongo.exists()


def test_a_published_data_set_is_had_by_its_name(
    home: Home, store: Store, mongo_uri: str, pets: Path, tmp_path: Path
) -> None:
    """What it prints is a name under which a study has the images, without the folder."""
    how = {"HYPERHIVE_MONGO": mongo_uri}
    command = ["dataset", "publish", "--data", "pets"]
    said = home.call(*command, "--no-mirror", **how).stdout
    name = said.split()[-1]
    assert f"published as {name}" in said
    assert "was published before" in home.call(*command, "--no-mirror", **how).stdout
    refused = home.call(*command, **how)
    assert refused.returncode == 1
    assert "pass --mirror with --dataset sha256:" in refused.stderr
    listed = home.call("dataset", "list", "--published", **how).stdout
    assert listed == f"{name}  pets, 2 classes, 12 training and 3 test images\n"

    plan = plan_of("s", "lenet5", None, data=name)
    dataset = dataset_of(plan, None, store.datasets.fetch)
    assert dataset is not None
    assert f"sha256:{dataset.content_hash}" == name
    assert not dataset.may_mirror
    table = {"name": "folder", "data": str(pets), "drop_duplicates": True, "image_size": 32}
    own = dataset_of(plan_of("s", "lenet5", None, data=table), None, store.datasets.fetch)
    assert isinstance(own, Dataset)
    assert (len(own.train_labels) + len(own.test_labels), own.image_size) == (14, 32)
    done = home.call("coordinator", "--dataset", name, "--data", "pets", **how)
    assert done.returncode == 2
    assert "is in the store: omit --data" in done.stderr
