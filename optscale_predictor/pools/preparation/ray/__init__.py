"""Data preparation on many machines, over Ray Data.

Generation and scoring are two stages of one Ray Data pipeline, each with its own pool of actors and its own resources;
Ray moves the samples between them, holds the first back where the second is slower, and restarts actors that die. What
comes out streams back to the driver, the one process that writes to the pool, on its own disk: workers need no shared
folder. They do need this package, its extras for the engines used, and the models: installed on each machine, or by
the cluster's image.

May import ``pools``, ``pools.preparation``, ``backends``, ``questions``, ``_support`` and ``errors``. ``ray`` is an
extra and is imported inside functions.
"""
