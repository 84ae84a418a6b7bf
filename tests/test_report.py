"""Reports: every figure against one computed otherwise, and what is said where something is missing."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from recorded_runs import OURS, REFERENCE, VOTES, record_run, sums_pool
from synthetic_pool import write_pool

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report import FILES, compare, read_record, replay_pool
from optscale_predictor.evaluation.report.coverage import promises
from optscale_predictor.evaluation.report.difficulty import difficulty, select_examples
from optscale_predictor.evaluation.report.formatting import (
    conclusion,
    conclusion_against_reference,
    conclusion_at_equal_accuracy,
)
from optscale_predictor.evaluation.report.report_tables import latex_text, policies_table, savings_table
from optscale_predictor.evaluation.report.run_data import policy_labels
from optscale_predictor.evaluation.report.run_summary import run_times, speed_ups
from optscale_predictor.evaluation.report.savings import expected_best
from optscale_predictor.policies import Draws, parse_policy
from optscale_predictor.policies.selection import select
from optscale_predictor.pools import Pool
from optscale_predictor.replay.recorded_samples import RecordedSamples
from optscale_predictor.replay.replaying import Entry, replay


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    return [sums_pool(folder / f"pool{seed}", seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def folders(pools, tmp_path_factory):
    """Three seeds of three policies together, and seed 0 of two of them alone."""
    root = tmp_path_factory.mktemp("runs")
    made = [record_run(root / f"all{seed}", pool, seed=seed, seconds=40.0) for seed, pool in enumerate(pools)]
    alone = [
        record_run(root / name, pools[0], (policy,), seconds=seconds)
        for name, policy, seconds in (("ours", OURS, 8.0), ("reference", REFERENCE, 30.0))
    ]
    return made + alone


@pytest.fixture(scope="module")
def comparison(folders):
    return compare([read_record(one) for one in folders[:3]])


def outcomes_of(folders, policy):
    """Straight from the files: (question, outcome) of a policy, all runs."""
    lines = [json.loads(line) for one in folders for line in (one / "outcomes.jsonl").read_text().splitlines()]
    return [one for one in lines if one["policy"] == policy]


def by_question(rows, key):
    found = {}
    for one in rows:
        found.setdefault(one["question_id"], []).append(float(one[key]))
    return np.array([np.mean(values) for values in found.values()])


def named(comparison, policy):
    return next(one for one in comparison.results if one.policy == str(parse_policy(policy)))


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


@pytest.mark.parametrize("seed", range(3))
def test_best_of_k_is_the_mean_over_all_orders(seed):
    """Brute force over every order, ties included: equal scores go to the sample drawn first."""
    rng = np.random.default_rng(seed)
    scores, values = rng.integers(0, 3, 5) / 2, rng.integers(0, 2, 5).astype(float)
    found = expected_best(scores[None], values[None])[0]
    orders = np.array(list(permutations(range(5))))
    for number in range(1, 6):
        drawn = np.where(np.arange(5) < number, scores[orders], np.nan)
        chosen = select("best_score", Draws(drawn, np.full(drawn.shape, -1), drawn, np.full(len(drawn), number), None))
        assert found[number - 1] == pytest.approx(values[orders[np.arange(len(orders)), chosen]].mean())


def test_the_curve_is_what_a_replay_of_many_orders_approaches(pools, folders):
    curve = compare([read_record(folders[0])]).curve
    recorded = RecordedSamples.from_pool(pools[0])
    for number in (1, 3, 8):
        (row,) = replay([Entry(parse_policy(f"best_of_n:max_samples={number}"), "x")], recorded, num_orders=150)
        assert curve.correct[:, number - 1].mean() == pytest.approx(row.accuracy.mean, abs=0.015)
        assert curve.score[:, number - 1].mean() == pytest.approx(row.score.mean, abs=0.006)
        assert number * curve.tokens.mean() == pytest.approx(row.tokens.mean, rel=0.01)
    assert curve.depth == 8 and curve.runs == 1


def test_large_pools_have_exact_chances():
    values = np.arange(600.0)[None] / 600
    found = expected_best(values, values)[0]
    ranks = (np.arange(1, 601) / 601) * 601  # the expected greatest rank of k of n is k (n + 1) / (k + 1)
    assert found == pytest.approx((ranks * 601 / (ranks + 1) - 1) / 600, rel=1e-9)


def test_savings_against_the_reference_are_paired(comparison, folders):
    ours, its = (outcomes_of(folders[:3], policy) for policy in (OURS, REFERENCE))
    saving = comparison.reference_saving(named(comparison, OURS))
    gap = by_question(ours, "correct") - by_question(its, "correct")
    assert saving.difference.point == pytest.approx(gap.mean())
    assert saving.difference.estimate.error == pytest.approx(gap.std(ddof=1) / np.sqrt(len(gap)), rel=0.1)
    tokens = by_question(ours, "tokens"), by_question(its, "tokens")
    assert saving.tokens.point == pytest.approx(1 - tokens[0].mean() / tokens[1].mean())
    # The delta method's error of a ratio of means.
    ratio = tokens[0].mean() / tokens[1].mean()
    rest = (tokens[0] - ratio * tokens[1]) / tokens[1].mean()
    assert saving.tokens.estimate.error == pytest.approx(rest.std(ddof=1) / np.sqrt(len(rest)), rel=0.15)


def test_savings_at_equal_accuracy_are_read_off_the_curve(comparison):
    result = named(comparison, OURS)
    found = comparison.equal_best_of_k(result)
    y, goal = comparison.curve.correct.mean(0), result.means["correct"].point
    assert (np.diff(y) > 0).all() and y[0] < goal < y[-1] and not found.beyond
    want = np.interp(goal, y, np.arange(1, 9))
    assert found.number.point == pytest.approx(want)
    assert found.saved_samples.point == pytest.approx(1 - result.means["samples"].point / want)
    tokens = want * comparison.curve.tokens.mean()
    assert found.saved_tokens.point == pytest.approx(1 - result.means["tokens"].point / tokens)
    draws = [
        np.interp(goal_, row, np.arange(1, 9))
        for goal_, row in zip(
            result.means["correct"].draws, comparison.resamples.weights @ comparison.curve.correct, strict=True
        )
    ]
    assert np.median(found.number.draws) == pytest.approx(np.median(draws), rel=0.05)


def test_a_policy_beyond_the_curve_saves_at_least_the_deepest(comparison):
    result = named(comparison, OURS)
    better = replace(comparison.curve, correct=np.minimum(comparison.curve.correct, 0.3))
    found = replace(comparison, curve=better).equal_best_of_k(result)
    assert found.beyond and found.beyond_share == 1 and found.number.point == 8
    easy = replace(comparison.curve, correct=np.ones_like(comparison.curve.correct))
    assert replace(comparison, curve=easy).equal_best_of_k(result).number.point == 1
    shown = savings_table(replace(comparison, curve=better))
    assert "No Best-of-k up to k = 8 is as accurate" in conclusion_at_equal_accuracy(replace(comparison, curve=better))
    assert shown.rows[0][4] == "> 8" and shown.rows[0][5].startswith("≥ ")


def test_difficulty_is_the_share_of_wrong_samples(comparison, pools, folders):
    found = difficulty(comparison)
    wrong = 1 - np.mean([RecordedSamples.from_pool(pool).correct for pool in pools], (0, 2))
    assert found.share == pytest.approx(wrong) and not found.biased
    places = np.minimum((wrong * 10 + 1e-9).astype(int), 9)
    samples = by_question(outcomes_of(folders[:3], OURS), "samples")
    for one in range(10):
        assert found.count[one] == (places == one).sum()
        if found.count[one]:
            assert found.samples[0][one].mean == pytest.approx(samples[places == one].mean())
    alone = difficulty(compare([read_record(folders[3])]))
    assert alone.biased  # nobody drew all samples of every question


def test_promises_are_counted(comparison, folders):
    (kept,) = promises(comparison)
    rows = [one for one in outcomes_of(folders[:3], OURS) if one["stop_reason"] in ("reached", "confident")]
    assert (kept.promised, kept.kept) == (len(rows), sum(one["hit"] for one in rows))
    assert kept.confident == sum(one["stop_reason"] == "confident" for one in rows)
    share, number = kept.share, len({one["question_id"] for one in rows})
    z = 1.959963984540054
    middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
    half = z / (1 + z**2 / number) * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    assert (kept.low, kept.high) == pytest.approx((middle - half, middle + half)) and kept.alpha == 0.95


def test_wall_time_is_against_the_reference_alone(folders):
    found = {one.run: one for one in run_times(compare([read_record(one) for one in folders]))}
    assert found["ours"].speed_up == pytest.approx(30 / 8)
    spent = {name: json.loads((folders[0].parent / name / "run.json").read_text()) for name in ("ours", "reference")}
    assert found["ours"].tokens_ratio == pytest.approx(spent["reference"]["tokens"] / spent["ours"]["tokens"])
    said = f"optscale: {30 / 8:.2f} times as fast, with {found['ours'].tokens_ratio:.2f} times fewer tokens"
    assert speed_ups(list(found.values()))[0].startswith(said)
    # A run that had the reference among its policies paid for it too.
    assert found["all0"].speed_up is None and found["reference"].speed_up is None
    assert found["all0"].samples / found["all0"].seconds == pytest.approx(40 * 8 / 40)


def test_the_answer_is_plain(comparison, folders):
    mine, its = (by_question(outcomes_of(folders[:3], policy), "tokens").mean() for policy in (OURS, REFERENCE))
    equal = comparison.equal_best_of_k(comparison.primary)
    first, second = conclusion_at_equal_accuracy(comparison), conclusion_against_reference(comparison)
    assert (
        first.startswith(f"optscale spends {mine:,.0f} tokens and ") and conclusion(comparison) == f"{first} {second}"
    )
    assert f"Best-of-k needs k = {equal.number.point:.1f} and {equal.tokens.point:,.0f} tokens: " in first
    own = equal.saved_tokens.estimate
    assert (
        f"spends {100 * own.mean:.0f}% fewer tokens ({100 * own.low:.0f}% to {100 * own.high:.0f}%) and ".replace(
            "(-", "(\N{MINUS SIGN}"
        )
        in first
    )
    gap = by_question(outcomes_of(folders[:3], OURS), "correct") - by_question(
        outcomes_of(folders[:3], REFERENCE), "correct"
    )
    own = comparison.reference_saving(comparison.primary).difference.estimate
    ends = f"{-100 * own.high:.1f} to {-100 * own.low:.1f}"
    assert gap.mean() < 0 and second.startswith(
        f"optscale is {-100 * gap.mean():.1f} points (95% interval {ends}) less accurate than best_of_n "
    )
    assert f"{100 * (1 - mine / its):.0f}% fewer tokens (" in second
    better = conclusion_against_reference(compare([read_record(one) for one in folders[:3]], VOTES))
    assert better.startswith("optscale is ") and " asc_beta" in better
    assert all(len(sentence) < 200 for said in (first, second) for sentence in said.split(". "))
    alone = compare([read_record(folders[3])])
    assert conclusion(alone).startswith("optscale reaches accuracy ") and savings_table(alone) is None
    assert conclusion(alone).endswith("No run is there to compare it with.")


def test_what_cannot_be_told_apart_is_called_equal_as_far_as_one_can_tell(pools, tmp_path):
    """A target that nothing reaches draws every sample, and answers what Best-of-N does."""
    stubborn = "optscale:score_min=1.0,alpha=0.999999,max_samples=8,floor=0.0"
    said = conclusion_against_reference(
        compare([read_record(record_run(tmp_path / "run", pools[0], (stubborn, REFERENCE)))])
    )
    assert said.startswith("optscale is as accurate as best_of_n (max_samples=8), as far as 40 questions can tell: ")


def test_a_pool_is_replayed_in_many_orders(pools):
    rules = [parse_policy(text) for text in (OURS, REFERENCE)]
    run = replay_pool(pools[0], rules, orders=15, seed=1)
    result = compare([run]).primary
    rows = replay([Entry(rule, "x") for rule in rules], RecordedSamples.from_pool(pools[0]), num_orders=60, seed=5)
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


def test_only_evenly_drawn_samples_make_a_curve(folders, tmp_path, pools):
    assert read_record(folders[0]).depth([f"q{number}" for number in range(40)]) == 8
    assert read_record(folders[3]).depth([f"q{number}" for number in range(40)]) is None
    mixed = record_run(tmp_path / "mixed", pools[0], (OURS, "best_of_n:max_samples=2"))
    run = read_record(mixed)
    counts = {run.samples.count(f"q{number}") for number in range(40)}
    # Adaptive policies went on for some questions: only what everybody got counts.
    assert min(counts) == 2 and len(counts) > 1 and run.depth([f"q{number}" for number in range(40)]) == 2


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


def test_the_reference_may_be_a_point_of_the_curve(folders):
    runs = [read_record(folders[0])]
    found = compare(runs, "best_of_n:max_samples=3")
    assert not found.reference.live and found.reference.means["samples"].point == 3
    assert found.reference.means["correct"].point == pytest.approx(found.curve.correct[:, 2].mean())
    with pytest.raises(InputError, match=r"no run has the reference 'best_of_n:max_samples=9'"):
        compare(runs, "best_of_n:max_samples=9")
    assert compare(runs, VOTES).reference.label == "asc_beta"


def test_what_is_compared_with_is_not_what_the_report_is_about(folders):
    """Whichever run is named first."""
    for order in (folders[3:5], folders[4:2:-1]):
        found = compare([read_record(one) for one in order])
        assert found.primary.policy == str(parse_policy(OURS)) and found.reference.live


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seconds": "long"}, "run.json: seconds cannot be 'long'"),
        ({"policies": "optscale"}, "run.json: policies cannot be 'optscale'"),
        ({"generator": None}, "run.json: generator cannot be None"),
    ],
)
def test_a_damaged_record_is_refused(folders, tmp_path, change, says):
    (tmp_path / "outcomes.jsonl").write_text((folders[0] / "outcomes.jsonl").read_text())
    content = json.loads((folders[0] / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(InputError, match=says):
        read_record(tmp_path)


def test_an_outcome_that_is_no_number_is_refused(folders, tmp_path):
    (tmp_path / "run.json").write_text((folders[0] / "run.json").read_text())
    first, *rest = (folders[0] / "outcomes.jsonl").read_text().splitlines()
    (tmp_path / "outcomes.jsonl").write_text(
        "\n".join([json.dumps({**json.loads(first), "samples": "many"}), *rest, ""])
    )
    with pytest.raises(InputError, match="not a number"):
        read_record(tmp_path)


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


def test_the_most_instructive_questions_come_first(comparison):
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


def test_latex_says_what_it_was_given():
    assert latex_text(r"a_b & 5% \x {~^} ± " + "\N{MINUS SIGN}1") == (
        r"a\_b \& 5\% \textbackslash{}x \{\textasciitilde{}\textasciicircum{}\} $\pm$ $-$1"
    )


def test_the_command(folders, tmp_path, capsys):
    out = tmp_path / "out"
    main(["report", *map(str, folders[:3]), "--output", str(out), "--title", "Sums & <more> for $5_$x"])
    printed = capsys.readouterr().out
    assert ") less accurate than best_of_n (max_samples=8): " in printed.splitlines()[1]
    names = ["curve.png", "curve.svg", "report.html", "table.json", "table.md", "table.tex", "tokens.png", "tokens.svg"]
    assert sorted(path.name for path in out.iterdir()) == names
    found = json.loads((out / "table.json").read_text())
    ours = outcomes_of(folders[:3], OURS)
    assert found["policies"][0]["accuracy"]["mean"] == pytest.approx(np.mean([one["correct"] for one in ours]))
    assert found["answer"] in (out / "table.md").read_text() and found["questions"] == 40
    text = (out / "table.tex").read_text()
    assert text.count(r"\begin{tabular}") == text.count(r"\bottomrule") == 2 and "asc\\_beta" in text
    mean = np.mean([one["samples"] for one in ours])
    assert f"{mean:.2f}" in (out / "table.md").read_text() and f"{mean:.2f} $\\pm$" in text
    assert (out / "curve.png").read_bytes().startswith(b"\x89PNG") and "<svg" in (out / "curve.svg").read_text()


def test_the_same_runs_make_the_same_files(folders, tmp_path):
    for name in ("a", "b"):
        main(["report", str(folders[0]), "--output", str(tmp_path / name)])
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_command_over_a_pool(pools, tmp_path, capsys):
    policies = "optscale:max_samples=8,score_min=0.8 best_of_n:max_samples=8"
    main(["report", str(pools[0].folder), "--output", str(tmp_path / "out"), "--policies", policies, "--orders", "3"])
    assert "of_n (max_samples=8)" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "out" / "table.json").read_text())["policies"]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{tmp}"], "neither a run's record (no run.json) nor a pool"),
        (["{run}", "--reference", "best"], "no run has the reference 'best'"),
        (["{pool}", "--policies", "best"], "unknown policy 'best'"),
        (["{pool}", "--policies", " "], "no policies named"),
        (["{pool}", "--orders", "0"], "orders must be >= 1"),
        (["{pool}", "--policies", "oracle"], "needs a prior"),
        (["{broken}"], "outcomes.jsonl:1: not JSON"),
        (["{empty}"], "no question was finished under"),
        (["{run}", "--output", "{run}/run.json"], "cannot write"),
    ],
)
def test_bad_input_is_one_line(arguments, says, folders, pools, tmp_path, capsys):
    for name, content in (("broken", "{\n"), ("empty", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text((folders[0] / "run.json").read_text())
        (tmp_path / name / "outcomes.jsonl").write_text(content)
    places = {"tmp": tmp_path, "run": folders[0], "pool": Pool(pools[0].folder).folder}
    places |= {name: tmp_path / name for name in ("broken", "empty")}
    given = [one.format(**places) for one in arguments]
    given += [] if "--output" in arguments else ["--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main(["report", *given])
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and says in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
