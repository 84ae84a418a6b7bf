"""A reply that goes through lm-eval as a string and remembers what it cost."""

import pickle

import pytest

from optscale_predictor.backends.generators import Sample
from optscale_predictor.evaluation.lm_eval.chosen_text import ChosenText
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import PoolWriter
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier


def test_the_answer_survives_pickling():
    other = ("best_of_n", ChosenText("4", confidence=0.5))
    chosen = ChosenText("#### 3", 4, 50, "reached", 0.9, 0.75, True, (other,), ended=False)
    again = pickle.loads(pickle.dumps(chosen))
    assert (again.confidence, again.hit, again.others[0][1].confidence) == (0.75, True, 0.5)
    assert (again, again.samples, again.tokens, again.stop_reason, again.score) == ("#### 3", 4, 50, "reached", 0.9)
    assert again.ended is False


@pytest.mark.parametrize(
    ("text", "reason", "handed_on"),
    [
        ("<think>Is it $9$?</think>\n\nIt is $8$.", "stop", "It is $8$."),
        ("<think>Is it $9$", "length", ""),
        ("7", "stop", "7"),
    ],
)
def test_lm_eval_is_handed_the_answer_without_its_thinking(tmp_path, text, reason, handed_on):
    asked = Question("q", "3+4=", "8")
    with PoolWriter(tmp_path / "pool", [asked], {}, scores={"score": {"adapter": "made up"}}) as writer:
        columns = (("score", 0.5), ("refusal", None), ("verifier_tokens", 1))
        writer.append("q", 0, [Sample(text, 5, reason, 0, columns)])
    generator = RecordedGenerator(str(tmp_path / "pool"))
    (answer,) = OptScale(generator, RecordedVerifier(generator), policy=parse_policy("best_of_n:max_samples=1")).answer(
        [asked]
    )
    chosen = ChosenText.of(answer)
    assert answer.text == text and (chosen, chosen.tokens, chosen.ended) == (handed_on, 5, reason == "stop")


def test_a_gold_answer_made_a_reply_costs_nothing():
    chosen = type(ChosenText("7", 3, 40, "reached", 0.9))("8")  # as lm-eval does where a task has no filters
    assert chosen == "8" and (chosen.samples, chosen.tokens, chosen.stop_reason) == (0, 0, None)
