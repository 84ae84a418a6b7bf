"""Log-probabilities over Ray: they come with the samples that actors draw, and actors score by them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.token_logprobs import COLUMNS
from optscale_predictor.backends.verifiers.logprobs import LogprobVerifier
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.preparation.ray.cluster import RayOptions, StageResources, ray_session
from optscale_predictor.pools.preparation.ray.ray_preparation import generate_pool_with_ray, score_pool_with_ray
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.questions.arithmetic import make_questions

# Ray warns of its own settings.
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*")]

QUESTIONS = make_questions(6, 0, "test")
SPEC = GeneratorOptions("embedded:generator", SamplingParams(max_tokens=160), engine="transformers")
SMALL = RayOptions(StageResources(batch_samples=16), StageResources(batch_samples=16))
JUDGE = VerifierOptions("logprobs:self_certainty")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "local")
        with ray_session([SMALL.generation, SMALL.scoring]) as session:
            yield session


def column(pool: Pool, name: str) -> np.ndarray:
    return np.array(Pool(pool.folder).read([name])[name].to_pylist(), float)


def test_samples_come_scored_and_with_what_the_scores_are_made_of(tmp_path: Path) -> None:
    """The verifier alone asks for them; scored anew, by actors and in this process, the scores are the same."""
    made = generate_pool_with_ray(tmp_path / "pool", QUESTIONS, SPEC, 4, SMALL, JUDGE, progress=False)
    assert made.keeps_logprobs and list(validate_pool(made.folder)) == [] and made.unscored() == 0
    assert all(not np.isnan(column(made, name)).any() for name in COLUMNS)
    score_pool_with_ray(made.folder, JUDGE, SMALL, column="score_actors", progress=False)
    score_pool(made.folder, LogprobVerifier("logprobs:self_certainty"), "score_here", progress=False)
    assert (column(made, "score") == column(made, "score_actors")).all()
    assert (column(made, "score") == column(made, "score_here")).all()


def test_a_pool_is_filled_over_ray_and_without(tmp_path: Path) -> None:
    telling = GeneratorOptions("embedded:generator", SamplingParams(max_tokens=160, logprobs=True))
    generate_pool(tmp_path / "pool", QUESTIONS, telling.build(), 2, progress=False)
    made = generate_pool_with_ray(tmp_path / "pool", QUESTIONS, telling, 4, SMALL, progress=False)
    assert not np.isnan(column(made, "logprob_mean")).any() and len(column(made, "logprob_mean")) == 24
