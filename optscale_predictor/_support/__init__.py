"""What every other folder leans on and that knows nothing of language models: asyncio, files, the hub, progress.

Imports ``errors`` only. The version stands here, for everything that says what made it.
"""

__version__ = "0.1.0"
