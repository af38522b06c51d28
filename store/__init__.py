"""The only code of hyperhive that talks to MongoDB.

``Store`` (``hyperhive.store.store``, also ``hyperhive.Store``) is the way in: it has the parts
``queue`` (transitions of trials), ``trials`` (reading them), ``studies``, ``workers``,
``benchmarks``, ``blobs``, ``datasets`` and ``roles``. The types that they take and return are
public too, such as ``Trial`` and ``Draft`` in ``trial``; so are ``errors``, ``cli`` (the
options of commands that need a server), ``server`` (addresses, logins, the private mongod) and
``hyperopt`` (public as ``hyperhive.mongoexp``). ``updates``, ``copies`` and ``job_schema`` are the
store's own: only this folder imports them. The store knows nothing of models, and no objective's
configuration.
"""
