"""The roles of a fleet, and what each of them may do."""

from __future__ import annotations

from typing import Mapping, Tuple

COORDINATOR, WORKER, VIEWER = "coordinator", "worker", "viewer"
ROLES = (COORDINATOR, WORKER, VIEWER)

_Privileges = Mapping[str, Tuple[str, ...]]
PRIVILEGES: Mapping[str, _Privileges] = {
    # Posts, changes and deletes studies, trials, notes and files, also by hyperopt's API.
    COORDINATOR: {
        "jobs": ("find", "insert", "update", "remove"),
        "job_ids": ("find", "insert", "update"),  # hyperopt's counter
        "meta": ("find",),
        "studies": ("find", "insert", "update", "remove"),
        "datasets": ("find", "insert"),
        "workers": ("find",),
        "orders": ("find", "insert", "update", "remove"),
        "notes": ("find", "insert", "update", "remove"),
        "benchmarks": ("find",),
        "objectives": ("find", "insert", "update", "remove"),
        "uploads": ("find", "insert", "update", "remove"),
        "fs.files": ("find", "insert", "remove", "listIndexes"),
        "fs.chunks": ("find", "insert", "remove", "listIndexes"),
    },
    WORKER: {
        "jobs": ("find", "update"),
        "meta": ("find",),
        "studies": ("find",),  # for predict-cam --study on a device with a camera
        "datasets": ("find",),
        "workers": ("find", "insert", "update"),
        "orders": ("find",),
        "benchmarks": ("find", "insert", "update"),
        "objectives": ("find",),
        "uploads": ("insert", "update"),
        # Workers of earlier versions upload by PyMongo's GridFS, which lists its indexes before the
        # first upload, and makes those that are missing.
        "fs.files": ("find", "insert", "listIndexes"),
        "fs.chunks": ("find", "insert", "listIndexes"),
    },
    VIEWER: {
        "jobs": ("find",),
        "meta": ("find",),
        "studies": ("find",),
        "notes": ("find",),
        "datasets": ("find",),
        "workers": ("find",),
        "benchmarks": ("find",),
        "objectives": ("find",),
        "fs.files": ("find",),
        "fs.chunks": ("find",),
    },
}
"""The actions that each role may do in each collection, by MongoDB's names."""
