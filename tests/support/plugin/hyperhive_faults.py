"""What a worker under test loads as a package of objectives: a quick one, and the faults inside.

It is found by its entry point, on the workers' PYTHONPATH, as any package of objectives is. Nothing
of hyperhive knows of it. The environment says what it is to do:

``HYPERHIVE_FAULTS_AUDIT``     a folder; each process notes there what it kept, what it delivered.
                               A trial goes on while a file ``hold-LEARNING_RATE`` is there.
``HYPERHIVE_FAULTS_SECONDS``   how long a quick trial takes.
``HYPERHIVE_FAULTS_DEAF``      the objective does not ask whether it should stop.
``HYPERHIVE_FAULTS_DIE_AT``    a step of ``STEPS``, ``BATCH`` or ``PRUNED`` after which the process
                               kills itself, once.
``HYPERHIVE_FAULTS_KILLER``    a learning rate: each run of a swift trial with it kills its process.
``HYPERHIVE_FAULTS_FREEZE``    a learning rate: the first swift trial with it freezes its process.
``HYPERHIVE_FAULTS_WITHOUT``   ``outbox``: what is taken away.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np
import safetensors.numpy

from hyperhive.store import store as store_module
from hyperhive.store.blobs import Blobs
from hyperhive.store.trials.queue import TrialQueue
from hyperhive.worker.objectives.api import Context, Outcome, Stopped
from hyperhive.worker.outbox import Outbox, _Unsaved
from hyperhive.worker.pruning.pruner import Pruner
from hyperhive.worker.running.entry import Entry

STEPS = {
    "claimed": (TrialQueue, "claim"),
    "kept": (Outbox, "add"),
    "uploaded": (Blobs, "put"),
    "finished": (TrialQueue, "finish"),
}
"""After which call of a worker's it dies, by the step's name; ``training`` is in the objective."""

BATCH = {
    "batch claimed": (TrialQueue, "claim_batch"),
    "batch kept": (Outbox, "add_batch"),
    "batch finished": (TrialQueue, "finish_batch"),
}
"""The same of a batch of short trials; ``BATCH_HALF`` are two more."""

BATCH_HALF = ("batch half run", "batch half finished")

PRUNED = {
    "pruned": (Pruner, "take_report"),
    "pruned and kept": (Outbox, "add"),
    "pruned and finished": (TrialQueue, "finish"),
}
"""The same of a trial that is pruned."""

_LENET5 = {
    "features.0": (6, 1, 5, 5),
    "features.3": (16, 6, 5, 5),
    "classifier.1": (120, 400),
    "classifier.3": (84, 120),
    "classifier.5": (10, 84),
}
"""The weights of a LeNet-5 for one channel and ten classes; each layer has a bias too."""

_AUDIT = os.environ.get("HYPERHIVE_FAULTS_AUDIT")
_SECONDS = float(os.environ.get("HYPERHIVE_FAULTS_SECONDS", "0.02"))
_DEAF = "HYPERHIVE_FAULTS_DEAF" in os.environ
_DIE_AT = os.environ.get("HYPERHIVE_FAULTS_DIE_AT")
_KILLER = os.environ.get("HYPERHIVE_FAULTS_KILLER")
_FREEZE = os.environ.get("HYPERHIVE_FAULTS_FREEZE")
_WITHOUT = os.environ.get("HYPERHIVE_FAULTS_WITHOUT")


def loss_of(config: Mapping[str, Any]) -> float:
    """Return the loss of a configuration, in 0..1: known without a worker, different for each."""
    digest = hashlib.sha256(repr(config["learning_rate"]).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def weights_of(config: Mapping[str, Any]) -> bytes:
    """Return the weights of a configuration: those of a LeNet-5 that was never trained.

    Made without PyTorch: a worker that is started again has none to import first.
    """
    dice = np.random.RandomState(int(loss_of(config) * 2**32))
    arrays = {}
    for layer, shape in _LENET5.items():
        arrays[layer + ".weight"] = dice.uniform(-0.1, 0.1, shape).astype(np.float32)
        arrays[layer + ".bias"] = dice.uniform(-0.1, 0.1, shape[0]).astype(np.float32)
    packed: bytes = safetensors.numpy.save(arrays)
    return packed


def quick(config: Mapping[str, Any], context: Context) -> Outcome:
    """Take a while, and find what was to be found."""
    audit("begun", learning_rate=config["learning_rate"])
    ends = time.monotonic() + _SECONDS
    while time.monotonic() < ends or is_held(config):
        progress = {"epoch": 1, "epochs": config["epochs"], "done": 1}
        context.report(progress, ends - time.monotonic())
        if not _DEAF and context.should_stop():
            raise Stopped
        if _DIE_AT == "training":
            die()
        time.sleep(min(0.01, _SECONDS))
    return found(config)


def stepwise(config: Mapping[str, Any], context: Context) -> Outcome:
    """Say at each epoch what is to be found, and find it at the end of the last."""
    audit("begun", learning_rate=config["learning_rate"])
    epochs = int(config["epochs"])
    for epoch in range(1, epochs + 1):
        time.sleep(_SECONDS / epochs)
        while is_held(config):
            time.sleep(0.01)
        progress = {"epoch": epoch, "epochs": epochs, "done": epoch, "loss": loss_of(config)}
        context.report(progress, _SECONDS * (1 - epoch / epochs))
        if context.should_stop():
            raise Stopped
    return found(config)


def found(config: Mapping[str, Any]) -> Outcome:
    """Return what is to be found, with weights and a refit."""
    loss = loss_of(config)
    result = {"status": "ok", "loss": loss, "validation_accuracy": 1 - loss, "trained_on": {}}
    return Outcome({**result, "refit": {"train_on_all": True}}, weights_of(config))


def is_held(config: Mapping[str, Any]) -> bool:
    """Return whether the test wants no run of this configuration to end yet."""
    hold = "hold-{}".format(config["learning_rate"])
    return _AUDIT is not None and (Path(_AUDIT) / hold).exists()


def bare(config: Mapping[str, Any], context: Context) -> Outcome:
    """Find what was to be found, without weights: nobody needs PyTorch for it."""
    loss = loss_of(config)
    result = {"status": "ok", "loss": loss, "validation_accuracy": 1 - loss, "trained_on": {}}
    return Outcome(result, None)


def swift(config: Mapping[str, Any], context: Context) -> Outcome:
    """Find what was to be found at once, without weights: such trials are claimed in batches."""
    rate = str(config["learning_rate"])
    audit("begun", learning_rate=config["learning_rate"])
    if rate == _KILLER:
        os.kill(os.getpid(), signal.SIGKILL)
    if rate == _FREEZE and once("freeze"):
        os.kill(os.getpid(), signal.SIGSTOP)
    while is_held(config):
        time.sleep(0.01)
    if _DIE_AT == "batch half run" and _unsaved_runs() == 2:
        die()
    return Outcome({"status": "ok", "loss": loss_of(config)})


def _unsaved_runs() -> int:
    """Return how many results of this process are kept in memory by a batch."""
    file = Path(str(_AUDIT)) / f"{os.getpid()}.jsonl"
    begun = kept = 0
    for line in file.read_text().splitlines():
        event = json.loads(line)["event"]
        begun, kept = begun + (event == "begun"), kept + (event == "kept")
    return begun - kept - 1


def mine(config: Mapping[str, Any], context: Context) -> Outcome:
    """Find a loss as the least that an objective may return, in a space of its own."""
    return Outcome({"status": "ok", "loss": 0.047 + abs(config["hidden"] - 64) / 100})


def poison(config: Mapping[str, Any], context: Context) -> Outcome:
    """Kill the process, as a trial does that takes all memory."""
    audit("begun", learning_rate=config["learning_rate"])
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("not reached")


def audit(event: str, **facts: Any) -> None:
    """Note what happened in this process, so that it is known whatever becomes of it."""
    if _AUDIT is not None:
        line = json.dumps({"event": event, "at": time.time(), **facts}) + "\n"
        with (Path(_AUDIT) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(line)


def die() -> None:
    """Kill this process as a power cut does, once at each step in all processes of a test."""
    if once(f"died-{_DIE_AT}"):
        audit("died", step=_DIE_AT)
        os.kill(os.getpid(), signal.SIGKILL)


def once(what: str) -> bool:
    """Return true the first time that any process of a test asks this."""
    try:
        os.close(os.open(f"{_AUDIT}/{what}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _after(owner: Any, name: str, act: Callable[..., None]) -> None:
    """Have ``act`` called with a method's result and arguments each time it has returned."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        act(result, *args, **kwargs)
        return result

    setattr(owner, name, wrapped)


def _dies_if_pruned(method: Callable[..., Any]) -> Callable[..., Any]:
    """Kill this process after a call that was about a trial that is pruned."""

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        told = [each for each in args if isinstance(each, Mapping)]
        told += [each.result for each in args if isinstance(each, Entry)]
        if getattr(self, "has_pruned", False) or any(each.get("pruned") for each in told):
            die()
        return result

    return wrapped


def _dies(result: Any, *_: Any, **__: Any) -> None:
    if result not in (None, []) or _DIE_AT in ("kept", "batch kept"):  # no claim of nothing
        die()


def _noting_what_is_kept(add: Callable[..., None]) -> Callable[..., None]:
    def noting(self: Any, entry: Any, trial: str) -> None:
        weights = None if entry.weights is None else hashlib.sha256(entry.weights).hexdigest()
        audit("keeping", token=entry.token, loss=entry.result["loss"], weights=weights)
        add(self, entry, trial)
        audit("kept", token=entry.token)

    return noting


def _noting_what_is_kept_of_a_batch(add: Callable[..., None]) -> Callable[..., None]:
    def noting(self: Any, results: Any) -> None:
        for entry, _ in results:
            audit("keeping", token=entry.token, loss=entry.result["loss"], weights=None)
        add(self, results)
        for entry, _ in results:
            audit("kept", token=entry.token)

    return noting


def _dies_half_way(finish: Callable[..., bool]) -> Callable[..., bool]:
    """Deliver half of a batch, as a server that is killed on the way, and die."""

    def finishing(self: Any, results: Any) -> bool:
        finish(self, results[: len(results) // 2])
        die()
        return finish(self, results)

    return finishing


def _without_journal(options: Callable[[float], dict[str, Any]], timeout: float) -> dict[str, Any]:
    return {**options(timeout), "w": 1, "journal": False}


def _keep_in_memory(self: Any, entry: Any, trial: str) -> None:
    self._unsaved.append(_Unsaved(entry, trial, OSError("taken away")))


def _keep_all_in_memory(self: Any, results: Any) -> None:
    for entry, trial in results:
        _keep_in_memory(self, entry, trial)


def take_away(what: str) -> None:
    """Take away a part of what keeps results safe: the tests must notice (negative controls)."""
    if what == "journal":
        options = store_module.client_options
        store_module.client_options = functools.partial(_without_journal, options)
    elif what == "outbox":
        Outbox.add = _keep_in_memory  # type: ignore[method-assign]
        Outbox.add_batch = _keep_all_in_memory  # type: ignore[method-assign]
    else:
        raise ValueError(what)


if _WITHOUT is not None:
    take_away(_WITHOUT)
if _AUDIT is not None:
    Outbox.add = _noting_what_is_kept(Outbox.add)  # type: ignore[method-assign]
    Outbox.add_batch = _noting_what_is_kept_of_a_batch(  # type: ignore[method-assign]
        Outbox.add_batch
    )
if _DIE_AT in {**STEPS, **BATCH}:
    _after(*{**STEPS, **BATCH}[_DIE_AT], _dies)
if _DIE_AT == "batch half finished":
    TrialQueue.finish_batch = _dies_half_way(  # type: ignore[method-assign]
        TrialQueue.finish_batch
    )
if _DIE_AT in PRUNED:
    owner, name = PRUNED[_DIE_AT]
    setattr(owner, name, _dies_if_pruned(getattr(owner, name)))
