"""What pages and cards share: charts as geometry, templates, Markdown and the hub's metadata.

May import ``stats``, ``_support`` and ``errors``; nothing of pools, predictors or reports.
"""
