"""Recorded samples and their replays, counted out by hand: what is drawn, measured, reordered, and read from a pool."""

import numpy as np
import pyarrow as pa
import pytest
from answering import graded_pool
from fitted_policies import folder_of, made_up

from optscale_predictor import Prior
from optscale_predictor.backends.generators import Sample
from optscale_predictor.errors import InputError
from optscale_predictor.policies import PrefixMemo, parse_policy
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_samples import RecordedSamples, scored_rows, usable_rows
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.bootstrap import Estimate

SCORES = np.array([[0.2, 0.9, 0.3, 0.4], [0.5, 0.1, 0.95, 0.6], [0.1, 0.2, 0.3, 0.4]])
ANSWERS = np.array([[1, 0, 1, 1], [2, 2, 0, 2], [0, -1, 1, 1]])
TOKENS = np.array([[10.0, 20, 30, 40], [1, 2, 3, 4], [100, 200, 300, 400]])
CORRECT = np.array([[0.0, 1, 0, 0], [1, 1, 0, 1], [np.nan, 0, 1, 1]])


def recording(usable=None):
    more = () if usable is None else (usable,)
    return RecordedSamples(SCORES, lambda: ANSWERS, TOKENS, CORRECT, *more)


def test_a_run_draws_in_order_and_counts_what_it_drew():
    outcomes = run_policy(parse_policy("optscale:score_min=0.9,floor=0,alpha=0.9999"), recording())
    assert outcomes.count.tolist() == [2, 3, 4] and outcomes.reason.tolist() == ["reached", "reached", "budget"]
    assert outcomes.tokens.tolist() == [30, 6, 1000] and outcomes.chosen.tolist() == [1, 2, 3]
    assert outcomes.best.tolist() == [0.9, 0.95, 0.4]
    shown = np.where(np.arange(4) < outcomes.count[:, None], SCORES, np.nan)
    assert np.array_equal(outcomes.scores, shown, equal_nan=True)
    assert [[count for count, _ in trace] for trace in outcomes.trace] == [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]
    last = [trace[-1][1] for trace in outcomes.trace]
    assert np.array_equal(outcomes.needed, last, equal_nan=True)
    quiet = run_policy(parse_policy("optscale:score_min=0.9,floor=0,alpha=0.9999"), recording(), traced=False)
    assert quiet.trace == [[], [], []] and quiet.count.tolist() == [2, 3, 4]


def test_answers_are_chosen_by_the_policys_rule_or_the_one_that_is_asked_for():
    assert run_policy(parse_policy("best_of_n:max_samples=4"), recording()).chosen.tolist() == [1, 2, 3]
    assert run_policy(parse_policy("self_consistency:max_samples=4"), recording()).chosen.tolist() == [3, 3, 3]
    asked = run_policy(parse_policy("best_of_n:max_samples=4"), recording(), selection="majority")
    assert asked.chosen.tolist() == [3, 3, 3]
    with pytest.raises(InputError, match="unknown selection"):
        run_policy(parse_policy("best_of_n"), recording(), selection="other")


def test_priors_and_memos_reach_the_policy():
    prior, memo = Prior([0.9, 0.5, 0.2], 0.05, 1.0), PrefixMemo(3, 4)
    oracle = parse_policy("oracle:score_min=0.8,floor=0.1,max_samples=4")
    outcomes = run_policy(oracle, recording(), prior, memo=memo)
    assert outcomes.reason.tolist() == ["confident", "unreachable", "unreachable"]
    with pytest.raises(InputError, match="needs a prior"):
        run_policy(oracle, recording())
    ours = parse_policy("optscale:score_min=0.9,floor=0")
    assert (
        run_policy(ours, recording(), prior, memo=memo).count.tolist()
        == run_policy(ours, recording(), prior).count.tolist()
    )


def test_hindsight_and_best_scores_leave_out_what_may_not_be_returned():
    usable = np.array([[True, False, True, True]] * 3)
    recorded = recording(usable)
    assert recorded.hindsight[:, 1].tolist() == [-np.inf] * 3 and recorded.hindsight[:, 0].tolist() == [0.2, 0.5, 0.1]
    bound = run_policy(parse_policy("clairvoyant:score_min=0.9"), recorded)
    assert bound.count.tolist() == [1, 3, 1] and bound.reason.tolist() == ["unreachable", "reached", "unreachable"]
    every = run_policy(parse_policy("best_of_n:max_samples=4"), recorded)
    assert every.best.tolist() == [0.4, 0.95, 0.4] and every.chosen.tolist() == [3, 2, 3]
    assert recording().usable.shape == (3, 4) and recording().usable.all()


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name != "answers")
        for name in ("scores", "answers", "tokens", "correct", "usable")
    )


def test_parts_are_taken_put_together_and_reordered_sample_by_sample():
    usable = np.arange(12).reshape(3, 4) % 5 > 0
    recorded = recording(usable)
    assert (recorded.num_questions, recorded.depth) == (3, 4)
    parts = [recorded.take(np.array([1])), recorded.take(np.array([0, 2]))]
    assert same(RecordedSamples.concatenate(parts), recorded.take(np.array([1, 0, 2])))
    mixed = recorded.reorder(np.random.default_rng(0))
    orders = set()
    for row in range(3):
        order = [SCORES[row].tolist().index(score) for score in mixed.scores[row]]
        orders.add(tuple(order))
        assert sorted(order) == [0, 1, 2, 3]
        for name in ("answers", "tokens", "correct", "usable"):
            wanted = getattr(recorded, name)[row, order]
            assert np.array_equal(getattr(mixed, name)[row], wanted, equal_nan=name == "correct")
    assert len(orders) > 1  # each question's own
    assert same(recorded.reorder(np.random.default_rng(0)), mixed)
    firsts = [recorded.reorder(np.random.default_rng(seed)).scores[0, 0] for seed in range(200)]
    assert {np.mean([first == score for first in firsts]) > 0.15 for score in SCORES[0]} == {True}


def test_a_replay_measures_the_returned_sample_and_all_that_was_drawn():
    entries = [
        ReplayEntry(parse_policy("best_of_n:max_samples=4"), "all"),
        ReplayEntry(parse_policy("best_of_n:max_samples=4"), "votes", selection="majority"),
        ReplayEntry(parse_policy("clairvoyant:score_min=0.95"), "bound"),
    ]
    known = RecordedSamples(SCORES, lambda: ANSWERS, TOKENS, np.nan_to_num(CORRECT))
    every, votes, bound = replay(entries, known, num_orders=5, score_min=0.9)
    assert (every.policy, every.label) == ("best_of_n:max_samples=4", "all")
    assert every.accuracy.mean == pytest.approx(2 / 3) and votes.accuracy.mean == pytest.approx(2 / 3)
    assert every.score.mean == pytest.approx((0.9 + 0.95 + 0.4) / 3)
    assert votes.score.mean == pytest.approx((0.4 + 0.6 + 0.4) / 3)
    assert every.hit.mean == pytest.approx(2 / 3) and bound.hit.mean == pytest.approx(1 / 3)
    assert every.samples.mean == 4 and every.tokens.mean == pytest.approx(1110 / 3)
    assert np.isnan(replay(entries[:1], known, num_orders=2)[0].hit.mean)
    assert np.isnan(replay(entries[:1], recording(), num_orders=9)[0].accuracy.mean) == np.isnan(CORRECT[2, 3])


def test_orders_differ_and_a_seed_says_which():
    entry = [ReplayEntry(parse_policy("best_of_n:max_samples=1"), "x")]
    known = RecordedSamples(SCORES, lambda: ANSWERS, TOKENS, np.nan_to_num(CORRECT))
    first, again, other = (replay(entry, known, num_orders=3, seed=seed)[0] for seed in (0, 0, 1))
    assert repr(first) == repr(again) != repr(other)
    assert repr(replay(entry, known)) == repr(replay(entry, known, num_orders=20, seed=0))
    many = replay(entry, known, num_orders=4000)[0]
    assert many.score.mean == pytest.approx(SCORES.mean(), abs=0.02)
    assert many.tokens.mean == pytest.approx(TOKENS.mean(), rel=0.05)


def test_each_entry_gets_its_own_prior_and_a_common_budget_stays_within_its_order():
    easy, hard = Prior(0.9, 0.05, 1e6), Prior(0.2, 0.05, 1e6)
    policy = parse_policy("oracle:score_min=0.99,alpha=0.5,floor=0.05,max_samples=4")
    rows = replay([ReplayEntry(policy, "x", prior) for prior in (easy, hard, easy)], recording(), num_orders=4)
    assert rows[0].samples == rows[2].samples and rows[1].samples.mean == 1 < rows[0].samples.mean
    each = Prior([0.9, 0.2, 0.2], 0.05, 1e6)
    mixed = replay([ReplayEntry(policy, "x", each)], recording(), num_orders=4)[0]
    assert mixed.samples.mean == pytest.approx((rows[0].samples.mean + 2) / 3)
    shared = ReplayEntry(parse_policy("shared_budget:tokens=250,share=0.4"), "x", Prior(0.5, 0.2, 2.0))
    spent = replay([shared], recording(), num_orders=6)[0]
    assert 0.3 * 250 < spent.tokens.mean <= 250 + 400 / 3


def test_progress_is_shown_where_it_is_asked_for(capsys):
    entries = [ReplayEntry(parse_policy("best_of_n:max_samples=1"), "x")] * 2
    replay(entries, recording(), num_orders=2)
    assert capsys.readouterr().err == ""
    replay(entries, recording(), num_orders=2, progress=True)
    shown = capsys.readouterr().err
    assert "replay: 2 of 2 runs" in shown


def test_a_row_is_written_as_numbers_by_name():
    one, unknown = Estimate(0.5, 0.1, 0.3, 0.7), Estimate(*[float("nan")] * 4)
    row = ReplayRow("p", "l", one, one, unknown, one, one).as_dict()
    assert list(row) == [
        *("policy", "label"),
        *(
            name + end
            for name in ("accuracy", "score", "hit", "samples", "tokens")
            for end in ("", "_error", "_low", "_high")
        ),
        "at_equal_tokens",
    ]
    assert row["at_equal_tokens"] is None
    assert (row["policy"], row["label"], row["tokens"], row["tokens_error"]) == ("p", "l", 0.5, 0.1)
    assert (row["accuracy_low"], row["accuracy_high"]) == (0.3, 0.7)
    assert [row["hit" + end] for end in ("", "_error", "_low", "_high")] == [None] * 4


def test_a_pool_is_read_as_it_lies(tmp_path):
    pool = graded_pool(tmp_path / "pool", questions=5, depth=6, untidy=True)
    rows, recorded = pool.read().to_pylist(), RecordedSamples.from_pool(pool)
    read = set(scored_rows(pool, ["answer"]).column_names)
    assert {"score", "answer", "question_id"} <= read and "text" not in read  # texts are long, and are not looked at
    assert (recorded.num_questions, recorded.depth) == (5, 6)
    for number, question in enumerate(pool.questions):
        own = [row for row in rows if row["question_id"] == question.id]
        assert recorded.scores[number].tolist() == [row["score"] for row in own]
        assert recorded.tokens[number].tolist() == [row["num_tokens"] for row in own]
        wanted = [row["answer"] is not None or row["finish_reason"] != "length" for row in own]
        assert recorded.usable[number].tolist() == wanted
        same_answer = [row["answer"] is not None for row in own]
        assert (recorded.answers[number] >= 0).tolist() == same_answer
        known = [np.nan if row["correct"] is None else float(row["correct"]) for row in own]
        assert np.array_equal(recorded.correct[number], known, equal_nan=True)
    assert recorded.scores.dtype == recorded.tokens.dtype == recorded.correct.dtype == np.float64


def test_what_may_be_returned_ended_or_has_an_answer():
    rows = pa.table({"answer": ["7", None, None, "7"], "finish_reason": ["length", "length", "stop", "stop"]})
    assert usable_rows(rows).tolist() == [True, False, True, True]
    assert usable_rows(rows).dtype == usable_rows(rows.slice(0, 0)).dtype == np.bool_


def test_pools_of_one_sample_of_unknown_answers_and_of_questions_without_any(tmp_path):
    one = RecordedSamples.from_pool(graded_pool(tmp_path / "one", questions=3, depth=1))
    assert one.scores.shape == (3, 1)
    sample = Sample("#### 7", 5, "stop", 0, columns=(("score", 0.5), ("refusal", None), ("verifier_tokens", 0)))
    asked = [Question("known", "3+4=", "7"), Question("unknown", "5+5=", None), Question("last", "1+1=", "2")]
    with PoolWriter(tmp_path / "some", asked, {"generator": {}}, scores={"score": {"adapter": "made up"}}) as writer:
        writer.append("known", 0, [sample])
        writer.append("unknown", 0, [sample])
    with pytest.raises(InputError, match="question 'last' has no samples"):
        RecordedSamples.from_pool(Pool(tmp_path / "some"))
    refused = Sample("x", 5, "stop", 0, columns=(("score", None), ("refusal", "too long"), ("verifier_tokens", 0)))
    with PoolWriter(tmp_path / "some", asked, {"generator": {}}, scores={"score": {"adapter": "made up"}}) as writer:
        writer.append("last", 0, [refused])
    says = "question 'last' has no sample with a score; 1 were refused, one because too long"
    with pytest.raises(InputError, match=says):
        RecordedSamples.from_pool(Pool(tmp_path / "some"))
    with PoolWriter(tmp_path / "some", asked, {"generator": {}}, scores={"score": {"adapter": "made up"}}) as writer:
        writer.append("last", 1, [sample])
    found = RecordedSamples.from_pool(Pool(tmp_path / "some"))
    assert np.array_equal(found.correct, [[1.0], [np.nan], [0.0]], equal_nan=True)


def test_the_first_samples_of_every_question():
    usable = np.array([[True, False, True, True]] * 3)
    part = recording(usable).first(2)
    assert part.depth == 2 and part.scores.tolist() == SCORES[:, :2].tolist()
    assert part.answers.tolist() == ANSWERS[:, :2].tolist() and part.tokens.tolist() == TOKENS[:, :2].tolist()
    assert np.array_equal(part.correct, CORRECT[:, :2], equal_nan=True) and part.usable.tolist() == [[True, False]] * 3


def test_policies_replayed_together_are_those_replayed_alone():
    """Whatever priors they have, and whether or not they share a budget; over one order and over several."""
    rng = np.random.default_rng(3)
    shape = (6, 12)
    scores = rng.beta(2, 2, shape)
    samples = RecordedSamples(scores, np.zeros(shape, int), np.full(shape, 10.0), (scores > 0.5).astype(float))
    low, high, each = Prior(0.2, 0.1, 5.0), Prior(0.8, 0.1, 5.0), Prior(np.linspace(0.1, 0.9, 6), 0.2, 4.0)
    texts = [("shared_budget:tokens=20", low), ("shared_budget:tokens=20", each)]
    texts += [("optscale:score_min=0.9", prior) for prior in (low, high, each, None)]
    entries = [ReplayEntry(parse_policy(text), f"{place}", prior) for place, (text, prior) in enumerate(texts)]
    for orders in (1, 2):
        together = replay(entries, samples, num_orders=orders, seed=1)
        alone = [replay([entry], samples, num_orders=orders, seed=1)[0] for entry in entries]
        assert [row.as_dict() for row in together] == [row.as_dict() for row in alone]
        assert len({row.tokens.mean for row in together[2:]}) == 4  # priors tell
        assert together[0].score != together[1].score


def test_scores_that_are_missing_are_named_with_the_command_that_makes_them(tmp_path):
    made = {"score": {"adapter": "a"}, "score_prm": {"adapter": "b"}}
    with PoolWriter(tmp_path / "pool", [Question("q", "1+1=", "2")], {}, scores=made) as writer:
        columns = (("score", 0.5), ("refusal", None), ("verifier_tokens", 1))
        writer.append("q", 0, [Sample("2", 5, "stop", 0, columns)])
    pool = Pool(tmp_path / "pool")
    assert scored_rows(pool, [])["score"].to_pylist() == [0.5]
    with pytest.raises(InputError, match=r"1 samples have no score_prm; run: optscale score --column score_prm$"):
        scored_rows(pool, [], ["score", "score_prm"])
    with pytest.raises(InputError, match=r"pool: has no scores 'score_rm'; it has: score, score_prm$"):
        scored_rows(pool, [], ["score_rm"])
    with PoolWriter(tmp_path / "bare", [Question("q", "1+1=", "2")], {}) as writer:
        writer.append("q", 0, [Sample("2", 5, "stop", 0)])
    with pytest.raises(InputError, match=r"1 samples have no score; run: optscale score$"):
        scored_rows(Pool(tmp_path / "bare"), [])


def test_a_selection_that_looks_at_priors_is_refused_where_there_are_none():
    folder = folder_of(made_up(uses_prior=True))
    plain = parse_policy("best_of_n:max_samples=2")
    with pytest.raises(InputError, match="needs a prior"):
        replay([ReplayEntry(plain, "", None, f"confidence:{folder}")], recording(), 1)
    rows = replay([ReplayEntry(plain, "", Prior(0.5, 0.2, 2.0), f"confidence:{folder}")], recording(), 1)
    assert rows[0].samples.mean == 2
