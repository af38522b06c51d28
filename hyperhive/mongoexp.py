"""hyperopt's Mongo classes on today's PyMongo, under hyperopt's own name for their module.

Change ``from hyperopt.mongoexp import MongoTrials`` to ``from hyperhive.mongoexp import
MongoTrials``; the rest of a script stays.
"""

from __future__ import annotations

from hyperhive.store.hyperopt import MongoCtrl, MongoJobs, MongoTrials, MongoWorker

__all__ = ["MongoCtrl", "MongoJobs", "MongoTrials", "MongoWorker"]
