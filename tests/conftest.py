"""Tests run on one thread a process: the tier runs in two processes on two cores, and threads that wait burn both."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from hypothesis import settings

# Deadlines time the machine, not the code.
settings.register_profile("tier", deadline=None, max_examples=50)
settings.load_profile("tier")
