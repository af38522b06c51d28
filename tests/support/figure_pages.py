"""Studies as the figures' JSON has them, and pages that draw them, without a store."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import random
import re
from pathlib import Path
from typing import Any

MODULES = Path(__file__).resolve().parents[2] / "web" / "figures"
HOSTILE = "<img src=x onerror=document.title='harmed'><script>document.title='harmed'</script>"
STATUSES = ["waiting", "running", "done", "pruned", "diverged", "failed"]
KINDS = ["run", "pruned", "failed", "lost", "copy", "refit", "repeat", "baseline", "teacher"]
KINDS.append("paused")
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)


def parameter(
    name: str, kind: str, low: float | None, high: float | None, log: bool = False
) -> Any:
    return {"name": name, "kind": kind, "log": log, "low": low, "high": high, "categories": None}


def parameters_of(count: int) -> list[Any]:
    activation = parameter("activation", "category", None, None)
    activation["categories"] = ["relu", "tanh", HOSTILE]
    found = [
        parameter("learning_rate", "number", 0.0001, 1.0, log=True),
        parameter("epochs", "integer", 1, 21),
        activation,
        parameter("momentum", "number", 0.0, 0.99),  # only of the optimizer that has it
    ]
    return found + [parameter(f"width_{i}", "integer", 8, 128) for i in range(count - 4)]


def study(name: str, trials: int, parameters: int = 4, devices: int = 3, seed: int = 0) -> Any:
    """Return a study in which every figure has something to show."""
    dice = random.Random(seed)
    known = parameters_of(parameters)
    made = {
        "name": name,
        "title": f"LeNet-5 {name}",
        "state": "",
        "is_open": False,
        "started": "2026-11-29T21:00:00+00:00",
        "seconds": 3600.0,
        "metric": {
            "name": "validation_accuracy",
            "unit": "share",
            "maximise": True,
            "log": False,
        },
        "parameters": known,
        "statuses": STATUSES,
        "devices": [device(i) for i in range(devices)],
        "trials": columns(known, trials, devices, dice),
        "importance": {
            "shares": [
                {"name": one["name"], "share": share}
                for one, share in zip(known, (0.55, 0.25, 0.15, 0.05, 0.0, 0.0, 0.0, 0.0))
            ],
            "trials": trials,
            "problem": None,
        },
        "classification": classification(),
        "artifacts": [
            {"trial": 1, "name": "curve.png", "image": PIXEL, "bytes": 1234},
            {"trial": 2, "name": HOSTILE, "image": None, "bytes": 3_400_000},
        ],
        "notes": [
            {"trial": None, "text": HOSTILE, "by": "anna", "at": "2026-11-29T22:00:00+00:00"}
        ],
        "study_file": 'name = "digits"\n[space]\nlearning_rate = { log = [1e-4, 1] }\n',
        "command": f"hyperhive coordinator --study {name}.toml",
    }
    return {
        **made,
        **summary(made["trials"]),
        "curves": curves(made["trials"]),
        "timeline": spans(made),
    }


def device(number: int) -> Any:
    kind = ["NVIDIA Tegra X1", "Apple MPS", HOSTILE][number % 3]
    return {
        "name": f"nano-{number}",
        "kind": kind,
        "trials": 10 + number,
        "failures": number,
        "hours": 0.5 + number / 10,
        "seconds_per_epoch": None if number == 1 else 4.0 + number,
        "images_per_second": None if number == 1 else 900.0 / (1 + number),
    }


def columns(known: list[Any], count: int, devices: int, dice: random.Random) -> Any:
    made: dict[str, list[Any]] = {one["name"]: [] for one in known}
    found: dict[str, Any] = {"tid": list(range(count)), "params": made, "status": [], "value": []}
    for name in ("device", "started", "seconds", "attempts", "epochs", "pruned_at", "note"):
        found[name] = []
    for tid in range(count):
        for one in known:
            made[one["name"]].append(drawn(one, dice))
        if made["activation"][-1] == 1:
            made["momentum"][-1] = None
        status = dice.choices([2, 3, 4, 5], [70, 22, 2, 6])[0]
        if tid >= count - 3:
            status = 1 if tid == count - 3 else 0
        rate = math.log10(made["learning_rate"][-1])
        value = 0.78 - 0.06 * (rate + 1.6) ** 2 + 0.004 * made["epochs"][-1] + dice.gauss(0, 0.015)
        value = max(0.08, min(0.97, value)) * (0.8 if status == 3 else 1)
        found["status"].append(status)
        found["value"].append(round(value, 6) if status in (2, 3) else None)
        found["device"].append(tid % devices if status else None)
        found["started"].append(round(3600 * tid / count, 2) if status else None)
        found["seconds"].append(
            round(3600 / count * devices * dice.uniform(0.5, 0.95), 2) if status > 1 else None
        )
        found["attempts"].append(2 if tid % 13 == 5 else min(status, 1))
        found["epochs"].append(made["epochs"][-1] if status == 2 else None)
        found["pruned_at"].append(1 if status == 3 else None)
        found["note"].append(HOSTILE if tid == 3 else "=HYPERLINK(1)" if tid == 4 else None)
    return found


def drawn(one: Any, dice: random.Random) -> float:
    if one["kind"] == "category":
        return dice.randrange(len(one["categories"]))
    if one["kind"] == "integer":
        return dice.randint(one["low"], one["high"])
    if one["log"]:
        return float(f"{10 ** dice.uniform(math.log10(one['low']), math.log10(one['high'])):.6g}")
    return float(f"{dice.uniform(one['low'], one['high']):.6g}")


def summary(trials: Any) -> Any:
    tids, values, statuses = trials["tid"], trials["value"], trials["status"]
    best, progress = None, []
    for tid in tids:
        if statuses[tid] == 2 and (best is None or values[tid] > values[best]):
            best = tid
        progress.append(None if best is None else values[best])
    around = lambda off: [None if one is None else round(one + off, 6) for one in progress]  # noqa: E731
    top = 0.0 if best is None else values[best]
    return {
        "best": best,
        "sentence": [
            f"best: trial {best}, {100 * top:.1f} %",
            "test: 76.4 % (73.6 to 79.0)",
            "untuned 61.0 %, usual settings 70.0 %",
            "3 devices worked 1.8 hours together",
        ],
        "counts": {
            "budget": len(tids),
            **{name: statuses.count(i) for i, name in enumerate(STATUSES)},
            "done": sum(status in (2, 3, 4) for status in statuses),
        },
        "progress": {
            "tid": tids,
            "best": progress,
            "low": around(-0.015),
            "high": around(0.015),
            "noise": "The band is the standard deviation of 3 repeats.",
            "baselines": [{"name": "untuned", "value": 0.61}, {"name": "usual", "value": 0.7}],
            "target": None,
        },
    }


def curves(trials: Any) -> Any:
    found, best = [], summary(trials)["best"]
    for tid, status in zip(trials["tid"], trials["status"]):
        if status in (2, 3) and (len(found) < 20 or tid == best):
            last = trials["value"][tid]
            length = 1 + trials["params"]["epochs"][tid] if status == 2 else 2
            points = [[n, round(last * (1 - 0.6**n), 5)] for n in range(1, length)] + [
                [length, last]
            ]
            found.append({"tid": tid, "points": points, "state": status, "best": tid == best})
    return {"step": "epoch", "metric": "validation_accuracy", "of": found}


def spans(made: Any) -> Any:
    trials, found = made["trials"], []
    for tid, status in enumerate(trials["status"]):
        if not status:
            continue
        start, length, where = trials["started"][tid], trials["seconds"][tid], trials["device"][tid]
        end = None if length is None else round(start + length, 2)
        kind = {3: "pruned", 4: "failed", 5: "failed"}.get(status, "run")
        found.append([where, start, end, tid, KINDS.index(kind)])
        if tid % 13 == 5:
            other = (where + 1) % len(made["devices"])
            found.append([other, max(0, start - 60), start, tid, KINDS.index("lost")])
        if tid % 17 == 6 and end is not None:
            other = (where + 2) % len(made["devices"])
            found.append([other, start + 2, end, tid, KINDS.index("copy")])
    found.append([0, 1000, 1300, None, KINDS.index("paused")])
    found.append([0, 3605, 3650, None, KINDS.index("baseline")])
    return {"spans": found, "kinds": KINDS}


def classification() -> Any:
    names = ["bart", "homer", HOSTILE, "marge simpson", "ned flanders"]
    confusion = [
        [90 - 3 * i if i == j else (2 * i + 3 * j) % 7 for j in range(5)] for i in range(5)
    ]
    return {
        "classes": names,
        "confusion": confusion,
        "of": [
            {
                "class": name,
                "precision": confusion[i][i] / sum(row[i] for row in confusion),
                "recall": confusion[i][i] / sum(confusion[i]),
                "images": sum(confusion[i]),
            }
            for i, name in enumerate(names)
        ],
        "calibration": [
            {"confidence": 0.25 + 0.1 * i, "accuracy": 0.2 + 0.1 * i, "images": 10 + 20 * i}
            for i in range(8)
        ],
        "hardest": [
            {"image": PIXEL, "label": "homer", "answer": HOSTILE, "probability": 0.99 - i / 50}
            for i in range(8)
        ],
        "accuracy": [0.736, 0.764, 0.79],
        "split": "test",
    }


def figures(*studies: Any) -> Any:
    return {"version": 1, "made_at": "2026-11-29T23:40:00+00:00", "studies": list(studies)}


START = """
const given = JSON.parse(document.getElementById("figures").textContent);
draw(document.querySelector("main div"), given);
window.figures = { draw, update, drawAll, given };
"""


def page(shown: Any) -> str:
    """Return one page with everything in it, whose policy allows its own script and style alone."""
    script, style = one_script() + START, (MODULES / "figures.css").read_text()
    policy = f"default-src 'none'; img-src data:; script-src '{digest(script)}'; "
    policy += f"style-src '{digest(style)}'; base-uri 'none'; form-action 'none'"
    data = json.dumps(shown).replace("<", "\\u003c")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>report</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{style}</style></head>'
        "<body><main><h1>report</h1><div></div></main>"
        f'<script type="application/json" id="figures">{data}</script>'
        f'<script type="module">{script}</script></body></html>'
    )


def digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def one_script() -> str:
    """Return all modules as one script: those that others import come first."""
    order: list[str] = []

    def add(name: str) -> None:
        text = (MODULES / name).read_text()
        for other in re.findall(r'^import .* from "\./(.*)";$', text, re.MULTILINE):
            if other not in order:
                add(other)
        if name not in order:
            order.append(name)

    add("figures.js")
    parts = [
        re.sub(r"^import .*\n", "", (MODULES / name).read_text(), flags=re.MULTILINE)
        for name in order
    ]
    return re.sub(r"^export ", "", "\n".join(parts), flags=re.MULTILINE)
