"""Makes the HTML of a report: figures, style and script are in the one file, and it opens offline.

The script is that of the live page: the modules of ``web/figures``, one after the other.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from string import Template
from typing import Any, Iterable, Mapping

import hyperhive.web

_FIGURES = Path(hyperhive.web.__file__).parent / "figures"

_IMPORT = re.compile(r'^import .*? from "\./([\w-]+\.js)";[ \t]*\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|class|const|let)", re.MULTILINE)

_START = Template("""
const given = document.getElementById("figures").textContent;
$draw(document.getElementById("report"), JSON.parse(given));
""")

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="$policy">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main><h1>$heading</h1><div id="report"></div></main>
<noscript>$sentences</noscript>
<script type="application/json" id="figures">$figures</script>
<script type="module">$script</script>
</body>
</html>
""")


def page(figures: Mapping[str, Any]) -> bytes:
    """Return the report of studies as HTML in UTF-8.

    Args:
        figures: what ``figures.study.figures`` returned.
    """
    names = ", ".join(study["title"] for study in figures["studies"])
    made = figures["made_at"][:16].replace("T", " ")
    lines = [line for study in figures["studies"] for line in (study["title"], *study["sentence"])]
    return document(f"{names} - hyperhive", f"{names}: a report of {made} UTC", lines, figures)


def document(
    title: str,
    heading: str,
    lines: Iterable[str],
    figures: Mapping[str, Any],
    main: str = "figures.js",
    draw: str = "draw",
) -> bytes:
    """Return a page as HTML in UTF-8, with all that it needs.

    What somebody wrote is text in it. Its policy lets no script run but the one in it, and nothing
    be loaded.

    Args:
        title: of the window.
        heading: above the figures.
        lines: what a reader sees whose browser runs no script.
        figures: what is drawn, as plain JSON.
        main: the module of ``web/figures`` that draws it.
        draw: the function of that module, of the page's element and what is drawn.
    """
    style, script = _style(), _script(main, draw)
    text = _PAGE.substitute(
        policy=_policy(style, script),
        title=html.escape(title),
        heading=html.escape(heading),
        style=style,
        sentences="".join(f"<p>{html.escape(line)}</p>" for line in lines),
        figures=_data(figures),
        script=script,
    )
    return text.encode("utf-8")


def _policy(style: str, script: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _data(figures: Mapping[str, Any]) -> str:
    """Return the figures as JSON in which no text ends the element that they are in."""
    data = json.dumps(figures, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return data.replace("<", "\\u003c")


def _style() -> str:
    return (_FIGURES / "figures.css").read_text(encoding="utf-8")


def _script(main: str, draw: str) -> str:
    """Return a module and all that it needs as one: each after those that it imports from.

    So what they export is in one scope, and no two may use the same name at their top.
    """
    ordered: dict[str, str] = {}
    _add(main, ordered)
    parts = [_EXPORT.sub("", _IMPORT.sub("", text)) for text in ordered.values()]
    return "\n".join([*parts, _START.substitute(draw=draw)])


def _add(name: str, ordered: dict[str, str]) -> None:
    if name in ordered:
        return
    text = (_FIGURES / name).read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        _add(imported, ordered)
    ordered[name] = text


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
