"""Evidence: not measured yet on an idle machine; see the command.

    python benchmarks/live_page.py [--trials 10000] [--workers 50] [--viewers 1,10]

A store with so many finished trials and so many workers that each run one. ``first paint`` is the
time from the navigation of headless Chromium to its first contentful paint, and ``drawn`` to the
first figure of the study. ``update`` is the time from the server's answer with what changed to the
end of the browser's drawing, while each worker reports an epoch every two seconds. ``server`` is
the share of a core that the page's process uses then, with so many viewers, each of which asks for
what changed as a page does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any, Iterator
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.browser import Browser, browsing
from support.home import until

from benchmarks._common import scratch
from benchmarks._filled import fill
from hyperhive.coordinator.planning.plan import Plan
from hyperhive.coordinator.spaces.parsing import parse_space
from hyperhive.coordinator.study import Study
from hyperhive.coordinator.views.dashboard_page import DashboardOptions, serving
from hyperhive.store.server.embedded import embedded_server
from hyperhive.store.store import Store
from hyperhive.store.trials.draft import Draft
from hyperhive.store.trials.trial import Trial
from hyperhive.store.workers import WorkerRecord

OBJECTIVE = "objective.py:train"
SPACE = {
    "learning_rate": {"distribution": "loguniform", "low": 0.0001, "high": 0.1},
    "momentum": {"distribution": "uniform", "low": 0.0, "high": 0.95},
    "weight_decay": {"distribution": "loguniform", "low": 0.000001, "high": 0.01},
    "dropout": {"distribution": "uniform", "low": 0.0, "high": 0.5},
    "width": {"distribution": "quniform", "low": 8, "high": 64, "step": 1},
}
