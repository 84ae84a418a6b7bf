"""Generates into a pool, or scores it, again and again, each time in a process that may be killed.

    python tests/killed_work.py POOL

Loads the models once; then each line of standard input, ``generate NUMBER`` (of samples a question) or ``score
COLUMN``, forks a process that does that, prints the process's id, and when it ended its exit code (-9 where it was
killed).
"""

import os
import sys
import threading

from tqdm import tqdm

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.questions.arithmetic import make_questions

QUESTIONS, SHARD = 150, 100


def main(folder: str) -> None:
    """Does what standard input says."""
    # By default forks share tqdm's lock: one that is killed while it holds it would leave all later ones waiting.
    tqdm.set_lock(threading.RLock())
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160), batch_size=64, device="cpu")
    verifier = LikelihoodVerifier("embedded:verifier", device="cpu")
    questions = make_questions(QUESTIONS, 0, "train")
    for line in sys.stdin:
        stage, what = line.split()
        process = os.fork()
        if process == 0:
            if stage == "generate":
                generate_pool(folder, questions, generator, int(what), shard_samples=SHARD, progress=False)
            else:
                score_pool(folder, verifier, what, chunk_samples=32, progress=False)
            os._exit(0)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
