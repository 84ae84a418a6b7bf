"""Scoring several shards at once, for verifiers that want very many samples: the same scores, the same safety."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered, Scores
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.questions.arithmetic import make_questions


class Scattered(LikelihoodVerifier):
    """The embedded verifier, which gives its scores in small parts and in no order, and may fail on the way."""

    samples_at_once = 150
    parts_before_failure = 1 << 30

    def stream(self, items: Sequence[Answered]) -> Iterator[tuple[Sequence[int], Scores]]:
        order = np.random.default_rng(0).permutation(len(items))
        for number, start in enumerate(range(0, len(items), 7)):
            if number >= self.parts_before_failure:
                raise RuntimeError("the verifier failed")
            where = order[start : start + 7].tolist()
            yield where, self.score([items[index] for index in where])


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=60), device="cpu")
    return generate_pool(
        tmp_path / "pool", make_questions(25, 0, "test"), generator, 8, shard_samples=40, progress=False
    )


def test_scores_are_those_of_shard_after_shard(pool: Pool) -> None:
    assert len(pool.shards()) >= 4
    score_pool(pool.folder, VerifierOptions("embedded:verifier").build(), "score_one", progress=False)
    both = score_pool(pool.folder, Scattered("embedded:verifier", device="cpu"), "score_other", progress=False)
    rows = both.read(["score_one", "score_other", "verifier_tokens_one", "verifier_tokens_other"])
    np.testing.assert_allclose(rows["score_other"].to_numpy(), rows["score_one"].to_numpy(), rtol=1e-4, atol=1e-6)
    assert rows["verifier_tokens_other"] == rows["verifier_tokens_one"]
    assert list(validate_pool(pool.folder)) == []


def test_what_was_scored_before_a_failure_is_kept_and_not_scored_again(pool: Pool) -> None:
    verifier = Scattered("embedded:verifier", device="cpu")
    verifier.parts_before_failure = 10
    with pytest.raises(RuntimeError, match="the verifier failed"):
        score_pool(pool.folder, verifier, progress=False)
    kept = Pool(pool.folder).read(["score"])["score"]
    assert 70 <= len(kept) - kept.null_count < len(kept)  # ten parts of seven texts, some of them drawn more than once
    verifier.parts_before_failure = 1 << 30
    done = score_pool(pool.folder, verifier, progress=False).read(["score"])["score"]
    assert done.null_count == 0
    known = kept.is_valid()
    assert done.filter(known) == kept.filter(known)
    assert list(validate_pool(pool.folder)) == []
