"""What pages and cards share: charts as geometry, templates, Markdown and the hub's metadata.

Imports ``questions``, ``stats`` and what lies below them; knows nothing of pools, predictors or reports.
"""
