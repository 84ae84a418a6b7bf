"""The command ``optscale``: one verb a file (``*_command.py``), a typed function whose docstring is its help.

May import every other folder; nothing imports it. A verb is imported when it runs, so that ``optscale --help`` is fast.
"""
