"""A ``python:`` verifier for runs that are to die in the middle: it tells of each score, and waits after some of them.

``SCORES_TO`` is a pipe that gets a byte a score; while the file ``SCORES_HELD`` exists, no more than ``SCORES_FIRST``
are given. Where there is a file ``SCORES_EXHAUST``, it then wants more memory than there is.
"""

import os
import time

given = 0


def score(question: str, text: str) -> float:
    """The number with which the text begins."""
    global given
    while given >= int(os.environ["SCORES_FIRST"]) and os.path.exists(os.environ["SCORES_HELD"]):
        time.sleep(0.01)
    if os.path.exists(os.environ["SCORES_EXHAUST"]):
        bytearray(2**62)
    given += 1
    os.write(int(os.environ["SCORES_TO"]), b".")
    return float(text.split()[0])
