"""Numbers at the edges of the API: a right result or one line, whatever is handed over."""

from decimal import Decimal

import numpy as np
import pytest
from mpmath import mp, mpf

from optscale_predictor import Prior, RecordedSamples, ReplayEntry, TruncatedNormal, fit_map, fit_mle, num_samples
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.inference import Limits
from optscale_predictor.policies import BestOfN, OptScalePolicy
from optscale_predictor.predictor.training.training_targets import read_targets
from optscale_predictor.replays import replay
from optscale_predictor.stats.bootstrap import Bootstrap
from optscale_predictor.stats.calibration import Calibration
from optscale_predictor.stats.estimators import fit_map_gaussian, fit_posterior

PRIOR = Prior(0.5, 0.2, 4.0)
FLAT = TruncatedNormal(0.5, 1.0)
CURVE = Calibration("isotonic", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
SCORES = np.array([[0.2, 0.9], [0.4, 0.6]])
SAMPLES = RecordedSamples(SCORES, np.zeros((2, 2), np.int64), np.ones((2, 2)), np.ones((2, 2)))


def cut(questions, samples):
    return SAMPLES.take(np.arange(questions)).first(samples)


def entries():
    return [ReplayEntry(BestOfN(2), "two")]


ONE_LINE = {
    "no scores": lambda: fit_mle(None),
    "a number for scores": lambda: fit_mle(0.5),
    "texts": lambda: fit_mle(["0.5"]),
    "texts among numbers": lambda: fit_mle([0.5, "0.6"]),
    "complex": lambda: fit_mle([0.5 + 0j]),
    "rows of different lengths": lambda: fit_mle([[0.1, 0.2], [0.3]]),
    "no scores, with a prior": lambda: fit_map(None, PRIOR),
    "no scores, paper": lambda: fit_map_gaussian(None, PRIOR),
    "no scores, posterior": lambda: fit_posterior(None, PRIOR),
    "no prior mean": lambda: Prior(None, 0.1, 1),
    "prior shapes": lambda: Prior([0.1, 0.2], [0.1, 0.1, 0.1], 1),
    "no mu": lambda: TruncatedNormal(None, 1),
    "sigma too small": lambda: TruncatedNormal(0.5, 1e-200),
    "mu too far": lambda: TruncatedNormal(1e300, 1e-10),
    "no point": lambda: FLAT.cdf(None),
    "no probability": lambda: FLAT.quantile(None),
    "targets in a list": lambda: num_samples(FLAT, [0.9, 0.95]),
    "no target": lambda: num_samples(FLAT, None),
    "a text for a target": lambda: num_samples(FLAT, "0.9"),
    "NaN cap": lambda: num_samples(FLAT, max_samples=float("nan")),
    "a policy's target in a list": lambda: OptScalePolicy(score_min=[0.9]),
    "a policy's NaN cap": lambda: OptScalePolicy(max_samples=float("nan")),
    "a policy's cap in pieces": lambda: BestOfN(max_samples=2.5),
    "a policy's cap in a list": lambda: BestOfN(max_samples=[2]),
    "NaN tokens": lambda: Limits(max_tokens=float("nan")),
    "seconds in a list": lambda: Limits(max_seconds=[1.0]),
    "no orders": lambda: replay(entries(), SAMPLES, num_orders=0),
    "half an order": lambda: replay(entries(), SAMPLES, num_orders=1.5),
    "no questions": lambda: replay(entries(), cut(0, 2)),
    "no samples": lambda: replay(entries(), cut(2, 0)),
    "resamples of no orders": lambda: Bootstrap(0, 3),
    "resamples of no questions": lambda: Bootstrap(3, 0),
    "a seed of 24 digits": lambda: SamplingParams(seed=10**23),
    "a seed in pieces": lambda: SamplingParams(seed=0.5),
    "a replay's seed of 24 digits": lambda: replay(entries(), SAMPLES, num_orders=2, seed=10**23),
}


@pytest.mark.parametrize("mistake", ONE_LINE)
def test_what_cannot_be_used_is_one_line(mistake):
    with pytest.raises(InputError) as raised:
        ONE_LINE[mistake]()
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 200


def test_what_is_masked_is_not_drawn():
    masked = np.ma.masked_array([[0.2, 0.9, 0.5], [0.4, 0.6, 0.1]], [[0, 1, 0], [0, 0, 0]])
    plain = np.array([[0.2, np.nan, 0.5], [0.4, 0.6, 0.1]])
    for fit in (fit_mle, lambda scores: fit_map(scores, PRIOR), lambda scores: fit_map_gaussian(scores, PRIOR)):
        np.testing.assert_array_equal(fit(masked).mean(), fit(plain).mean())
    np.testing.assert_allclose(CURVE(masked), plain)
    with pytest.raises(InputError, match="prior mean"):
        Prior(np.ma.masked_array([0.5, 0.6], [0, 1]), 0.1, 1)


@pytest.mark.parametrize("kind", [list, tuple, np.float32, lambda scores: [Decimal(str(one)) for one in scores]])
def test_kinds_of_arrays(kind):
    scores = [0.25, 0.5, 0.75]
    given = np.array(scores, np.float32) if kind is np.float32 else kind(scores)
    assert fit_mle(given).mean() == fit_mle(np.array(scores)).mean()
    assert fit_mle([0.25, None, 0.75]).mean() == fit_mle([0.25, 0.75]).mean()


def test_without_questions_there_are_no_results():
    empty = np.zeros((0, 3))
    for found in (fit_mle(empty), fit_map(empty, PRIOR), fit_posterior(empty, PRIOR), fit_map_gaussian(empty, PRIOR)):
        assert found.mean().shape == (0,)
        assert num_samples(found).shape == (0,)


@pytest.mark.parametrize("mu", [1e300, 1e160, 1e8, -1e8, -1e160, -1e300])
def test_all_mass_at_an_end(mu):
    """With b negligible the density falls as exp(-|a| t) from its end: mean distance and spread are 1 / |a|."""
    found = TruncatedNormal([mu, 0.5], [1.0, 0.1])
    end = float(mu > 0)
    assert found.mean()[0] == pytest.approx(end, abs=2e-8) and found.mean()[1] == pytest.approx(0.5)
    assert found.std()[0] == pytest.approx(1 / abs(mu), rel=1e-6, abs=1e-150)
    assert found.logcdf(0.5)[0] == (0.0 if mu < 0 else pytest.approx(-abs(mu) / 2, rel=1e-6))


@pytest.mark.parametrize(("a", "b"), [(3.0, -40.0), (-3.0, 5.0), (80.0, -0.5), (-700.0, 700.0), (0.0, 300.0)])
def test_moments_are_those_of_the_integral(a, b):
    with mp.workdps(40):
        total, first = (
            mp.quad(lambda x, k=k: x**k * mp.exp(mpf(a) * x + mpf(b) * x * x), [0, 0.01, 0.1, 0.5, 0.9, 0.99, 1])
            for k in (0, 1)
        )
    assert TruncatedNormal.from_natural(a, b).mean() == pytest.approx(float(first / total), rel=1e-10)


@pytest.mark.parametrize("column", ["mean_log", "mean_log1m"])
def test_targets_whose_logarithms_cannot_be_are_named(tmp_path, column):
    path = tmp_path / "targets.jsonl"
    path.write_text(f'{{"question": "1+1=", "mean": 0.5, "std": 0.1, "{column}": 5}}\n')
    with pytest.raises(InputError, match=rf"targets.jsonl: row 1: {column} of scores in \[0, 1\] must be <= 0, got 5"):
        read_targets(path)
