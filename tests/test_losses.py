"""Losses: gradients by finite differences, finite at every edge, and each teaching what it is for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.losses import Likelihood, MarginalLikelihood, Observed, Predicted, SquaredError
from optscale_predictor.predictor.losses.squared_error import noise_weights, standard_errors, true_spread
from optscale_predictor.stats.distributions.truncated_normal_fit import ScoreStatistics
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.evidence import log_evidence

LOSSES = {
    "squared error": lambda: SquaredError(),
    "squared error of parameters": lambda: SquaredError("parameters"),
    "likelihood": lambda: Likelihood(),
    "Beta likelihood": lambda: Likelihood("beta"),
    "marginal likelihood": lambda: MarginalLikelihood(),
}


def observe(scores):
    """Observed statistics of scores [questions, samples], NaN = not drawn."""
    scores = np.atleast_2d(np.asarray(scores, np.float64))
    count, inside = (~np.isnan(scores)).sum(-1), np.clip(scores, 1e-6, 1 - 1e-6)
    std = np.nanstd(scores, -1)
    with np.errstate(all="ignore"):
        error = np.where((count > 1) & (std > 1e-6), std / np.sqrt(count - 1), np.nan)
    parts = count, np.nanmean(scores, -1), std, error, error / np.sqrt(2)
    logs = np.nanmean(np.log(inside), -1), np.nanmean(np.log1p(-inside), -1)
    return Observed(*(torch.tensor(part, dtype=torch.float64) for part in (*parts, *logs)))


def predict(mean, std, strength, dtype=torch.float64):
    parts = np.broadcast_arrays(*(np.asarray(part, np.float64) for part in (mean, std, strength)))
    return Predicted(*(torch.tensor(part, dtype=dtype, requires_grad=True) for part in parts))


SCORES = np.random.default_rng(0).beta(6, 2, (4, 12))
SCORES[1, 5:] = np.nan
PREDICTION = ([0.7, 0.8, 0.6, 0.93], [0.15, 0.1, 0.25, 0.07], [2.0, 5.0, 1.5, 12.0])


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "marginal likelihood"])
def test_gradient_agrees_with_finite_differences(name):
    loss, seen = LOSSES[name](), observe(SCORES)
    loss.fit(seen)

    def total(mean, std):
        return loss(Predicted(mean, std, torch.ones_like(mean)), seen)

    assert torch.autograd.gradcheck(total, predict(*PREDICTION)[:2], rtol=1e-4, atol=1e-5)


def test_marginal_likelihoods_gradient_agrees_with_finite_differences():
    """By the strength too."""
    loss, seen = MarginalLikelihood(), observe(SCORES)
    found = predict(*PREDICTION)
    assert torch.autograd.gradcheck(lambda *parts: loss(Predicted(*parts), seen), tuple(found), rtol=1e-4, atol=1e-4)


#: As wide as scores of this mean can be, or all but: a prior cannot widen by what a strength this low asks for.
WIDEST = ([0.7, 0.8, 0.3, 0.93], [0.42, 0.35, 0.455, 0.2515], [1.2, 2.0, 1.5, 1.05])


@pytest.mark.parametrize("given", [PREDICTION, WIDEST])
def test_marginal_likelihood_is_the_evidence_of_the_prior_that_is_emitted(given):
    scores = np.random.default_rng(5).beta(0.3, 0.1, (4, 12))
    statistics = ScoreStatistics.from_scores(scores)
    expected = -log_evidence(Prior.expecting(*given), statistics)
    assert MarginalLikelihood()(predict(*given), observe(scores)).tolist() == pytest.approx(expected.tolist(), rel=1e-9)


def test_its_gradient_agrees_with_finite_differences_where_no_prior_is_wider():
    loss, seen = MarginalLikelihood(), observe(np.random.default_rng(5).beta(0.3, 0.1, (4, 12)))
    found = predict(*WIDEST)
    assert torch.autograd.gradcheck(lambda *parts: loss(Predicted(*parts), seen), tuple(found), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_single_precision_gives_the_same(name):
    seen = observe(SCORES)
    single = Observed(*(part.float() for part in seen))
    results = []
    for dtype, observed in ((torch.float64, seen), (torch.float32, single)):
        loss, found = LOSSES[name](), predict(*PREDICTION, dtype=dtype)
        loss.fit(observed)
        value = loss(found, observed)
        value.sum().backward()
        assert value.dtype == dtype and found.mean.grad.dtype == dtype
        results.append((value.detach().numpy(), found.mean.grad.numpy(), found.std.grad.numpy()))
    for double, half in zip(*results, strict=True):
        assert half == pytest.approx(double, rel=2e-3, abs=1e-3)


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25, deadline=None)
@given(
    mean=st.floats(0, 1, width=32),
    share=st.floats(0, 1, width=32),
    strength=st.floats(1, 1e6),
    scores=st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=6),
)
def test_loss_and_gradient_are_always_finite(name, mean, share, strength, scores):
    seen = observe([scores])
    loss = LOSSES[name]()
    loss.fit(observe([scores, scores]))
    found = predict([mean], [share * np.sqrt(mean * (1 - mean))], [strength], torch.float32)
    value = loss(found, seen)
    value.sum().backward()
    assert value.shape == (1,) and torch.isfinite(value).all()
    assert all(part.grad is None or torch.isfinite(part.grad).all() for part in found)


def test_likelihoods_against_scipy():
    scores = np.random.default_rng(1).beta(4, 2, (1, 30))
    seen = observe(scores)
    mean, std = 0.6, 0.2
    total = mean * (1 - mean) / std**2 - 1
    expected = -stats.beta(mean * total, (1 - mean) * total).logpdf(scores).mean()
    assert Likelihood("beta")(predict([mean], [std], 1), seen).item() == pytest.approx(expected, abs=1e-9)
    location, scale = 0.62, 0.25
    family = stats.truncnorm(-location / scale, (1 - location) / scale, location, scale)
    found = Likelihood()(predict([family.mean()], [family.std()], 1), seen)
    assert found.item() == pytest.approx(-family.logpdf(scores).mean(), abs=1e-7)


def test_likelihoods_are_least_at_the_observed_moments():
    seen = observe(np.random.default_rng(2).uniform(0.3, 0.9, (1, 50)))
    best = float(Likelihood()(Predicted(seen.mean, seen.std, torch.ones(1)), seen))
    for mean, std in ((0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        assert float(Likelihood()(Predicted(seen.mean + mean, seen.std + std, torch.ones(1)), seen)) > best


def test_parameters_are_the_papers():
    """mu and sigma of the truncated normal, which scipy's moments give back; units of their spread."""
    location, scale = np.array([0.6, 0.7, 0.9]), np.array([0.1, 0.2, 0.15])
    family = stats.truncnorm(-location / scale, (1 - location) / scale, location, scale)
    nan = torch.full((3,), torch.nan, dtype=torch.float64)
    seen = Observed(nan, *(torch.tensor(part) for part in (family.mean(), family.std())), nan, nan)
    loss = SquaredError("parameters", weighted=False)
    loss.fit(seen)
    other = stats.truncnorm(-0.5 / 0.3, 0.5 / 0.3, 0.5, 0.3)
    found = loss(predict([other.mean()] * 3, [other.std()] * 3, 1), seen).detach().numpy()
    expected = (((0.5 - location) / location.std()) ** 2 + ((0.3 - scale) / scale.std()) ** 2) / 2
    assert found == pytest.approx(expected, rel=1e-6)


def test_squared_error_by_hand():
    nan = torch.full((2,), torch.nan)
    seen = Observed(nan, torch.tensor([0.2, 0.6]), torch.tensor([0.1, 0.3]), nan, nan)
    loss = SquaredError()
    loss.fit(seen)  # spreads 0.2 and 0.1; nothing known of noise, so weights of 1
    assert loss(predict([0.4, 0.6], [0.1, 0.1], 1, torch.float32), seen).tolist() == pytest.approx([0.5, 2.0], rel=1e-5)


def mixed_world(rng, questions=400):
    """A linear relation of the mean score, seen through 1, 2, 4 or 64 scores of deviation 0.3."""
    features = rng.standard_normal((questions, 8))
    weight = rng.standard_normal(8) * 0.05
    truth = 0.5 + features @ weight + rng.normal(0, 0.05, questions)
    scores = truth[:, None] + rng.normal(0, 0.2, (questions, 64))
    scores[np.arange(64) >= rng.choice([1, 2, 4, 64], questions)[:, None]] = np.nan
    return features, weight, observe(np.clip(scores, 0, 1))


def test_weighted_fits_err_less():
    """Least squares on targets of mixed counts, over thirty worlds: equal weights, learnt ones, and those of the truth.

    By the inverse variances 0.05^2 + 0.2^2 / n, were they known, the last would leave 0.41 of the first's error.
    """
    errors = []
    for seed in range(30):
        features, weight, seen = mixed_world(np.random.default_rng(seed))
        design = np.column_stack([features, np.ones(len(features))])
        for loss in (SquaredError(weighted=False), SquaredError(), SquaredError(residual=(0.05, 0.05))):
            loss.fit(seen)
            weights = loss.weights(seen)[0]
            assert weights.mean() == pytest.approx(1)
            root = np.sqrt(weights)[:, None]
            found = np.linalg.lstsq(design * root, seen.mean.numpy() * root[:, 0], rcond=None)[0]
            errors.append(((found[:-1] - weight) ** 2).sum())
    plain, learnt, best = np.array(errors).reshape(-1, 3).mean(0)
    assert best < 0.55 * plain and learnt < 0.85 * plain


def test_one_score_says_nothing_of_a_deviation():
    seen = observe([[0.3, np.nan, np.nan], [0.2, 0.5, 0.7]])
    loss = SquaredError()
    loss.fit(seen)
    weights = loss.weights(seen)
    assert weights[1].tolist() == pytest.approx([0, 2]) and 0 < weights[0, 0] < weights[0, 1]


def test_errors_and_weights_by_hand():
    count, unknown = np.array([4.0, np.nan, np.nan]), np.nan
    mean_error, std_error = standard_errors(count, np.array([0.1, 0.2, unknown]), np.full(3, unknown), 0.4)
    # (4 * 0.1^2 + 4 * 0.4^2 / 4) / 8; without a count the error as it is, or none.
    assert mean_error == pytest.approx([np.sqrt(0.025), 0.2, 0])
    assert std_error == pytest.approx([np.sqrt(0.02), 0, 0])
    assert noise_weights(np.array([0.0, 0.1, 0.2, np.inf]), 0.1) == pytest.approx([1, 0.5, 0.2, 0])
    rng = np.random.default_rng(0)
    noise = np.full(20_000, 0.2)
    assert true_spread(rng.normal(0, 0.1, 20_000) + rng.normal(0, noise), noise) == pytest.approx(0.1, rel=0.1)


def test_strength_follows_how_well_the_mean_was_foreseen():
    """More strength pays where observed means lie near the predicted one, less where they lie far off."""
    rng = np.random.default_rng(3)
    for spread, sign in ((0.01, -1), (0.1, 1)):
        truth = 0.6 + rng.normal(0, spread, 60)
        seen = observe(np.clip(truth[:, None] + rng.normal(0, 0.1, (60, 32)), 0, 1))
        found = predict(np.full(60, 0.6), 0.1, 4.0)
        MarginalLikelihood()(found, seen).sum().backward()
        assert np.sign(float(found.strength.grad.sum())) == sign


def test_squared_error_and_likelihood_leave_the_strength_alone():
    for name in ("squared error", "likelihood"):
        found, seen = predict(*PREDICTION), observe(SCORES)
        LOSSES[name]()(found, seen).sum().backward()
        assert found.strength.grad is None


def test_what_cannot_be_done_is_one_line():
    nan = torch.full((2,), torch.nan)
    seen = Observed(nan, torch.tensor([0.2, 0.6]), torch.tensor([0.1, 0.3]), nan, nan)
    with pytest.raises(InputError, match="needs num_samples >= 1 of every target"):
        MarginalLikelihood().fit(seen)
    with pytest.raises(InputError, match="needs targets with columns mean_log and mean_log1m"):
        Likelihood("beta").fit(seen)
    with pytest.raises(InputError, match="of family truncated_normal alone, got 'beta'"):
        MarginalLikelihood("beta")
    with pytest.raises(InputError, match="space must be"):
        SquaredError("natural")
    with pytest.raises(InputError, match="residual must be >= 0"):
        SquaredError(residual=(0.1, -1.0))
