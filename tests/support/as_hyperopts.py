"""A pytest plugin: our classes in the place of hyperopt's, before its own tests import them."""

from __future__ import annotations

from hyperopt import mongoexp

from hyperhive import mongoexp as ours

for name in ("MongoJobs", "MongoTrials", "MongoCtrl", "MongoWorker"):
    setattr(mongoexp, name, getattr(ours, name))
