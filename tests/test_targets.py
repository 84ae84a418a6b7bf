"""Targets against numpy and scipy, and their errors against simulation."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from synthetic_pool import SETTINGS, VERIFIER, rows_of, write_pool

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.training.training_targets import read_targets
from optscale_predictor.stats.distributions.beta import fit_beta
from optscale_predictor.stats.estimators import ScoreStatistics, fit_mle
from optscale_predictor.stats.ranking import auc_within
from optscale_predictor.targets import (
    MEANING,
    SCHEMA,
    make_targets,
    read_pool_scores,
    read_provenance,
    tabulate,
    write_targets,
)
from optscale_predictor.targets.question_scores import mean_error, share_error, std_error
from optscale_predictor.targets.summary import summarise


def ragged(seed, questions=12, most=40):
    rng = np.random.default_rng(seed)
    return [rng.beta(*rng.uniform(0.3, 6, 2), rng.integers(2, most)).tolist() for _ in range(questions)]


@pytest.mark.parametrize("seed", range(3))
def test_moments_and_quantiles_are_those_of_numpy(tmp_path, seed):
    scores = ragged(seed)
    rows = make_targets(write_pool(tmp_path, scores)).to_pylist()
    for own, row in zip(scores, rows, strict=True):
        assert row["num_samples"] == len(own) and row["num_refused"] == 0
        expected = {
            "mean": np.mean(own),
            "std": np.std(own),
            "sum": np.sum(own),
            "sum_squares": np.sum(np.square(own)),
            "third_moment": scipy.stats.moment(own, 3),
            "fourth_moment": scipy.stats.moment(own, 4),
            "mean_log": np.mean(np.log(np.clip(own, 1e-6, 1 - 1e-6))),
            "mean_log1m": np.mean(np.log1p(-np.clip(own, 1e-6, 1 - 1e-6))),
            "min": min(own),
            "max": max(own),
            "mean_error": scipy.stats.sem(own),
            **{f"quantile_{level:02d}": np.quantile(own, level / 100) for level in (5, 25, 50, 75, 95)},
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-12, abs=1e-15), name


def test_fits_are_those_of_the_estimators(tmp_path):
    scores = [*ragged(5, 8), [0.01, 0.02, 0.98, 0.99, 0.5, 0.97]]  # the last one is U-shaped
    rows = make_targets(write_pool(tmp_path, scores)).to_pylist()
    for own, row in zip(scores, rows, strict=True):
        fit, beta = fit_mle(own), fit_beta(own)
        assert row["a"] == pytest.approx(float(fit.a), rel=1e-6) and row["b"] == pytest.approx(float(fit.b), rel=1e-6)
        assert row["beta_a"] == pytest.approx(float(beta.a)) and row["beta_b"] == pytest.approx(float(beta.b))
        if row["b"] < 0:
            assert row["mu"] == pytest.approx(float(fit.mu)) and row["sigma"] == pytest.approx(float(fit.sigma))
        else:
            assert row["mu"] is None and row["sigma"] is None
        assert row["a_error"] > 0 and row["b_error"] > 0
    assert rows[-1]["b"] > 0 and any(row["mu"] is not None for row in rows)


NO_MAXIMUM = ("a", "b", "a_error", "b_error", "mu", "sigma")
NO_SPREAD = ("mean_error", "std_error", "beta_a", "beta_b")


@pytest.mark.parametrize(
    ("own", "empty"),
    [
        ([0.4], NO_MAXIMUM + NO_SPREAD),
        ([0.1, 0.1, 0.1], NO_MAXIMUM + NO_SPREAD),  # their sum over three is not 0.1
        ([1.0, 1.0, 1.0, 1.0], NO_MAXIMUM + NO_SPREAD),
        ([0.0, 0.0], NO_MAXIMUM + NO_SPREAD),
        ([0.0, 1.0, 1.0], NO_MAXIMUM),
        ([0.2, 0.8], ()),
        ([0.5, 0.5 + 1e-4], ()),
    ],
)
def test_what_the_samples_cannot_tell_is_null(tmp_path, own, empty):
    row = make_targets(write_pool(tmp_path, [own])).to_pylist()[0]
    assert row["mean"] == pytest.approx(np.mean(own), rel=1e-15) and row["std"] == pytest.approx(np.std(own), abs=1e-16)
    assert (row["std"] == 0) == (len(set(own)) == 1)
    numbers = {
        name for name in SCHEMA.names if name.startswith(("a", "b", "mu", "sigma", "mean", "std")) or name in empty
    }
    nulls = {name for name in numbers - {"mean_tokens"} if row[name] is None}
    assert nulls - {"mu", "sigma"} == set(empty) - {"mu", "sigma"}
    assert set(empty) <= nulls


def test_scores_keep_every_digit(tmp_path):
    own = [0.5, 0.5 + 1e-5, 0.5 + 2e-5]  # float32 would round the steps by some per cent
    row = make_targets(write_pool(tmp_path, [own])).to_pylist()[0]
    assert row["std"] == pytest.approx(np.std(own), rel=1e-9)


def test_refused_samples_count_where_the_verifier_has_no_say(tmp_path):
    scores = [[0.2, None, 0.6], [None, None], [0.9]]
    correct = [[True, False, True], [True, True], [None]]
    tokens = [[10, 100, None], [5, 5], [None]]
    pool = write_pool(tmp_path, scores, correct=correct, num_tokens=tokens)
    pool_scores = read_pool_scores(pool)
    table = tabulate(pool_scores)
    first, last = table.to_pylist()
    assert (first["question_id"], last["question_id"]) == ("q0", "q2")
    assert (first["num_samples"], first["num_refused"], first["mean"]) == (2, 1, pytest.approx(0.4))
    assert (first["pass_rate"], first["num_judged"], first["mean_tokens"]) == (pytest.approx(2 / 3), 3, 55)
    assert (last["pass_rate"], last["pass_rate_error"], last["num_judged"], last["mean_tokens"]) == (
        None,
        None,
        0,
        None,
    )
    found = summarise(pool_scores, table)
    assert (found.questions, found.unscored_questions, found.samples, found.refused) == (2, 1, 3, 3)
    assert found.generated_tokens == 120 and found.verifier_tokens == 42
    assert pool_scores.refusals == {"its text is too long: # tokens": 3}


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    scores = ragged(1)
    rows = rows_of(scores)
    np.random.default_rng(0).shuffle(rows)
    straight, shuffled = (
        write_pool(tmp_path / "a", scores),
        write_pool(tmp_path / "b", scores, rows=rows, shard_samples=7),
    )
    assert make_targets(straight).equals(make_targets(shuffled))


def test_any_score_column(tmp_path):
    scores, other = [[0.1, 0.2], [0.3, 0.9]], [[0.5, 0.6], [0.7, 0.7]]
    pool = write_pool(tmp_path, scores, columns=("score", "score_prm"), score_prm=other)
    assert make_targets(pool)["mean"].to_pylist() == pytest.approx([0.15, 0.6])
    assert make_targets(pool, column="score_prm")["mean"].to_pylist() == pytest.approx([0.55, 0.7])
    with pytest.raises(InputError, match=r"no score 'score_judge'; there is: score, score_prm; run: optscale score"):
        make_targets(pool, column="score_judge")


def test_what_cannot_be_used_is_named(tmp_path):
    rows = rows_of([[0.5, 0.5], [0.5]])
    rows[1] |= {"score": None, "refusal": None}
    with pytest.raises(InputError, match=r"1 samples have no score; run: optscale score"):
        make_targets(write_pool(tmp_path / "unscored", [[0.5, 0.5], [0.5]], rows=rows))
    with pytest.raises(InputError, match=r"score = 1.5, not in \[0, 1\]; the first: question 'q1'"):
        make_targets(write_pool(tmp_path / "beyond", [[0.5], [0.2, 1.5]]))
    with pytest.raises(InputError, match=r"1 questions have no samples, 'q1' is the first; run: optscale generate"):
        make_targets(write_pool(tmp_path / "undrawn", [[0.5], []]))
    with pytest.raises(InputError, match="refused every sample"):
        make_targets(write_pool(tmp_path / "refused", [[None], [None]]))
    pool = write_pool(tmp_path / "good", [[0.5]])
    with pytest.raises(InputError, match=r"validation_share must lie in \[0, 1\), got 1.0"):
        make_targets(pool, validation_share=1.0)
    with pytest.raises(InputError, match=r"near_duplicates must lie in \(0, 1\], got 0"):
        make_targets(pool, near_duplicates=0.0)
    with pytest.raises(InputError, match="a score's column is called"):
        make_targets(pool, column="text")


def test_an_empty_pool_is_named(tmp_path):
    with pytest.raises(InputError, match=r"2 questions have no samples, 'q0' is the first"):
        make_targets(write_pool(tmp_path, [[], []], rows=[]))


def test_the_file_says_what_made_it_and_the_predictor_reads_it(tmp_path):
    table = make_targets(write_pool(tmp_path / "pool", ragged(2)), validation_share=0.4, seed=3)
    write_targets(table, tmp_path / "deep" / "targets.parquet")
    made = read_provenance(tmp_path / "deep" / "targets.parquet")
    assert made["settings"] == SETTINGS and made["verifier"] == VERIFIER and made["column"] == "score"
    assert made["split"] == {"validation_share": 0.4, "seed": 3, "near_duplicates": 0.8, "same_numbers": False}
    read = read_targets(tmp_path / "deep" / "targets.parquet")
    rows = table.to_pylist()
    assert [(one.question, one.mean, one.std, one.split) for one in read] == [
        (row["question"], row["mean"], row["std"], row["split"]) for row in rows
    ]
    assert list(MEANING) == SCHEMA.names == table.schema.names
    with pytest.raises(InputError, match=r"targets.csv: targets are a Parquet file"):
        write_targets(table, tmp_path / "targets.csv")
    pq.write_table(table.select(["question"]).replace_schema_metadata(None), tmp_path / "other.parquet")
    for path in ("other.parquet", "none.parquet"):
        with pytest.raises(InputError, match="not a file of targets"):
            read_provenance(tmp_path / path)
    (tmp_path / "a_file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_targets(table, tmp_path / "a_file" / "targets.parquet")


@pytest.mark.parametrize("shape", [(2, 2), (8, 2), (0.5, 0.7)])
def test_errors_of_mean_and_std_are_those_of_a_bootstrap(shape):
    rng = np.random.default_rng(0)
    own = rng.beta(*shape, 150)
    again = rng.choice(own, (20_000, own.size))
    statistics = ScoreStatistics.from_scores(own[None])
    assert mean_error(statistics)[0] == pytest.approx(again.mean(-1).std(), rel=0.02)
    fourth = np.array([scipy.stats.moment(own, 4)])
    assert std_error(statistics, fourth)[0] == pytest.approx(again.std(-1).std(), rel=0.03)


@pytest.mark.parametrize("shape", [(2, 2), (8, 2), (0.5, 0.7)])
@pytest.mark.parametrize(("number", "low"), [(2, 0.75), (4, 0.7), (16, 0.85), (64, 0.95)])
def test_errors_are_about_right_on_average(shape, number, low):
    """Root mean square of the estimated errors against the spread of what they are errors of."""
    own = np.random.default_rng(0).beta(*shape, (40_000, number))
    statistics = ScoreStatistics.from_scores(own)
    fourth = ((own - own.mean(-1, keepdims=True)) ** 4).mean(-1)
    assert np.sqrt(np.nanmean(mean_error(statistics) ** 2)) == pytest.approx(own.mean(-1).std(), rel=0.02)
    assert low < np.sqrt(np.nanmean(std_error(statistics, fourth) ** 2)) / own.std(-1).std() < 1.1


@given(trials=st.integers(1, 200), part=st.floats(0, 1))
def test_the_error_of_a_share_is_that_of_its_posterior(trials, part):
    right = round(part * trials)
    posterior = scipy.stats.beta(right + 1, trials - right + 1)
    assert share_error([right], [trials])[0] == pytest.approx(posterior.std(), rel=1e-9)
    assert np.isnan(share_error([0], [0])[0])


@given(data=st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1))
def test_auc_within_questions_counts_pairs(data):
    data.sort(key=lambda one: one[:2])
    question, score, label = (np.array(column) for column in zip(*data, strict=True))
    expected = []
    for one in np.unique(question):
        right, wrong = (score[(question == one) & (label == side)] for side in (True, False))
        if right.size and wrong.size:
            pairs = [(above > below) + (above == below) / 2 for above in right for below in wrong]
            expected.append(np.mean(pairs))
    found = auc_within(score, label, question)
    assert found.questions == len(expected)
    assert found.auc == pytest.approx(np.mean(expected) if expected else np.nan, nan_ok=True)


def test_the_ceiling_is_the_share_of_variance_that_is_not_noise(tmp_path):
    rng = np.random.default_rng(0)
    centre = rng.uniform(0.3, 0.7, 2000)
    scores = np.clip(rng.normal(centre[:, None], 0.1, (2000, 4)), 0, 1)
    pool_scores = read_pool_scores(write_pool(tmp_path, scores.tolist(), shard_samples=4000))
    found = summarise(pool_scores, tabulate(pool_scores))
    assert found.mean_signal == pytest.approx(np.corrcoef(centre, scores.mean(-1))[0, 1] ** 2, abs=0.01)
    assert found.within == pytest.approx(0.01 * 0.75 / scores.var(), rel=0.05)
