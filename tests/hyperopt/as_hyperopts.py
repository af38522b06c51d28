"""A pytest plugin: our classes in the place of hyperopt's, before its own tests import them."""

from hyperopt import mongoexp

import store.hyperopt

for name in ("MongoJobs", "MongoTrials", "MongoCtrl", "MongoWorker"):
    setattr(mongoexp, name, getattr(store.hyperopt, name))
