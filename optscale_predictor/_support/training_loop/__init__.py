"""What every training by Lightning shares: batches by length, the learning rate, progress, and a state to go on from.

Imports nothing of what is trained; Lightning and torch are loaded by its modules, so they are imported where they are
used.
"""
