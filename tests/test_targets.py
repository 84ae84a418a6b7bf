"""Targets against numpy and scipy, their errors against simulation, and splits by what they guarantee."""

import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_pool import SETTINGS, VERIFIER, rows_of, write_pool

from optscale_predictor.errors import InputError
from optscale_predictor.predictor.training.training_targets import read_targets
from optscale_predictor.stats.distributions.beta import fit_beta
from optscale_predictor.stats.estimators import ScoreStatistics, fit_mle
from optscale_predictor.targets import (
    MEANING,
    SCHEMA,
    SplitRule,
    make_targets,
    read_pool_scores,
    read_provenance,
    split_questions,
    tabulate,
    write_targets,
)
from optscale_predictor.targets.question_scores import mean_error, share_error, std_error
from optscale_predictor.targets.summary import auc_within, summarise


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
    with pytest.raises(InputError, match=r"a sample of question 'q1' has score 1.5, not in \[0, 1\]"):
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
    assert auc_within(question, score, label.astype(float)) == pytest.approx(expected)


def test_the_ceiling_is_the_share_of_variance_that_is_not_noise(tmp_path):
    rng = np.random.default_rng(0)
    centre = rng.uniform(0.3, 0.7, 2000)
    scores = np.clip(rng.normal(centre[:, None], 0.1, (2000, 4)), 0, 1)
    pool_scores = read_pool_scores(write_pool(tmp_path, scores.tolist(), shard_samples=4000))
    found = summarise(pool_scores, tabulate(pool_scores))
    assert found.mean_signal == pytest.approx(np.corrcoef(centre, scores.mean(-1))[0, 1] ** 2, abs=0.01)
    assert found.within == pytest.approx(0.01 * 0.75 / scores.var(), rel=0.05)


def jaccard(one, other):
    first, second = ({text[at : at + 5] for at in range(max(1, len(text) - 4))} for text in (one, other))
    return len(first & second) / len(first | second)


#: Few words, so that random texts do resemble one another.
texts = st.lists(
    st.lists(st.sampled_from(["tree", "trees", "house", "a", "12", "7"]), min_size=1, max_size=5).map(" ".join),
    max_size=14,
)
rules = st.builds(
    SplitRule, st.sampled_from([0.2, 0.5]), st.integers(0, 5), st.sampled_from([0.3, 0.6, 0.8, 1.0]), st.just(True)
)


@settings(max_examples=200)
@given(texts=texts, rule=rules)
def test_near_duplicates_never_stand_on_both_sides(texts, rule):
    sides = split_questions(texts, rule)
    assert set(sides) <= {"train", "validation", "left_out"}
    for one, side in zip(texts, sides, strict=True):
        for other, opposite in zip(texts, sides, strict=True):
            same_numbers = [word for word in one.split() if word.isdigit()] == [w for w in other.split() if w.isdigit()]
            if same_numbers and jaccard(one, other) >= rule.near_duplicates:
                assert {side, opposite} != {"train", "validation"}


@settings(max_examples=100)
@given(texts=texts, more=texts, rule=rules, same_numbers=st.booleans())
def test_questions_added_later_move_none(texts, more, rule, same_numbers):
    rule = SplitRule(rule.validation_share, rule.seed, rule.near_duplicates, same_numbers)
    assert split_questions([*texts, *more], rule)[: len(texts)] == split_questions(texts, rule)


def distinct(number, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 60)) for _ in range(number)]


def test_growth_past_the_exact_comparisons_moves_none():
    """From the 65th text on, pairs are found by hashing: those before stay as they are."""
    many = distinct(150)
    many += [text[:-1] for text in many[::3]] + [text + "!" for text in many[1::3]]
    rule = SplitRule(0.5)
    whole = split_questions(many, rule)
    for size in (1, 60, 64, 65, 70, 160):
        assert split_questions(many[:size], rule) == whole[:size]
    assert all(whole[150 + at] == whole[3 * at] for at in range(50))  # each copy stands with its original


def test_a_question_has_its_side_in_every_pool():
    many = distinct(300)
    sides = dict(zip(many, split_questions(many), strict=True))
    assert split_questions(many[::-2]) == [sides[text] for text in many[::-2]]


def test_about_the_asked_share_goes_to_validation():
    many = distinct(1000)
    for share in (0.0, 0.1, 0.5):
        counts = Counter(split_questions(many, SplitRule(share)))
        assert abs(counts["validation"] - share * 1000) <= 4 * np.sqrt(1000 * share * (1 - share))
        assert counts["left_out"] == 0
    assert split_questions(many, SplitRule(seed=1)) != split_questions(many, SplitRule(seed=2))


def test_templates_stand_on_one_side_unless_told_apart():
    template = [f"What is {number} plus {3 * number}?" for number in range(200)]
    assert len(set(split_questions(template, SplitRule(0.5)))) == 1
    counts = Counter(split_questions(template, SplitRule(0.5, same_numbers=True)))
    assert abs(counts["validation"] - 100) < 4 * np.sqrt(50)
    sums = [f"{number}+{3 * number}=" for number in range(200)]  # nothing but numbers: they tell the questions apart
    assert abs(Counter(split_questions(sums, SplitRule(0.5)))["validation"] - 100) < 4 * np.sqrt(50)


def test_one_that_links_both_sides_is_left_out():
    many = distinct(40)
    sides = split_questions(many, SplitRule(0.5))
    one, other = many[sides.index("train")], many[sides.index("validation")]
    bridge = one + other
    rule = SplitRule(0.5, near_duplicates=0.4)
    assert split_questions([*many, bridge], rule)[-1] == "left_out"
    assert split_questions([*many, bridge, bridge.upper()], rule)[-1] == "left_out"


def test_a_retry_that_scores_a_question_moves_no_other(tmp_path):
    """A question whose samples were all refused has no row, and holds its place among the others all the same."""
    many = distinct(30)
    scores = [[0.5, 0.6]] * 30
    scores[3] = [None, None]
    copies = [*many[:29], many[3][:-1]]
    before = make_targets(write_pool(tmp_path / "a", scores, copies), validation_share=0.5)
    after = make_targets(write_pool(tmp_path / "b", [[0.5, 0.6]] * 30, copies), validation_share=0.5)
    kept = [row for row in after.to_pylist() if row["question_id"] != "q3"]
    assert before["split"].to_pylist() == [row["split"] for row in kept]
    assert json.loads(before.schema.metadata[b"optscale"])["split"]["validation_share"] == 0.5
