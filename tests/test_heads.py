"""Heads: valid priors from any input; the closed-form one against scikit-learn and against honest refits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.kernel_ridge import KernelRidge

from optscale_predictor.predictor.heads import Features, GaussianProcessHead, LinearHead
from optscale_predictor.predictor.heads.gaussian_process import head_sizes
from optscale_predictor.predictor.heads.linear import from_logits
from optscale_predictor.predictor.heads.question_features import NGramVocabulary, agreements, label_codes
from optscale_predictor.predictor.heads.solving import FOLDS, solve_head
from optscale_predictor.predictor.losses import Observed

WIDTH = 12


def make_questions(count, seed=0):
    """Token lists and pooled states whose first coordinate tells the mean score."""
    rng = np.random.default_rng(seed)
    tokens = [rng.integers(5, 40, rng.integers(4, 20)).tolist() for _ in range(count)]
    pooled = torch.from_numpy(rng.normal(size=(count, WIDTH))).float()
    mean = 0.7 + 0.2 * torch.tanh(pooled[:, 0]) + 0.02 * torch.from_numpy(rng.normal(size=count)).float()
    return tokens, pooled, mean.clamp(0.05, 0.98)


def observe(mean, errors=None):
    unknown = torch.full_like(mean, torch.nan)
    std = 0.4 * (mean * (1 - mean)).sqrt()
    errors = unknown if errors is None else errors
    return Observed(torch.full_like(mean, 16.0), mean, std, errors, errors)


def collate(tokens):
    length = max(map(len, tokens))
    padded = torch.tensor([one + [0] * (length - len(one)) for one in tokens])
    return padded, torch.tensor([[1] * len(one) + [0] * (length - len(one)) for one in tokens])


def solve(tokens, pooled, mean, source=None, errors=None, seed=0):
    head = GaussianProcessHead(WIDTH, head_sizes(tokens, WIDTH))
    folds = np.random.default_rng(seed).integers(0, FOLDS, len(tokens))
    source = [0] * len(tokens) if source is None else source
    return head, folds, solve_head(head, pooled, tokens, source, observe(mean, errors), folds)


def predict(head, tokens, pooled, source=0, coefficients=None):
    features = Features(pooled, *collate(tokens))
    return head(features, torch.full((len(tokens),), source), coefficients)


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=1, max_size=5))
def test_any_logits_give_a_valid_prior(raw):
    mean, std, strength = from_logits(torch.tensor(raw, dtype=torch.float32))
    assert ((mean > 0) & (mean < 1) & (std > 0) & (std <= (mean * (1 - mean)).sqrt())).all()
    assert ((strength >= 1) & strength.isfinite()).all()


def test_a_linear_head_starts_where_it_is_told():
    head = LinearHead(WIDTH, num_sources=2)
    head.start_at(0.9, 0.1, 4.0, source=1)
    torch.manual_seed(0)
    found = head(Features(torch.randn(400, WIDTH), *collate([[1]] * 400)), torch.ones(400, dtype=torch.long))
    assert [float(part.detach().mean()) for part in found] == pytest.approx([0.9, 0.1, 4.0], rel=0.05)


def test_the_gaussian_process_is_kernel_ridge_regression():
    tokens, pooled, mean = make_questions(120)
    head, _, _ = solve(tokens, pooled, mean)
    with torch.no_grad():
        states = Features(pooled, *collate(tokens))
        kernel = head.similarity(states, torch.zeros(120, dtype=torch.long)).double().numpy()
    targets = mean.double().numpy() - float(head.offset[0])
    errors = {
        noise: np.abs(
            KernelRidge(alpha=noise, kernel="precomputed").fit(kernel, targets).dual_coef_
            - head.coefficients[:, 0].double().numpy()
        ).max()
        for noise in (0.03, 0.1, 0.3, 1.0, 3.0)
    }
    assert min(errors.values()) < 1e-4  # one of the noises tried is that which was chosen


@pytest.mark.parametrize("width", [6, 300])
def test_coordinates_are_the_principal_components_of_standardised_states(width):
    rng = np.random.default_rng(0)
    states = rng.normal(size=(120, width)) * rng.uniform(0.1, 9, width) + rng.normal(size=width)
    states[:, 2] = 4.0  # the same for all: it tells nothing
    tokens, _, mean = make_questions(120)
    pooled = torch.from_numpy(states).float()
    head = GaussianProcessHead(width, head_sizes(tokens, width))
    solve_head(head, pooled, tokens, [0] * 120, observe(mean), rng.integers(0, FOLDS, 120))
    told = np.delete(states, 2, axis=1)
    components = PCA().fit_transform((told - told.mean(0)) / told.std(0, ddof=1))
    components /= np.median(pdist(components, "sqeuclidean")) ** 0.5
    found = head.project(pooled).numpy()
    rank = min(components.shape[1], 119)  # so many directions vary
    assert np.abs(found[:, :rank]) == pytest.approx(np.abs(components[:, :rank]), abs=2e-3)
    assert found[:, rank:] == pytest.approx(0.0, abs=2e-3)


def test_left_out_predictions_are_those_of_a_head_that_never_saw_the_fold():
    tokens, pooled, mean = make_questions(100)
    head, folds, cross = solve(tokens, pooled, mean)
    with torch.no_grad():
        kernel = (
            head.similarity(Features(pooled, *collate(tokens)), torch.zeros(100, dtype=torch.long)).double().numpy()
        )
    targets = mean.double().numpy() - float(head.offset[0])
    own, others = np.flatnonzero(folds == 3), np.flatnonzero(folds != 3)
    refits = []
    for noise in (0.03, 0.1, 0.3, 1.0, 3.0):
        ridge = KernelRidge(alpha=noise, kernel="precomputed").fit(kernel[np.ix_(others, others)], targets[others])
        refits.append(
            np.abs(
                ridge.predict(kernel[np.ix_(own, others)]) + float(head.offset[0]) - cross.predicted[own, 0].numpy()
            ).max()
        )
    assert min(refits) < 1e-4
    coefficients = cross.coefficients[cross.fold[own]]
    found = predict(head, [tokens[i] for i in own], pooled[own], coefficients=coefficients)
    assert found.mean.numpy() == pytest.approx(cross.predicted[own, 0].numpy(), abs=1e-4)


def test_it_learns_and_generalises():
    tokens, pooled, mean = make_questions(400)
    head, _, _ = solve(tokens[:300], pooled[:300], mean[:300])
    found = predict(head, tokens[300:], pooled[300:])
    r2 = 1 - ((found.mean - mean[300:]) ** 2).mean() / mean[300:].var()
    assert r2 > 0.5


def test_strength_grows_with_what_can_be_known():
    tokens, pooled, mean = make_questions(300)
    rng = np.random.default_rng(1)
    noise = torch.from_numpy(rng.permutation(mean.numpy()))  # has nothing to do with the questions
    told, untold = (predict(solve(tokens, pooled, at)[0], tokens, pooled).strength.mean() for at in (mean, noise))
    assert told > 2 * untold


def test_noisy_targets_count_less():
    tokens, pooled, mean = make_questions(200)
    wrong = mean.clone()
    bad = torch.arange(200) < 60
    wrong[bad] = 0.1
    errors = torch.where(bad, 0.6, 0.001)
    held_out = make_questions(200, seed=0)
    misled, wary = (
        predict(solve(tokens, pooled, wrong, errors=error)[0], held_out[0][60:], held_out[1][60:]).mean
        for error in (None, errors)
    )
    assert (wary - mean[60:]).abs().mean() < 0.5 * (misled - mean[60:]).abs().mean()


def test_sources_differ_and_still_help_one_another():
    tokens, pooled, mean = make_questions(300)
    source = [index % 2 for index in range(300)]
    shifted = torch.where(torch.tensor(source) == 1, mean - 0.3, mean).clamp(0.05, 0.98)
    head, _, _ = solve(tokens, pooled, shifted, source)
    first, second = (predict(head, tokens, pooled, source=index).mean for index in (0, 1))
    assert float((first - second).mean()) == pytest.approx(0.3, abs=0.15)
    assert np.corrcoef(second.numpy()[::2], mean.numpy()[::2])[0, 1] > 0.5  # of questions seen from the other alone


def test_ngrams_are_tf_idf():
    rng = np.random.default_rng(0)
    questions = [rng.integers(0, 9, rng.integers(2, 12)).tolist() for _ in range(40)]
    vocabulary = NGramVocabulary.of(questions)
    reference = TfidfVectorizer(
        analyzer=lambda tokens: [tuple(tokens[i : i + n]) for n in (1, 2, 3) for i in range(len(tokens) - n + 1)],
        min_df=2,
        sublinear_tf=True,
        use_idf=False,
        norm=None,
    ).fit(questions)
    counts = reference.transform(questions).toarray()
    weights = counts * np.log1p(40 / (counts > 0).sum(0))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True).clip(1e-12)
    found = vocabulary.weigh(questions).toarray()
    assert found.shape == weights.shape
    assert found @ found.T == pytest.approx(weights @ weights.T, abs=1e-5)


def test_questions_without_known_ngrams_are_no_trouble():
    tokens, pooled, mean = make_questions(50)
    head, _, _ = solve(tokens, pooled, mean)
    found = predict(head, [[999], [998, 997]], torch.zeros(2, WIDTH))
    assert all(part.isfinite().all() for part in found)
    unlike = [[index * 3, index * 3 + 1, index * 3 + 2] for index in range(30)]  # no n-gram twice
    head, _, _ = solve(unlike, pooled[:30], mean[:30])
    assert predict(head, unlike, pooled[:30]).mean.isfinite().all()


def test_gradient_reaches_pooled_states():
    tokens, pooled, mean = make_questions(60)
    head, _, cross = solve(tokens, pooled, mean)
    states = pooled[:4].clone().double().float().requires_grad_()
    predict(head, tokens[:4], states, coefficients=cross.coefficients[cross.fold[:4]]).mean.sum().backward()
    assert states.grad is not None and states.grad.abs().sum() > 0


def test_labels_that_matter_are_used_and_need_not_be_known():
    tokens, pooled, mean = make_questions(300)
    levels = ["easy" if index % 3 else "hard" for index in range(300)]
    shifted = torch.where(torch.tensor([level == "hard" for level in levels]), mean - 0.3, mean).clamp(0.05, 0.98)
    codes = label_codes(["level"], [{"level": level} for level in levels])
    head = GaussianProcessHead(WIDTH, head_sizes(tokens[:200], WIDTH, 1))
    folds = np.random.default_rng(0).integers(0, FOLDS, 200)
    solve_head(head, pooled[:200], tokens[:200], [0] * 200, observe(shifted[:200]), folds, codes[:200])

    def error(labels):
        features = Features(pooled[200:], *collate(tokens[200:]), labels)
        return float(((head(features, torch.zeros(100, dtype=torch.long)).mean - shifted[200:]) ** 2).mean())

    told, untold, wrong = (error(labels) for labels in (codes[200:], None, codes[200:].flip(0)))
    assert told < 0.9 * untold and untold < wrong
    unknown = label_codes(["level"], [{}] * 100)
    assert error(unknown) == pytest.approx(untold, rel=1e-5)


def test_agreement_is_the_chance_that_two_questions_agree():
    codes = label_codes(["level"], [{"level": "1"}, {"level": "1"}, {"level": "2"}, {}])
    assert agreements(codes).tolist() == pytest.approx([(2 / 3) ** 2 + (1 / 3) ** 2])
