"""Ctrl-C twice, SIGTERM and SIGHUP end a run of the command line: everything that had arrived is in the pool."""

import os
import signal
import subprocess
import sys
import time

import pytest
from answering import WrittenServer, serving

from optscale_predictor.pools import Pool
from optscale_predictor.pools.validation import validate_pool

ANSWERED, AT_ONCE, PER_REQUEST = 30, 4, 4  # requests that the server answers, before it answers no more
ENDS = {"SIGTERM": [signal.SIGTERM], "SIGHUP": [signal.SIGHUP], "twice": [signal.SIGINT, signal.SIGINT]}
APART = 0.05  # seconds between two presses of Ctrl-C


def start(url, folder):
    questions = folder / "questions.jsonl"
    questions.write_text("".join(f'{{"question": "{number}+1="}}\n' for number in range(50)))
    command = [sys.executable, "-m", "optscale_predictor", "generate", str(folder / "pool")]
    command += ["--questions", str(questions), "--num_samples", str(PER_REQUEST), "--shard_samples", "1000"]
    command += ["--base_url", f"{url}/v1", "--concurrency", str(AT_ONCE), "--max_tokens", "16"]
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # not ignored, as in the background
    )


@pytest.mark.parametrize("name", ENDS)
def test_what_had_arrived_is_in_the_pool(tmp_path, name):
    server = WrittenServer()
    server.holds = lambda prompt: len(server.finished) >= ANSWERED
    with serving(server.app()) as url:
        process = start(url, tmp_path)
        while len(server.finished) < ANSWERED or server.now < AT_ONCE:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        # Four that wait have taken the places of those answered before, which have been read.
        for number in ENDS[name]:
            process.send_signal(number)
            time.sleep(APART)
        said = process.communicate()[1]
    assert process.returncode == 130 and "Traceback" not in said, said
    assert said.splitlines()[-1].startswith("optscale: interrupted; ")
    assert sum(Pool(tmp_path / "pool").counts().values()) == len(server.finished) * PER_REQUEST
    assert not list(validate_pool(tmp_path / "pool"))
