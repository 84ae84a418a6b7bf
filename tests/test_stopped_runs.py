"""Ctrl-C twice, SIGTERM and SIGHUP end a run of the command line: everything that had arrived is in the pool."""

import multiprocessing
import os
import signal
import sys
import time

import pytest
from answering import WrittenServer, serving
from forked import fork_of
from stopped_clock import HUNG

from optscale_predictor.cli.main import main
from optscale_predictor.pools import Pool
from optscale_predictor.pools.validation import validate_pool

ANSWERED, AT_ONCE, PER_REQUEST = 30, 4, 4  # requests that the server answers, before it answers no more
ENDS = {"SIGTERM": [signal.SIGTERM], "SIGHUP": [signal.SIGHUP], "twice": [signal.SIGINT, signal.SIGINT]}
APART = 0.05  # seconds between two presses of Ctrl-C


def generate(folder, url_sent):
    """In a fork that was made before there was a server's thread: what it says goes into a file."""
    said = os.open(folder / "said", os.O_CREAT | os.O_WRONLY)
    os.dup2(said, 2), os.dup2(said, 1)
    sys.stderr = sys.stdout = open(said, "w", buffering=1)  # noqa: SIM115 - ends with the fork
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as in the background
    questions = folder / "questions.jsonl"
    questions.write_text("".join(f'{{"question": "{number}+1="}}\n' for number in range(50)))
    command = ["generate", str(folder / "pool"), "--questions", str(questions), "--shard_samples", "1000"]
    command += ["--num_samples", str(PER_REQUEST), "--concurrency", str(AT_ONCE), "--max_tokens", "16"]
    main([*command, "--base_url", f"{url_sent.recv()}/v1"])


@pytest.mark.parametrize("name", ENDS)
def test_what_had_arrived_is_in_the_pool(tmp_path, name):
    server = WrittenServer()
    server.holds = lambda prompt: len(server.finished) >= ANSWERED
    url_sent, sending = multiprocessing.Pipe(duplex=False)
    process = fork_of(generate, tmp_path, url_sent)
    with serving(server.app()) as url:
        sending.send(url)
        while len(server.finished) < ANSWERED or server.now < AT_ONCE:
            assert process.is_alive(), (tmp_path / "said").read_text()
            time.sleep(0.01)
        # Four that wait have taken the places of those answered before, which have been read.
        for number in ENDS[name]:
            os.kill(process.pid, number)
            time.sleep(APART)
        process.join(HUNG)
    said = (tmp_path / "said").read_text()
    assert process.exitcode == 130 and "Traceback" not in said, said
    assert said.splitlines()[-1].startswith("optscale: interrupted; ")
    assert sum(Pool(tmp_path / "pool").counts().values()) == len(server.finished) * PER_REQUEST
    assert not list(validate_pool(tmp_path / "pool"))
