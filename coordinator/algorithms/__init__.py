"""What to try next: one module per algorithm, all behind one function.

    suggest(variables, known, tid, seed) -> values by label

``variables`` is the space in the order in which it is drawn (``variables.py``), ``known`` what has
been observed and what is pending (``known.py``), ``tid`` the number of the trial to suggest, and
``seed`` that of its own random stream. An algorithm keeps nothing between two suggestions: what it
has to remember, such as a trust region, it works out again from the trials. So a study that was
stopped goes on as if it never had been. ``sobol`` has no ``seed`` of its own for each trial, and
gives the first trials of most others. ``plugged`` has those of others, ``gaussian`` those with a
Gaussian process. ``coordinator/suggest.py`` has their names.

``random_search``, ``tpe`` and ``anneal`` give, for the same history and seed, what hyperopt's
``rand``, ``tpe`` and ``anneal`` give: hyperopt is the oracle of their tests.
"""
