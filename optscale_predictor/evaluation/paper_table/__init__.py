"""The paper's table from recorded pools: every method at every cap on every benchmark, beside the published figures.

    pools -> per-question outcomes of every setting -> settings chosen off the test set, and on it -> Markdown and CSV

``table_methods`` says which settings of each method are tried, ``published_results`` reads the published figures and
predictions, ``benchmark_pools`` opens the pools, ``table_priors`` gives their questions priors, ``measured_settings``
replays, ``setting_choice`` chooses, ``table_cells`` puts the cells together, and ``table_files`` writes them. Imports
``replays``, ``targets``, ``pools``, ``pages`` and what lies below them; of ``evaluation`` the folds of ``assessment``
and how ``report`` writes figures.
"""
