"""Comparisons of runs: every figure against one computed otherwise, and what is said where something is missing."""

import numpy as np
import pytest
from fitted_policies import text_of
from recorded_runs import OURS, REFERENCE, VOTES, by_question, named, outcomes_of, record_run
from synthetic_pool import write_pool

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report import compare, read_record, replay_pool
from optscale_predictor.evaluation.report.coverage import guarantee_coverages
from optscale_predictor.evaluation.report.difficulty import difficulty, select_examples
from optscale_predictor.evaluation.report.formatting import (
    conclusion,
)
from optscale_predictor.evaluation.report.report_charts import confidence_against_answers
from optscale_predictor.evaluation.report.report_page import render_page
from optscale_predictor.evaluation.report.report_tables import policies_table
from optscale_predictor.evaluation.report.run_data import policy_labels
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, replay
from optscale_predictor.stats.reliability import reliability


@pytest.fixture(scope="module")
def comparison(folders):
    return compare([read_record(one) for one in folders[:3]])


@pytest.mark.parametrize("policy", [OURS, VOTES, REFERENCE])
def test_means_and_errors_are_those_of_the_outcomes(comparison, folders, policy):
    rows = outcomes_of(folders[:3], policy)
    result = named(comparison, policy)
    for metric in ("correct", "samples", "tokens", "score"):
        own, values = result.means[metric].estimate, by_question(rows, metric)
        assert own.mean == pytest.approx(values.mean())
        # The textbook error of a mean of clusters: that of the questions' own means.
        assert own.error == pytest.approx(values.std(ddof=1) / np.sqrt(len(values)), rel=0.1, abs=1e-9)
        assert own.low <= own.mean <= own.high
    for reason, share in result.stops.items():
        assert share.point == pytest.approx(np.mean([one["stop_reason"] == reason for one in rows]))
    assert sum(share.point for share in result.stops.values()) == pytest.approx(1)
    hits = [one["hit"] for one in rows]
    assert np.isnan(result.means["hit"].point) if hits[0] is None else result.means["hit"].point == np.mean(hits)


def test_a_question_in_several_runs_counts_once(folders):
    """The same run given three times tells no more than once."""
    once = compare([read_record(folders[0])])
    thrice = compare([read_record(folders[0])] * 3)
    for metric in ("correct", "tokens"):
        one, three = (named(c, OURS).means[metric].estimate for c in (once, thrice))
        assert (one.mean, one.error, one.low, one.high) == pytest.approx(
            (three.mean, three.error, three.low, three.high)
        )


def test_seeds_narrow_intervals_only_by_what_they_average_out(comparison, folders):
    """Three seeds of the same questions are worth less than three times the questions."""
    one, three = (
        named(c, VOTES).means["correct"].estimate.error for c in (compare([read_record(folders[0])]), comparison)
    )
    assert one / np.sqrt(3) < three < one


def test_difficulty_is_the_share_of_wrong_samples(comparison, pools, folders):
    found = difficulty(comparison)
    wrong = 1 - np.mean([RecordedSamples.from_pool(pool).correct for pool in pools], (0, 2))
    order = [[question.id for question in pools[0].questions].index(one) for one in comparison.questions]
    assert found.share == pytest.approx(wrong[order]) and not found.biased
    places = np.minimum((wrong * 10 + 1e-9).astype(int), 9)
    samples = by_question(outcomes_of(folders[:3], OURS), "samples")
    for one in range(10):
        assert found.count[one] == (places == one).sum()
        if found.count[one]:
            assert found.samples[0][one].mean == pytest.approx(samples[places == one].mean())
    alone = difficulty(compare([read_record(folders[3])]))
    assert alone.biased  # nobody drew all samples of every question


def test_coverage_of_the_guarantee_is_counted(comparison, folders):
    (kept,) = guarantee_coverages(comparison)
    rows = [one for one in outcomes_of(folders[:3], OURS) if one["stop_reason"] in ("reached", "confident")]
    assert (kept.guaranteed, kept.kept) == (len(rows), sum(one["hit"] for one in rows))
    assert kept.confident == sum(one["stop_reason"] == "confident" for one in rows)
    share, number = kept.share, len({one["question_id"] for one in rows})
    z = 1.959963984540054
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    assert (kept.low, kept.high) == pytest.approx((middle - half, middle + half)) and kept.alpha == 0.95


def test_a_pool_is_replayed_in_many_orders(pools):
    rules = [parse_policy(text) for text in (OURS, REFERENCE)]
    run = replay_pool(pools[0], rules, orders=15, seed=1)
    result = compare([run]).primary
    rows = replay(
        [ReplayEntry(rule, "x") for rule in rules], RecordedSamples.from_pool(pools[0]), num_orders=60, seed=5
    )
    assert result.means["samples"].point == pytest.approx(rows[0].samples.mean, rel=0.04)
    assert result.means["correct"].point == pytest.approx(rows[0].accuracy.mean, abs=0.02)
    assert len(run.cases[result.policy].question) == 15 * 40 and len(run.shown[result.policy].question) == 40
    again = replay_pool(pools[0], rules, orders=15, seed=1)
    assert (again.cases[result.policy].samples == run.cases[result.policy].samples).all()


def test_the_recorded_order_is_what_the_run_did(pools, folders):
    """A replay's first order and the run's record agree, question by question, answers included."""
    shown = replay_pool(pools[0], [parse_policy(OURS)], orders=1).shown[str(parse_policy(OURS))]
    rows = outcomes_of(folders[:1], OURS)
    assert shown.samples.tolist() == [one["samples"] for one in rows]
    assert shown.answer.tolist() == [one["answer"] for one in rows]
    assert shown.reason.tolist() == [one["stop_reason"] for one in rows]


def test_confidence_is_held_against_answers_where_it_is_known(tmp_path, pools):
    fitted = text_of("fitted", "price=0.1,max_samples=8")
    run = record_run(tmp_path / "run", pools[0], (fitted, REFERENCE))
    found = compare([read_record(run)])
    rows = outcomes_of([run], fitted)
    told, right = (np.array([float(one[name]) for one in rows]) for name in ("confidence", "correct"))
    result = named(found, fitted)
    assert result.means["brier"].point == pytest.approx(np.mean((told - right) ** 2))
    table = policies_table(found)
    shown = dict(zip(table.header, table.rows[0], strict=True))
    error = reliability(told, right).calibration_error
    assert shown["calibration error"] == f"{error:.3f}" and shown["Brier score"].startswith(
        f"{np.mean((told - right) ** 2):.3f} ±"
    )
    other = dict(zip(table.header, table.rows[1], strict=True))
    assert other["calibration error"] == other["Brier score"] == ""
    chart = confidence_against_answers(found)
    assert chart.title == "Confidence against answer" and sum(int(row[1]) for row in chart.rows) == len(rows)
    assert 'id="reliability-confidence"' in render_page(found, "x")
    replayed = compare([replay_pool(pools[0], [parse_policy(fitted)], orders=1)])
    assert replayed.primary.means["brier"].point == pytest.approx(result.means["brier"].point)


def test_without_a_confidence_nothing_is_said_of_it(comparison):
    assert "Brier score" not in policies_table(comparison).header and confidence_against_answers(comparison) is None
    assert "reliability-confidence" not in render_page(comparison, "x")


def test_runs_that_chose_their_answers_otherwise_do_not_compare(tmp_path, pools, folders):
    other = record_run(tmp_path / "other", pools[0], selection="majority")
    with pytest.raises(InputError, match=r"chose answers by majority, and .* by each policy's own rule; they do not"):
        compare([read_record(folders[0]), read_record(other)])


def test_questions_that_some_run_lacks_are_left_out(folders, tmp_path, pools):
    lines = (folders[0] / "outcomes.jsonl").read_text().splitlines(keepends=True)
    short = record_run(tmp_path / "short", pools[0])
    (short / "outcomes.jsonl").write_text("".join(lines[: 3 * 25]))
    found = compare([read_record(folders[0]), read_record(short)])
    assert len(found.questions) == 25 and found.left_out == 15
    assert named(found, OURS).means["samples"].point == pytest.approx(
        np.mean([one["samples"] for one in outcomes_of(folders[:1], OURS)[:25]])
    )


def test_without_gold_answers_scores_are_compared(tmp_path):
    scores = np.random.default_rng(0).random((12, 4)).round(3).tolist()
    nothing = [[None] * 4] * 12
    pool = write_pool(tmp_path / "pool", scores, correct=nothing, answer=nothing)
    found = compare(
        [replay_pool(pool, [parse_policy("optscale:max_samples=4"), parse_policy("best_of_n:max_samples=4")])]
    )
    assert found.quality == "score" and found.primary.means["score"].point > 0.5
    assert "scored" in conclusion(found) and difficulty(found) is None
    want = np.mean(np.max(scores, -1))
    assert found.curve.score[:, -1].mean() == pytest.approx(want) == found.reference.means["score"].point
    assert [name for name in policies_table(found).header[:2]] == ["policy", "samples"]


def test_what_is_compared_with_is_not_what_the_report_is_about(folders):
    """Whichever run is named first."""
    for order in (folders[3:5], folders[4:2:-1]):
        found = compare([read_record(one) for one in order])
        assert found.primary.policy == str(parse_policy(OURS)) and found.reference.live


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"task": "others"}, "'others', and all0 ran 'sums'"),
        ({"generator": {"model": "org/other", "adapter": "x", "temperature": 0.7}}, "has model 'org/other'"),
        ({"verifier": {"model": "org/other", "adapter": "x"}}, "its verifier has aggregation None"),
    ],
)
def test_unlike_runs_do_not_compare(folders, tmp_path, pools, facts, says):
    other = record_run(tmp_path / "other", pools[0], **facts)
    with pytest.raises(InputError, match="do not compare") as raised:
        compare([read_record(folders[0]), read_record(other)])
    assert says in str(raised.value).replace(str(folders[0]), "all0")


def test_who_served_the_model_does_not_matter(folders, tmp_path, pools):
    served = {**pools[0].manifest["settings"]["generator"], "adapter": "openai_server", "seed": 9}
    other = record_run(tmp_path / "other", pools[0], generator=served)
    pooled = record_run(
        tmp_path / "pooled", pools[0], generator={"adapter": "pool", "settings": pools[0].manifest["settings"]}
    )
    assert len(compare([read_record(one) for one in (folders[0], other, pooled)]).questions) == 40


def test_labels_tell_policies_apart():
    given = [
        ("optscale:score_min=0.8,alpha=0.95", None),
        ("optscale:score_min=0.9,alpha=0.95", None),
        ("optscale:score_min=0.9,alpha=0.95", "some/where/tuned"),
        ("best_of_n:max_samples=4", None),
        ("esc:max_samples=8", None),
    ]
    assert policy_labels(given) == [
        "optscale (score_min=0.8)",
        "optscale (score_min=0.9, no predictor)",
        "optscale (score_min=0.9, predictor tuned)",
        "best_of_n (max_samples=4)",
        "esc",
    ]


def test_the_questions_that_teach_most_come_first(comparison):
    every = select_examples(comparison, difficulty(comparison).share)
    assert sorted(every.indices) == list(range(40)) and every.shown == every.totals
    few = select_examples(comparison, difficulty(comparison).share, 12)
    assert len(few.indices) <= 12 and len(set(few.indices)) == len(few.indices)
    differing = sum(every.totals[name] for name in ("lost", "won", "split"))
    assert sum(few.shown[name] for name in ("lost", "won", "split")) == min(differing, 12)
    shares = {
        policy: dict(zip(comparison.questions, by_question_of(comparison, policy), strict=True))
        for policy in (OURS, REFERENCE)
    }
    for place, group in zip(every.indices, every.groups, strict=True):
        question = comparison.questions[place]
        assert (group == "lost") == (shares[OURS][question] < shares[REFERENCE][question])
        assert (group == "won") == (shares[OURS][question] > shares[REFERENCE][question])


def by_question_of(comparison, policy):
    result = named(comparison, policy)
    return [result.cases.correct[result.question == place].mean() for place in range(len(comparison.questions))]
