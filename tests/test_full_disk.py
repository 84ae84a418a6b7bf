"""A disk that fills up: the error names what could not be written first, and what was written stays."""

import errno
import os

import pytest
from small_pools import questions_of
from synthetic_pool import write_pool

from optscale_predictor.backends.generators import Generator, Sample, SamplingParams, Usage
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.cli import main as main_module
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool


@pytest.fixture
def disk(monkeypatch):
    """Says that it is full from the moment that it is told to."""
    state, sync = {"full": False}, os.fsync

    def fill(descriptor):
        if state["full"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fill)
    return state


class Filling(Generator):
    """Fills the disk up after some requests."""

    def __init__(self, disk, after):
        self.sampling, self.usage, self._disk, self._after = SamplingParams(), Usage(), disk, after

    def generate(self, requests):
        for number, request in enumerate(requests):
            self._disk["full"] |= number == self._after
            yield request, [Sample("1", 1, "stop", 0)] * request.num_samples

    def describe(self):
        return {"adapter": "filling"}


class FillingVerifier(Verifier):
    """Likewise, after some samples."""

    reads_tokens = False

    def __init__(self, disk):
        self._disk = disk

    def score(self, items):
        self._disk["full"] = True
        return Scores.of([0.5] * len(items))

    def describe(self):
        return {"adapter": "filling"}


def test_drawing_names_the_shard_that_failed_and_keeps_those_before_it(tmp_path, disk):
    with pytest.raises(InputError, match=r"samples-000001\.parquet: cannot write: No space left on device"):
        generate_pool(tmp_path / "pool", questions_of(4), Filling(disk, 1), 4, shard_samples=4, progress=False)
    disk["full"] = False
    assert sum(Pool(tmp_path / "pool").counts().values()) == 4


def test_scoring_names_the_shard_that_failed(tmp_path, disk):
    write_pool(tmp_path / "pool", [[0.5] * 10])
    with pytest.raises(InputError, match=r"samples-000000\.parquet: cannot write: No space left on device"):
        score_pool(tmp_path / "pool", FillingVerifier(disk), "score_own", progress=False)
    disk["full"] = False
    assert Pool(tmp_path / "pool").unscored("score_own") == 10


def test_samples_that_waited_for_the_end_are_named_too(tmp_path, disk):
    with pytest.raises(InputError, match=r"samples-000000\.parquet: cannot write"):
        generate_pool(tmp_path / "pool", questions_of(1), Filling(disk, 0), 2, progress=False)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_an_open_file_without_room_is_one_line(number, monkeypatch, capsys):
    """Whoever writes to a file that is open already, a library too: the system names no path."""

    def write(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(main_module, "_dispatch", write)
    with pytest.raises(SystemExit) as ended:
        main_module.main(["pool", "info", "x"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said == f"optscale: error: a file cannot be written: {os.strerror(number)}\n"
    monkeypatch.setattr(main_module, "_dispatch", lambda _: os.close(-1))
    with pytest.raises(OSError):  # a fault of ours keeps its traceback
        main_module.main(["pool", "info", "x"])
