"""The study file that runs a study again, and the command for it."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Mapping, Sequence

from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.search_space import to_json
from hyperhive.coordinator.study import Study

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SEPARATE = ("name", "data", "space", "known")


class _NotInToml(Exception):
    """A value that TOML has no word for: null."""


def study_file(study: Study) -> str | None:
    """Return a study as the text of a study file; None if TOML cannot say it.

    Images are named by their hash: the store has them, exactly as the study had them.
    """
    plan = study.plan
    shown = [field for field in dataclasses.fields(Plan) if field.name not in _SEPARATE]
    settings = {
        field.name: getattr(plan, field.name)
        for field in shown
        if field.name in ("trials", "algorithm", "seed")
        or getattr(plan, field.name) != field.default
    }
    try:
        lines = [f"name = {_toml(plan.name[:58] + '-again')}"]
        lines += [f"{key} = {_toml(value)}" for key, value in settings.items()]
        if plan.known:
            lines.append(f"try = {_toml(list(plan.known))}")
        if study.dataset_hash is not None:
            name = f"sha256:{study.dataset_hash}"
            lines += ["", f"[dataset]  # {_comment(study)}", f"name = {_toml(name)}"]
        space = to_json(plan.space)
        lines += ["", "[space]"]
        lines += [f"{_key(key)} = {_toml(value)}" for key, value in space.items()]
    except _NotInToml:
        return None
    return "\n".join(lines) + "\n"


def command(study: Study) -> str:
    """Return the command that runs the study file again."""
    return f"hyperhive coordinator {study.name}.toml"


def _comment(study: Study) -> str:
    name = str(study.dataset_card.get("name", "images"))
    return json.dumps(name).strip('"')


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _toml(value: Any) -> str:
    """Return a value in TOML; a table is an inline one, so that it stays on its line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(key))} = {_toml(part)}" for key, part in value.items())
        return "{ " + pairs + " }" if pairs else "{}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_toml, value)) + "]"
    raise _NotInToml(value)


def _text(value: str) -> str:
    """Return a basic string: JSON's escapes are TOML's, which also has one for delete."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
