"""The devices that a study's trials ran on, side by side: how many trials, how fast, how often not.

A device is a host, or the name under which it was invited, and what trains there. A host with a
processor and a GPU is two. All workers of a device count as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence, Tuple

from hyperhive.common.values import mapping, number, sequence, text
from hyperhive.coordinator.figures.numbers import rounded, step_of
from hyperhive.coordinator.figures.numbers import text as shown
from hyperhive.coordinator.results.table import seconds_of
from hyperhive.store.trials.attempts import FAILED, LOST, Attempt
from hyperhive.store.trials.terms import LENET5, Status
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import host_of

_Device = Tuple[str, Optional[str]]
"""Its name and what describes it, if that is known."""


@dataclass(frozen=True)
class Devices:
    """The devices of a study, by their places in its figures.

    Args:
        all: each device's name and description.
        place: of each worker's device, by the worker's id.
    """

    all: Sequence[_Device]
    place: Mapping[str, int]

    @classmethod
    def of(
        cls,
        trials: Iterable[Trial],
        descriptions: Mapping[str, str],
        attempts: Mapping[Any, Sequence[Attempt]],
    ) -> Devices:
        """Return the devices of the workers that had a trial, in the order of their first one.

        A worker's record is kept for a day. After that, its trials' results tell what it was or, if
        it has none, what another worker of its host was, if that has one device alone.
        """
        workers: dict[str, str | None] = {}
        for trial in trials:
            for each in attempts.get(trial.id, ()):
                if each.worker is not None:
                    workers.setdefault(each.worker, None)
            if trial.owner is not None:
                reported = _reported(trial)
                workers[trial.owner] = reported or workers.get(trial.owner)
            if trial.copy is not None:
                workers.setdefault(trial.copy.worker, None)
        described = {each: kind or descriptions.get(each) for each, kind in workers.items()}
        hosts = _hosts(described)
        devices = {each: _device(each, kind, hosts) for each, kind in described.items()}
        found = list(dict.fromkeys(devices.values()))
        places = {device: place for place, device in enumerate(found)}
        return cls(found, {worker: places[device] for worker, device in devices.items()})

    def of_worker(self, worker: str | None) -> int | None:
        """Return the place of a worker's device; None without a worker."""
        return None if worker is None else self.place.get(worker)


def _reported(trial: Trial) -> str | None:
    return text(mapping(trial.result.get("trained_on")).get("device"))


def _hosts(described: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Return what is known of the devices of each host."""
    found: dict[str, list[str]] = {}
    for worker, kind in described.items():
        kinds = found.setdefault(host_of(worker) or worker, [])
        if kind is not None and kind not in kinds:
            kinds.append(kind)
    return found


def _device(worker: str, kind: str | None, hosts: Mapping[str, Sequence[str]]) -> _Device:
    host = host_of(worker) or worker
    alone = hosts[host][0] if len(hosts[host]) == 1 else None
    return host, kind or alone


def comparison(
    devices: Devices,
    trials: Iterable[Trial],
    attempts: Mapping[Any, Sequence[Attempt]],
    images: int | None,
) -> list[dict[str, Any]]:
    """Return a row for each device; what is not known is None.

    ``hours`` are those of the last attempts at trials that have ended. ``seconds_per_epoch`` is the
    time of training and validating of all its epochs, or of the steps that a function reported, by
    their number. ``failures`` are attempts that failed or were lost there.

    Args:
        devices: of the study.
        trials: those of all purposes.
        attempts: of those that were tried more than once.
        images: that LeNet-5 trains on in an epoch, if that is known.
    """
    rows = [_Row() for _ in devices.all]
    for trial in trials:
        its = attempts.get(trial.id, ())
        for each in its:
            place = devices.of_worker(each.worker)
            if each.how in (FAILED, LOST) and place is not None:
                rows[place].failures += 1
        place = devices.of_worker(trial.owner)
        if place is not None and trial.is_final:
            rows[place].take(trial)
    return [
        {"name": shown(name), "kind": kind and shown(kind), **row.as_json(images)}
        for (name, kind), row in zip(devices.all, rows)
    ]


@dataclass
class _Row:
    trials: int = 0
    failures: int = 0
    seconds: float = 0.0
    epochs: float = 0.0
    in_epochs: float = 0.0
    has_images: bool = True

    def take(self, trial: Trial) -> None:
        """Count a trial that ended there."""
        took = seconds_of(trial) or 0.0
        self.trials += trial.status is Status.DONE
        self.failures += trial.status is Status.ERROR
        self.seconds += took
        epochs = steps_of(trial)
        if trial.status is Status.DONE and epochs:
            self.epochs += epochs
            self.in_epochs += number(trial.result.get("seconds")) or took
            self.has_images &= trial.objective == LENET5 and not trial.config.get("folds")

    def as_json(self, images: int | None) -> dict[str, Any]:
        each = self.in_epochs / self.epochs if self.epochs else None
        is_known = images and each and self.has_images
        return {
            "trials": self.trials,
            "failures": self.failures,
            "hours": rounded(self.seconds / 3600),
            "seconds_per_epoch": rounded(each),
            "images_per_second": rounded(images / each) if is_known and images and each else None,
        }


def steps_of(trial: Trial) -> int | None:
    """Return how many epochs of a trial ended, or the last step that its function reported."""
    history = sequence(trial.result.get("history"))
    last = mapping(history[-1]) if history else (trial.progress or {})
    found = step_of(last)
    return None if found is None else int(found)
