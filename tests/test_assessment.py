"""Assessments: figures against other libraries and closed forms, baselines that see nothing held out, and files."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from small_pools import refused, shown
from synthetic_pool import write_pool

from optscale_predictor import OptScalePredictor, Prior
from optscale_predictor.errors import InputError, MissingExtraError
from optscale_predictor.evaluation.assessment import Settings, as_json, assess, assess_prior, fit_baselines, two_sides
from optscale_predictor.evaluation.assessment import baselines as baselines_module
from optscale_predictor.evaluation.assessment.accuracy import (
    difference,
    estimate,
    evidence,
    log_likelihood,
    r_squared,
    resampling_weights,
    spearman,
)
from optscale_predictor.evaluation.assessment.baseline_comparison import baseline_priors, best_strength, compare
from optscale_predictor.evaluation.assessment.baselines import LABELS, MEAN, WORDS, embed, grouped_folds
from optscale_predictor.predictor.model.config import PredictorConfig
from optscale_predictor.predictor.training.training_targets import Target
from optscale_predictor.stats.estimators import ScoreStatistics, fit_moments

WORDS_OF = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen"]


def statistics(mean, std, count=32.0):
    mean = np.asarray(mean, float)
    return ScoreStatistics(np.full(mean.shape, count), mean, np.broadcast_to(np.asarray(std, float), mean.shape) ** 2)


def made_up(count=80, seed=0, held_out=20):
    """Questions whose first word says how hard they are, as targets with a split."""
    rng = np.random.default_rng(seed)
    words = [rng.choice(WORDS_OF, 3) for _ in range(count)]
    ease = [WORDS_OF.index(chosen[0]) / 8 for chosen in words]
    return [
        Target(
            question=" ".join(chosen) + f" no. {number}?",
            mean=float(np.clip(0.3 + 0.5 * one + 0.05 * rng.standard_normal(), 0.05, 0.95)),
            std=0.12 + 0.05 * rng.random(),
            split="validation" if number < held_out else "train",
            num_samples=32,
            subject="animals" if one < 0.5 else "birds",
            level=str(int(4 * one)),
        )
        for number, (chosen, one) in enumerate(zip(words, ease, strict=True))
    ]


@pytest.fixture(scope="module", autouse=True)
def few_strengths():
    """Every third strength of a ridge: each is a fit of scikit-learn's for every fold."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines_module, "RIDGES", baselines_module.RIDGES[::3])
        yield


@pytest.fixture(scope="module")
def sides():
    return two_sides(made_up(), "validation", "made up")[:2]


@pytest.fixture(scope="module")
def baselines(sides):
    return fit_baselines(*sides, None)


# Figures


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_scikit_learn_and_scipy_on_every_resample(seed):
    rng = np.random.default_rng(seed)
    true, predicted = rng.random((2, 30)).round(1)  # rounded, so that there are ties
    weights = resampling_weights(30, 200, seed)
    assert weights.shape == (201, 30) and weights.sum(-1) == pytest.approx(1, abs=1e-6)
    rows = [np.repeat(np.arange(30), np.rint(30 * one).astype(int)) for one in weights]
    want = [(r2_score(true[row], predicted[row]), scipy.stats.spearmanr(true[row], predicted[row])[0]) for row in rows]
    found = np.stack([r_squared(predicted, true, weights), spearman(predicted, true, weights)], -1)
    assert found == pytest.approx(np.array(want), abs=1e-5)


def test_a_constant_has_no_rank_and_a_constant_truth_no_r_squared():
    weights = resampling_weights(5, 200)
    assert np.isnan(spearman(np.ones(5), np.arange(5.0), weights)).all()
    assert np.isnan(r_squared(np.arange(5.0), np.ones(5), weights)).all()


def test_likelihood_from_statistics_is_that_of_the_scores():
    scores = np.random.default_rng(0).beta(4, 2, (3, 40))
    prior = Prior([0.5, 0.6, 0.7], [0.2, 0.1, 0.3], 1.0)
    want = fit_moments(prior.mean, prior.within**2).log_prob(scores.T).mean(0)
    assert log_likelihood(prior, ScoreStatistics.from_scores(scores)) == pytest.approx(want, rel=1e-9)


def test_paired_differences_spread_as_the_central_limit_theorem_says():
    rng = np.random.default_rng(1)
    shared, own = rng.normal(0, 5, 400), rng.normal(0.05, 1, 400)
    weights = resampling_weights(400, 2000)
    found = difference(weights @ (shared + own) - weights @ shared)
    error = own.std() / 20
    assert found.of.mean == pytest.approx(own.mean()) and found.of.error == pytest.approx(error, rel=0.08)
    assert found.of.low == pytest.approx(own.mean() - 1.96 * error, abs=0.15 * error)
    assert found.better == pytest.approx(scipy.stats.norm.cdf(own.mean() / error), abs=0.03)
    # Unpaired, the noise that both share would hide it.
    assert estimate(weights @ (shared + own)).error > 4 * error


def test_no_difference_is_better_half_of_the_time():
    assert difference(np.zeros(300)).better == 0.5


def test_evidence_in_parts_is_the_evidence():
    from optscale_predictor.stats.estimators.evidence import log_evidence

    rng = np.random.default_rng(0)
    prior, observed = Prior(rng.uniform(0.2, 0.8, 150), 0.15, 4.0), statistics(rng.uniform(0.2, 0.8, 150), 0.2)
    assert evidence(prior, observed) == pytest.approx(log_evidence(prior, observed), abs=1e-9)


@pytest.mark.parametrize("noise", [0.12, 0.2])
def test_the_best_strength_is_where_the_evidence_is_greatest(noise):
    rng = np.random.default_rng(0)
    true = rng.uniform(0.3, 0.7, 20)
    moments = np.stack([true + noise * rng.standard_normal(20), np.full(20, 0.15)], -1)
    observed = statistics(true, 0.15)
    tried = np.geomspace(1, 40, 16)
    gains = [evidence(Prior.expecting(*moments.T, strength), observed).mean() for strength in tried]
    best = best_strength(moments, observed)
    assert best == pytest.approx(tried[np.argmax(gains)], rel=0.3)
    assert evidence(Prior.expecting(*moments.T, best), observed).mean() > max(gains) - 0.01  # nats


# What is held out


def test_training_questions_are_not_held_out():
    targets = made_up()
    leaked = dataclasses.replace(targets[-1], split="validation", question=f"  {targets[-1].question.upper()}")
    train, held_out, dropped = two_sides([*targets, leaked], "validation", "x")
    assert dropped == 1 and len(held_out) == 20 and len(train) == 60
    assert not {text.casefold() for text in train.texts} & {text.strip().casefold() for text in held_out.texts}


def test_splits_that_cannot_be_assessed_are_refused():
    with pytest.raises(InputError, match="split must name held-out questions, got 'train'"):
        two_sides(made_up(), "train", "x")
    with pytest.raises(InputError, match="x: 0 questions of split 'test'; an assessment needs 10"):
        two_sides(made_up(), "test", "x")
    with pytest.raises(InputError, match="5 questions of split 'train'"):
        two_sides(made_up(25), "validation", "x")


def test_baselines_see_nothing_of_the_held_out_moments(sides, baselines):
    train, held_out = sides
    blind = dataclasses.replace(held_out, statistics=statistics(np.full(len(held_out), 0.123), 0.01))
    for one, other in zip(baselines, fit_baselines(train, blind, None), strict=True):
        assert np.array_equal(one.held_out, other.held_out) and np.array_equal(one.out_of_fold, other.out_of_fold)


def test_an_out_of_fold_prediction_does_not_know_its_own_question(sides, baselines):
    train, held_out = sides
    moved = train.statistics.mean.copy()
    moved[0] = 0.9 if moved[0] < 0.5 else 0.1
    changed = dataclasses.replace(train, statistics=statistics(moved, 0.15))
    same = dataclasses.replace(train, statistics=statistics(train.statistics.mean, 0.15))
    for one, other in zip(fit_baselines(same, held_out, None), fit_baselines(changed, held_out, None), strict=True):
        if one.name in (MEAN, LABELS):  # the ridges' strength is chosen on all
            assert one.out_of_fold[0, 0] == pytest.approx(other.out_of_fold[0, 0], abs=1e-12)
            assert not np.allclose(one.held_out, other.held_out)
    assert [one.name for one in baselines][:2] == [MEAN, LABELS]


def test_near_duplicates_share_a_fold():
    texts = [
        f"A train leaves at {hour} o'clock for {city}, when does it arrive?" for city in WORDS_OF for hour in range(5)
    ]
    folds = grouped_folds(texts, 5, 0).reshape(len(WORDS_OF), 5)
    assert (folds == folds[:, :1]).all()
    lonely = grouped_folds(
        [" ".join(np.random.default_rng(k).choice(list("abcdefghijklmnopqrstuvwxyz"), 30)) for k in range(50)], 5, 0
    )
    assert np.bincount(lonely).tolist() == [10] * 5


def test_least_squares_on_labels_is_that_of_scikit_learn(sides, baselines):
    train, held_out = sides
    names = sorted({pair for labels in train.labels for pair in labels.items()})

    def columns(questions):
        return np.array([[float(name in labels.items()) for name in names] for labels in questions.labels])

    want = LinearRegression().fit(columns(train), train.moments).predict(columns(held_out))
    found = next(one for one in baselines if one.name == LABELS).held_out
    inside = (want[:, 0] > np.quantile(train.moments[:, 0], 0.02)) & (
        want[:, 0] < np.quantile(train.moments[:, 0], 0.98)
    )
    assert found[inside, 0] == pytest.approx(want[inside, 0], abs=1e-8) and inside.sum() > 10


def test_words_that_tell_are_learnt(sides, baselines):
    settings = Settings(resamples=200)
    train, held_out = sides
    rows = compare(
        Prior(*held_out.moments.T, 20.0), baseline_priors(baselines[:4], train, settings), held_out, settings
    )
    figures = {row.name: row.figures for row in rows}
    assert figures[MEAN]["r2_mean"].mean <= 0 and np.isnan(figures[MEAN]["spearman_mean"].mean)
    assert figures[LABELS]["r2_mean"].mean > 0.5 and figures[WORDS]["r2_mean"].mean > 0.1
    assert rows[-1].figures["r2_mean"].mean == pytest.approx(1)
    assert all(row.predictor_better["r2_mean"].better == 1 for row in rows[:-1])


def test_a_predictor_of_noise_is_not_better_than_the_mean(sides, baselines):
    train, held_out = sides
    settings, rng = Settings(resamples=200), np.random.default_rng(0)
    noise = Prior(rng.uniform(0.2, 0.9, len(held_out)), rng.uniform(0.05, 0.3, len(held_out)), 8.0)
    rows = compare(noise, baseline_priors(baselines[:1], train, settings), held_out, settings)
    mean, predictor = rows
    assert predictor.figures["r2_mean"].mean < mean.figures["r2_mean"].mean < 0.01
    for name in ("r2_mean", "r2_std", "log_likelihood", "log_evidence"):
        assert mean.predictor_better[name].of.mean < 0 and mean.predictor_better[name].better < 0.05
    with pytest.raises(InputError, match="3 predictions for 20 held-out questions"):
        compare(noise.take([0, 1, 2]), {}, held_out, settings)


def test_a_missing_extra_is_named(sides, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(MissingExtraError, match=r"optscale-predictor\[baselines\]"):
        fit_baselines(*sides, None)


def test_frozen_embeddings_do_not_depend_on_their_neighbours():
    texts = ["1+2=", "12+34+56+78=", "9+9="]
    together = embed("embedded:generator", texts)
    assert np.linalg.norm(together, axis=-1) == pytest.approx(1)
    assert together == pytest.approx(np.concatenate([embed("embedded:generator", [one]) for one in texts]), abs=1e-5)


# From checkpoint to files


def sums(count, first=0):
    """Sums of two to seven terms, the longer the harder, as rows of a targets file."""
    rng = np.random.default_rng(first)
    rows = []
    for number in range(count):
        terms = int(rng.integers(2, 8))
        text = "+".join(str(term) for term in rng.integers(1, 100, terms)) + "="
        mean = 0.95 - 0.1 * terms + 0.02 * rng.standard_normal()
        split = "validation" if number % 3 == 0 else "train"
        rows.append({"question": text, "mean": mean, "std": 0.15, "num_samples": 16, "split": split, "level": terms})
    return rows


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    return OptScalePredictor.from_base(PredictorConfig("embedded:generator", max_length=64)).eval()


@pytest.fixture(scope="module")
def folder(predictor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("assessed")
    predictor.save_pretrained(folder / "checkpoint")
    (folder / "targets.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sums(36)))
    return folder


FAST = ("--score_min=0.8", "--strengths=2 64", "--hit_share=0.9", "--resamples=200", "--max_samples=6")


def test_the_command_prints_and_writes_what_it_measured(folder, capsys):
    out = folder / "out"
    page = shown(capsys, "assess", folder / "checkpoint", folder / "targets.jsonl", "--output", out, *FAST)
    assert page == (out / "assessment.md").read_text()
    for part in ("On 12 held-out questions", "24 training questions", "simulated, Beta", "| true moments |", "| 64 |"):
        assert part in page
    content = json.loads((out / "assessment.json").read_text())
    assert {"accuracy", "calibration", "means", "savings", "strengths"} == content["tables"].keys()
    assert content["questions"] == 12 and content["split"] == "validation"
    assert content["figures"]["questions"] == 12
    assert all(isinstance(value, float) for value in content["figures"].values())
    ours = content["tables"]["accuracy"][-1]
    assert ours["name"] == "predictor" and content["figures"]["r2_mean"] == ours["figures"]["r2_mean"]["mean"]
    assert (out / "assessment.png").read_bytes().startswith(b"\x89PNG")
    assert "assumed" not in page and str(folder) not in page.replace(str(folder / "checkpoint"), "")


def test_what_cannot_be_assessed_is_one_line(folder, capsys):
    checkpoint, targets = folder / "checkpoint", folder / "targets.jsonl"
    for arguments, says in (
        (("--score_min=a",), "score_min must be numbers separated by spaces, got 'a'"),
        (("--score_min=1.5",), "score_min must lie in [0, 1], got 1.5"),
        (("--hit_share=2",), "a share of the hit rate must lie in (0, 1], got 2.0"),
        (("--alpha=1",), "alpha must lie in (0, 1), got 1.0"),
        (("--strengths=0",), "strengths must be >= 1 and finite, got 0.0"),
        (("--assumed_samples=0",), "assumed_samples must be >= 1 and finite, got 0.0"),
        (("--resamples=3",), "resamples must be >= 200, got 3"),
        (("--max_samples=1",), "max_samples must be >= 2, got 1"),
        (("--max_samples=1000000000",), "max_samples must be <= 16,384, got 1,000,000,000"),
        (("--resamples=1000000000",), "resamples must be <= 100,000, got 1,000,000,000"),
        (("--split=train",), "split must name held-out questions, got 'train'"),
        ((f"--pool={folder}",), "not a pool"),
    ):
        assert says in refused(capsys, "assess", checkpoint, targets, *arguments)
    assert "no such file" in refused(capsys, "assess", checkpoint, folder / "none.jsonl").lower()
    assert "none" in refused(capsys, "assess", folder / "none", targets)


def test_a_pool_is_replayed(folder, predictor, tmp_path):
    rows = [row for row in sums(36) if row["split"] == "validation"]
    rng = np.random.default_rng(0)
    texts = [row["question"] for row in rows[1:]] + ["a question that nobody asked"]
    pool = write_pool(tmp_path / "pool", rng.beta(4, 2, (len(texts), 5)).tolist(), texts)
    settings = Settings((0.8,), max_samples=8, shares=(0.9,), resamples=200, strengths=(2.0,))
    found = assess(predictor, folder / "targets.jsonl", pool=str(pool.folder), settings=settings)
    assert {one.kind for one in found.savings} == {"recorded samples"}
    assert any("11 of the held-out questions, at most 5 of each" in note for note in found.notes)
    assert len(found.calibration.score_coverage) == len(found.calibration.levels)
    assert json.dumps(as_json(found), allow_nan=False)
    stranger = write_pool(tmp_path / "stranger", [[0.5, 0.6]])
    with pytest.raises(InputError, match="has none of the 12 held-out questions"):
        assess(predictor, folder / "targets.jsonl", pool=str(stranger.folder), settings=settings)


def test_one_seed_repeats_itself(sides, baselines):
    settings = Settings((0.8,), max_samples=3, shares=(0.9,), resamples=200, seed=3, strengths=(2.0,))
    prior = Prior(*sides[1].moments.T, 5.0)
    one, other = (as_json(assess_prior(prior, *sides, baselines[:1], settings=settings)) for _ in range(2))
    assert one == other
