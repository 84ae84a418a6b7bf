"""Pools: nothing lost, nothing twice, nothing mixed, whatever happens to the process that writes."""

import json
import os
import signal
import socket
from dataclasses import replace

import datasets
import numpy as np
import pytest
from forked import exit_code_of_fork

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, PoolWriter, writer
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.targets import constant_prior, make_targets

QUESTIONS = make_questions(6, 0, "train")


@pytest.fixture(scope="module")
def generator():
    return HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))


def keys(pool):
    rows = pool.read(["question_id", "sample_index"])
    return list(zip(rows["question_id"].to_pylist(), rows["sample_index"].to_pylist(), strict=True))


def test_generate_score_and_read_back(tmp_path, generator):
    pool = generate_pool(tmp_path / "pool", QUESTIONS, generator, 4, progress=False)
    assert keys(pool) == [(question.id, index) for question in QUESTIONS for index in range(4)]
    score_pool(tmp_path / "pool", LikelihoodVerifier("embedded:verifier"), progress=False)
    recorded = RecordedSamples.from_pool(Pool(tmp_path / "pool"))
    assert recorded.scores.shape == (6, 4) and np.all((recorded.scores >= 0) & (recorded.scores <= 1))
    shards = [str(shard) for shard in Pool(tmp_path / "pool").shards()]
    assert len(datasets.Dataset.from_parquet(shards, cache_dir=str(tmp_path / "cache"))) == 24


def test_a_rerun_draws_only_what_is_missing_and_changes_nothing_else(tmp_path, generator):
    generate_pool(tmp_path / "pool", QUESTIONS, generator, 2, progress=False)
    before = {shard.name: shard.read_bytes() for shard in Pool(tmp_path / "pool").shards()}
    pool = generate_pool(tmp_path / "pool", QUESTIONS, generator, 3, progress=False)
    assert keys(pool) == [(question.id, index) for question in QUESTIONS for index in range(3)]
    assert all((tmp_path / "pool" / name).read_bytes() == content for name, content in before.items())


def generate_until_second_shard(flags):
    """The command line, killed as soon as its second shard is to be written: the first is there, others in memory."""
    write = writer.write_shard

    def write_first(table, path):
        if path.name != "samples-000000.parquet":
            os.kill(os.getpid(), signal.SIGKILL)
        write(table, path)

    writer.write_shard = write_first
    main(flags)


def test_killed_between_commits_nothing_is_lost_or_twice(tmp_path):
    """A real process, killed while it draws; then the same command again. ``test_kills.py`` kills at random moments."""
    flags = ["generate", str(tmp_path / "pool"), "--questions", "embedded:train:40", "--num_samples", "4"]
    flags += ["--batch_size", "32", "--max_tokens", "160", "--shard_samples", "64"]
    assert exit_code_of_fork(generate_until_second_shard, flags) == -signal.SIGKILL
    committed = {shard.name: shard.read_bytes() for shard in Pool(tmp_path / "pool").shards()}
    kept = len(keys(Pool(tmp_path / "pool")))
    assert 0 < kept < 160
    main(flags)
    pool = Pool(tmp_path / "pool")
    assert keys(pool) == [(question.id, index) for question in pool.questions for index in range(4)]
    assert all((tmp_path / "pool" / name).read_bytes() == content for name, content in committed.items())


def test_another_setting_is_refused_with_the_difference_named(tmp_path, generator):
    generate_pool(tmp_path / "pool", QUESTIONS, generator, 1, progress=False)
    other = generator.with_sampling(SamplingParams(temperature=0.5, max_tokens=160))
    with pytest.raises(InputError, match=r"generator.temperature was 1.0, now 0.5"):
        generate_pool(tmp_path / "pool", QUESTIONS, other, 1, progress=False)
    changed = [replace(QUESTIONS[0], gold="0"), *QUESTIONS[1:]]
    with pytest.raises(InputError, match=r"question 'arithmetic/train/0' has another gold answer in this pool"):
        generate_pool(tmp_path / "pool", changed, generator, 1, progress=False)


def test_a_pool_grows_by_samples_and_by_questions(tmp_path, generator):
    generate_pool(tmp_path / "pool", QUESTIONS[:3], generator, 2, progress=False)
    before = {shard.name: shard.read_bytes() for shard in Pool(tmp_path / "pool").shards()}
    generate_pool(tmp_path / "pool", QUESTIONS[1:], generator, 2, progress=False)
    pool = generate_pool(tmp_path / "pool", QUESTIONS[:2], generator, 5, progress=False)
    counts = dict(zip((question.id for question in QUESTIONS), (5, 5, 2, 2, 2, 2), strict=True))
    assert pool.counts() == counts
    assert keys(pool) == [(question.id, index) for question in QUESTIONS for index in range(counts[question.id])]
    assert all((tmp_path / "pool" / name).read_bytes() == content for name, content in before.items())


def test_a_second_writer_is_told_who_holds_the_pool(tmp_path):
    with (
        PoolWriter(tmp_path, QUESTIONS, {}),
        pytest.raises(InputError, match=f"another process \\(id {os.getpid()} on {socket.gethostname()}\\)"),
    ):
        PoolWriter(tmp_path, QUESTIONS, {})
    with PoolWriter(tmp_path, QUESTIONS, {}):
        pass


def test_what_is_not_a_pool_is_named(tmp_path, generator):
    with pytest.raises(InputError, match="not a pool"):
        Pool(tmp_path)
    generate_pool(tmp_path / "pool", QUESTIONS, generator, 1, progress=False)
    shard = Pool(tmp_path / "pool").shards()[0]
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(InputError, match=r"samples-000000.parquet: cannot read this shard"):
        Pool(tmp_path / "pool").read()
    (tmp_path / "pool" / "manifest.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(InputError, match="not a manifest of format"):
        Pool(tmp_path / "pool")


def test_unscored_samples_are_named(tmp_path, generator):
    pool = generate_pool(tmp_path / "pool", QUESTIONS, generator, 1, progress=False)
    with pytest.raises(InputError, match="6 samples have no score; run: optscale score"):
        RecordedSamples.from_pool(pool)


def test_targets_are_the_statistics_of_the_scores(tmp_path, generator):
    generate_pool(tmp_path / "pool", QUESTIONS, generator, 8, progress=False)
    pool = score_pool(tmp_path / "pool", LikelihoodVerifier("embedded:verifier"), progress=False)
    rows = make_targets(pool, validation_share=0.5).to_pylist()
    scores = RecordedSamples.from_pool(pool).scores
    for row, own in zip(rows, scores, strict=True):
        assert row["mean"] == pytest.approx(own.mean()) and row["std"] == pytest.approx(own.std())
        assert row["sum_squares"] == pytest.approx((own**2).sum()) and row["num_samples"] == 8
    prior = constant_prior(scores)
    assert prior.mean == pytest.approx(scores.mean()) and prior.strength > 0
