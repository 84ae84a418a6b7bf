"""What every other folder leans on and that knows nothing of language models: asyncio, files, the hub, progress.

Imports ``errors`` only.
"""
