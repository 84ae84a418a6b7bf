"""What our lm-eval tasks measure of an answer: verdicts, costs, and one metric a policy."""

import json
import math

import numpy as np
import pytest
from benchmark_files import SAME, load_task, write_splits
from lm_eval.utils import make_table
from lm_eval_replies import Costed, evaluate

from optscale_predictor.evaluation.lm_eval import task_metrics as metrics
from optscale_predictor.policies import StopReason, parse_policy

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # lm-eval 0.4.13 itself


@pytest.fixture(autouse=True)
def without_asking_pip(monkeypatch):
    """What lm-eval asks of the machine takes a second a run."""
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)


@pytest.fixture
def questions(tmp_path):
    place = tmp_path / "questions.jsonl"
    rows = [
        {"id": f"q{number}", "question": f"What is {number}+1?", "answer": str(number + 1), "subject": "sums"}
        for number in range(5)
    ]
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(place)


def test_every_metric_has_its_mean_and_standard_error(questions):
    rng = np.random.default_rng(0)
    reasons = ["reached", "confident", "budget", "reached", "unreachable"]
    costs = [
        {"samples": int(rng.integers(1, 9)), "tokens": int(rng.integers(10, 99)), "score": float(rng.random())}
        for _ in range(5)
    ]
    replies = [
        Costed(
            f"#### {number + number % 2}",
            **cost,
            stop_reason=reasons[number],
            hit=reasons[number] == "reached",
            others=(("best_of_n:max_samples=8", Costed(f"{number + 1}", samples=8, tokens=90 + number, score=0.9)),),
        )
        for number, cost in enumerate(costs)
    ]
    found, _ = evaluate(replies, "optscale_questions", {"questions": questions})
    expected = {name: [cost[name] for cost in costs] for name in ("samples", "tokens", "score")}
    expected["exact_match"] = [0, 1, 0, 1, 0]
    expected["hit"] = [1, 0, 0, 1, 0]
    expected |= {f"stop_{one}": [float(one == reason) for reason in reasons] for one in StopReason}
    other = "best_of_n:max_samples=8"
    expected |= {f"exact_match@{other}": [1] * 5, f"samples@{other}": [8] * 5, f"score@{other}": [0.9] * 5}
    expected[f"tokens@{other}"] = [90, 91, 92, 93, 94]
    measured = found["results"]["optscale_questions"]
    assert {name.partition(",")[0] for name in measured if "," in name and "_stderr" not in name} == set(expected)
    table = make_table(found)
    for name, values in expected.items():
        assert measured[f"{name},none"] == pytest.approx(np.mean(values)), name
        error = np.std(values, ddof=1) / math.sqrt(5)
        assert measured[f"{name}_stderr,none"] == pytest.approx(error), name
        (row,) = [line for line in table.splitlines() if f"|{name} " in line or f"|{name}|" in line]
        assert f"{np.mean(values):.4f}" in row and f"{error:.4f}" in row
    assert found["higher_is_better"]["optscale_questions"]["tokens@best_of_n:max_samples=8"] is False


def test_a_plain_string_is_one_sample_of_unknown_cost(questions):
    found, _ = evaluate(["1", "2", "x", "4", "5"], "optscale_questions", {"questions": questions})
    measured = found["results"]["optscale_questions"]
    assert measured["samples,none"] == 1 and measured["exact_match,none"] == 0.8
    assert not any(name.startswith(("tokens", "score", "hit", "stop")) for name in measured)


def test_metrics_that_a_document_lacks_are_averaged_over_the_others(questions):
    replies = [Costed("1", hit=True), Costed("2"), Costed("3", hit=False), Costed("4", score=float("nan")), Costed("5")]
    found, _ = evaluate(replies, "optscale_questions", {"questions": questions})
    measured = found["results"]["optscale_questions"]
    assert measured["hit,none"] == 0.5 and measured["score,none"] == 0.5 and measured["sample_len"] == 5
    assert measured["hit_stderr,none"] == pytest.approx(np.std([1, 0], ddof=1) / math.sqrt(2))


def test_a_confidence_is_scored_against_the_verdict_where_there_is_one(questions):
    other = (("fitted:path=x", Costed("0", confidence=0.3)), ("best_of_n", Costed("1")))
    replies = [Costed("1", confidence=0.75, others=other), Costed("0", confidence=0.5), Costed("3"), "4", "5"]
    found, _ = evaluate(replies, "optscale_questions", {"questions": questions})
    measured, better = found["results"]["optscale_questions"], found["higher_is_better"]["optscale_questions"]
    assert measured["brier,none"] == pytest.approx((0.25**2 + 0.5**2) / 2)  # over those that have a confidence
    assert measured["brier@fitted:path=x,none"] == pytest.approx(0.3**2) and "brier@best_of_n,none" not in measured
    assert better["brier"] is better["brier@fitted:path=x"] is False


def test_a_confidence_in_an_answer_that_nobody_can_judge_is_not_scored(tmp_path):
    place = tmp_path / "open.jsonl"
    place.write_text('{"question": "Why?"}\n')
    found, _ = evaluate([Costed("So.", confidence=0.5)], "optscale_questions", {"questions": str(place)}, num_fewshot=0)
    assert not any(name.startswith("brier") for name in found["results"]["optscale_questions"])


@pytest.mark.parametrize(
    ("policy", "label"),
    [
        ("best_of_n:max_samples=8", "best_of_n:max_samples=8"),
        ("best_of_n", "best_of_n"),
        ("optscale:score_min=0.9,max_samples=64", "optscale:score_min=0.9;max_samples=64"),
        ("optscale:alpha=0.9", "optscale:alpha=0.9"),
        ("self_consistency:max_samples=8", "self_consistency:max_samples=8"),
    ],
)
def test_a_policy_in_a_metric_is_named_by_what_is_not_its_default(policy, label):
    """It was named by what told it from the run's other policies, and so otherwise in every run."""
    assert metrics.metric_label(str(parse_policy(policy))) == label
    assert parse_policy(label.replace(";", ",")) == parse_policy(policy)


def test_a_policy_in_a_metric_shows_no_path():
    told = metrics.metric_label("fitted:path=/home/somebody/fitted,max_samples=8,version=3f")
    assert told == "fitted:path=fitted;max_samples=8;version=3f"


def test_two_policies_of_one_name_are_two_metrics(questions):
    others = tuple((f"best_of_n:max_samples={n}", Costed("1", samples=n)) for n in (2, 4))
    found, _ = evaluate([Costed("1", others=others)] * 5, "optscale_questions", {"questions": questions})
    measured = found["results"]["optscale_questions"]
    assert [measured[f"samples@best_of_n:max_samples={n},none"] for n in (2, 4)] == [2, 4]


def test_a_run_that_only_predicts_measures_nothing(questions):
    found, _ = evaluate(["1"] * 5, "optscale_questions", {"questions": questions}, predict_only=True)
    assert found["results"]["optscale_questions"]["bypass,none"] == 999


def test_gsm8k_has_three_verdicts(tmp_path):
    task = load_task("optscale_gsm8k", write_splits(tmp_path, SAME["optscale_gsm8k"][2]))
    doc = task.eval_docs[0]  # 12 + 7

    def verdicts(reply):
        measured = task.process_results(doc, [reply])
        return [measured[name] for name in ("exact_match", "exact_match_strict", "math_verify")]

    assert verdicts("so\n#### 19") == [1, 1, 1]
    assert verdicts("It is 19.") == [1, 0, 1]
    assert verdicts("#### 20 but 19") == [1, 0, 0]  # whatever number comes last, what follows the mark, ours
    assert verdicts("It is 38/2") == [0, 0, 1]  # 19, to a mathematician
    assert verdicts("\\boxed{\\frac{38}{2}}") == [0, 0, 1]
    assert verdicts("nothing") == [0, 0, 0]


def test_questions_without_answers_are_answered_and_not_judged(tmp_path):
    place = tmp_path / "open.jsonl"
    place.write_text('{"question": "Why?"}\n{"question": "How?"}\n')
    for name in ("optscale_questions", "optscale_gsm8k", "optscale_math500"):
        found, _ = evaluate([Costed("So."), Costed("7")], name, {"questions": str(place)}, num_fewshot=0)
        measured = found["results"][name]
        assert measured["tokens,none"] == 5 and not any("exact_match" in key for key in measured)


THOUGHT = "<think>\nIs it 17?\n#### 17\n</think>\n\n"


@pytest.mark.parametrize("name", ["optscale_gsm8k", "optscale_math500", "optscale_aime24", "optscale_questions"])
def test_thinking_is_no_answer_for_lm_eval_either(questions, name):
    """A thought that holds the right answer, one that holds a wrong one, and one that was cut off."""
    replies = [f"{THOUGHT}$1$\n#### 1", "<think>$2$\n#### 2</think>$9$\n#### 9", "<think>It is $3$", "$4$\n#### 4", "5"]
    found, _ = evaluate(replies, name, {"questions": questions, "fewshot": questions}, num_fewshot=0)
    rows = sorted(found["samples"][name], key=lambda row: row["doc_id"])
    # Of the last one lm-eval's tasks differ: what is no number between dollar signs is not read by all.
    assert [row["exact_match"] for row in rows][:4] == [1, 0, 0, 1]
    assert [row.get("math_verify", row["exact_match"]) for row in rows] == [1, 0, 0, 1, 1]


def test_a_reply_that_was_cut_off_is_right_only_where_its_answer_is_marked(questions):
    replies = [Costed("so 1", ended=False), Costed(r"\boxed{2} as", ended=False), Costed("so 3", ended=True), "4", "0"]
    found, _ = evaluate(replies, "optscale_questions", {"questions": questions}, num_fewshot=0)
    rows = sorted(found["samples"]["optscale_questions"], key=lambda row: row["doc_id"])
    assert [row["exact_match"] for row in rows] == [0, 1, 1, 1, 0]
