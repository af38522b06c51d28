"""What a data set holds and what is wrong with it, as lines for a person and as JSON."""

from __future__ import annotations

import collections
import json
from dataclasses import dataclass

import numpy as np

from hyperhive.common.wording import percent
from hyperhive.model.data.copies import Picture, exact_copies, is_contradicted, pictures
from hyperhive.model.data.dataset import SPLITS, TEST, TRAIN
from hyperhive.model.data.inspection.near import SIMILARITY, Nearest, nearest
from hyperhive.model.data.left_out import listed
from hyperhive.model.data.loaded import LoadedDataset


@dataclass(frozen=True)
class Inspection:
    """What was found: ``exact`` has groups of pictures that are equal, ``near`` similar ones."""

    loaded: LoadedDataset
    pictures: list[Picture]
    exact: list[list[Picture]]
    near: Nearest

    def lines(self) -> list[str]:
        """Return lines for a person; the data set's own notices are apart."""
        sizes = sorted(self.loaded.sizes.items(), key=lambda item: -item[1])
        shown = [f"{width}x{height} ({count:,})" for (width, height), count in sizes]
        return [
            *self.loaded.contents(),
            *(["sizes: " + listed(shown)] if shown else []),
            self._balance_sentence(),
            *self._exact_lines(),
            *self._near_lines(),
            f"hash: sha256:{self.loaded.dataset.content_hash}",
        ]

    def to_json(self) -> str:
        """Return all of it as JSON."""
        dataset = self.loaded.dataset
        counts = dataset.counts()
        found = {
            "name": dataset.name,
            "hash": dataset.content_hash,
            "channels": dataset.channels,
            "may_mirror": dataset.may_mirror,
            "classes": {
                name: {split: int(count[label]) for split, count in counts.items()}
                for label, name in enumerate(dataset.classes)
            },
            "sizes": {f"{w}x{h}": count for (w, h), count in self.loaded.sizes.items()},
            "details": self.loaded.details,
            "notices": self.loaded.notices,
            "exact_duplicates": [[self._described(each) for each in group] for group in self.exact],
            "near_duplicates": [
                {
                    "picture": self._described(self.pictures[index]),
                    "other": self._described(self.pictures[self.near.index[index, split]]),
                    "correlation": round(float(self.near.correlation[index, split]), 4),
                }
                for index, split in zip(*np.nonzero(self.near.correlation))
            ],
        }
        return json.dumps(found, indent=2)

    def _described(self, picture: Picture) -> dict[str, str]:
        label = self.loaded.dataset.classes[picture.label]
        return {"path": picture.path, "split": picture.split, "class": label}

    def _balance_sentence(self) -> str:
        dataset = self.loaded.dataset
        train, test = dataset.counts()[TRAIN], dataset.counts()[TEST]
        large, small = int(train.argmax()), int(train.argmin())
        names = dataset.classes
        if train[large] == train[small]:
            return f"balance: each class has {train[large]:,} training images"
        return (
            f"balance: {names[large]} has {train[large] / train[small]:.1f} times as many training "
            f"images as {names[small]} ({train[large]:,} and {train[small]:,}); who always says "
            f"{names[large]} is right for {percent(test[large] / test.sum())} of the test images"
        )

    def _exact_lines(self) -> list[str]:
        if not self.exact:
            return ["exact duplicates: none"]
        found = collections.defaultdict(list)
        for group in self.exact:
            are_between = len({each.split for each in group}) > 1
            paths = listed((each.path for each in group), " = ")
            found["between splits" if are_between else "in one split"].append(paths)
            if is_contradicted(group):
                found["in two classes, of which one must be wrong"].append(paths)
        return [f"exact duplicates {where}: {listed(groups)}" for where, groups in found.items()]

    def _near_lines(self) -> list[str]:
        counts = self.loaded.dataset.counts()
        lines = []
        for split, name in enumerate(SPLITS):
            mine = np.array([each.split == name for each in self.pictures])
            before = [each for each in SPLITS[:split] if each in counts]
            for where, splits in (
                (f"one of the {' or '.join(before)} split", slice(0, split)),
                ("another one there", slice(split, split + 1)),
            ):
                correlation = self.near.correlation[:, splits].max(axis=1, initial=0) * mine
                if correlation.any():
                    lines.append(
                        f"near duplicates: {np.count_nonzero(correlation):,} of {mine.sum():,} "
                        f"{name} images look like {where}, {self._example(correlation, splits)}"
                    )
        return lines or [f"near duplicates (correlation {SIMILARITY} or more): none"]

    def _example(self, correlation: np.ndarray, splits: slice) -> str:
        index = int(correlation.argmax())
        among = self.near.correlation[index, splits]
        other = self.pictures[self.near.index[index, splits][among.argmax()]]
        value = float(correlation[index])
        return f"such as {self.pictures[index].path} and {other.path} (correlation {value:.3f})"


def inspect(loaded: LoadedDataset) -> Inspection:
    """Look for what is there more than once, or nearly."""
    found = pictures(loaded.dataset, loaded.paths)
    exact = exact_copies(loaded.dataset, loaded.paths)
    return Inspection(loaded, found, exact, nearest(loaded.dataset, found, exact))
