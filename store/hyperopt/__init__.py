"""hyperopt's Mongo API on today's PyMongo: its jobs in our store, with our leases and errors.

Public as ``hyperhive.mongoexp``. This package uses the store like any other caller, and is the only
part of it that needs hyperopt: nothing else in ``store/`` imports it.
"""

from __future__ import annotations

from hyperopt.mongoexp import MongoCtrl

from hyperhive.store.hyperopt.jobs import MongoJobs
from hyperhive.store.hyperopt.trials import MongoTrials
from hyperhive.store.hyperopt.worker import MongoWorker, evaluate

__all__ = ["MongoCtrl", "MongoJobs", "MongoTrials", "MongoWorker", "evaluate"]
