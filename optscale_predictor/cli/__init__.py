"""The command ``optscale``: one verb a file."""
