"""One question's way: what the verifier refuses is drawn again, paid for, and never looked at."""

import pytest
from answering import WrittenScores, WrittenServer, connect, questions_of, serving, tokens_of, written

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import InputError, RequestRefusedError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question

#: Sums whose answers mostly fit into 40 tokens.
QUESTIONS = [question for question in make_questions(60, 0, "test") if len(question.text) <= 10][:6]


class FinishedOnly(Verifier):
    """Refuses what was cut off before its answer; scores the rest by its length."""

    def score(self, items):
        cut = {index: "it has no answer" for index, item in enumerate(items) if "####" not in item.text}
        return Scores.of([len(item.text) / 1000 for item in items], refusals=cut)

    def describe(self):
        return {"adapter": "finished_only"}


def drawn(folder, questions, max_tokens, samples):
    """Answers, and every sample's row, by question."""
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(2.0, max_tokens=max_tokens), device="cpu")
    answers = OptScale(generator, FinishedOnly(), policy=BestOfN(samples)).answer(questions, pool=folder)
    every: dict = {question.id: [] for question in questions}
    for row in Pool(folder).read().to_pylist():
        assert row["sample_index"] == len(every[row["question_id"]])  # none is asked for twice
        every[row["question_id"]].append(row)
    return answers, every


def test_refused_samples_are_drawn_again_and_paid_for(tmp_path):
    answers, every = drawn(tmp_path / "pool", QUESTIONS, 40, 5)
    refused = 0
    for answer in answers:
        rows = every[answer.question_id]
        scored = [row for row in rows if "####" in row["text"]]
        refused += len(rows) - len(scored)
        assert [row["refusal"] for row in rows if row not in scored] == ["it has no answer"] * (len(rows) - len(scored))
        assert answer.samples == 5 == len(scored) and answer.generated_samples == len(rows)
        assert answer.scores == pytest.approx([len(row["text"]) / 1000 for row in scored])
        assert answer.tokens == answer.generated_tokens == sum(row["num_tokens"] for row in rows)
        assert "####" in answer.text and answer.score == max(answer.scores)
    assert refused > 0


def refusing(prompts, from_seed=lambda seed: True):
    """Texts that the verifier refuses, for some prompts."""

    def text(prompt, seed, place):
        return "refused" if prompt in prompts and from_seed(seed) else written(prompt, seed, place)

    return text


def test_a_question_whose_samples_are_all_refused_is_named_when_all_others_are_answered():
    questions = questions_of(12)
    hopeless = questions[0].text
    server = WrittenServer(text=refusing({hopeless}))
    with serving(server.app()) as url:
        scaler = OptScale(connect(url), WrittenScores(), policy=BestOfN(4))
        found = []
        says = r"1 of 12 questions were refused; question 'q0000': the verifier refuses sample after sample: it says so"
        with pytest.raises(RequestRefusedError, match=says):
            found.extend(scaler.stream(questions))
    assert sorted(answer.question_id for answer in found) == [question.id for question in questions[1:]]
    assert server.asked()[hopeless] == 8 * 4


def test_a_question_that_the_server_refuses_is_named_when_all_others_are_answered():
    questions = questions_of(12)
    long = {questions[3].text, questions[7].text}
    server = WrittenServer(reply=lambda prompt: 400 if prompt in long else 200)
    with serving(server.app()) as url:
        found = []
        with pytest.raises(
            RequestRefusedError, match=r"2 of 12 questions were refused; question 'q000[37]': .*answered 400: no"
        ):
            found.extend(OptScale(connect(url), WrittenScores(), score_min=0.5).stream(questions))
    assert len(found) == 10


def test_a_prompt_that_an_engine_cannot_hold_costs_only_its_own_question():
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=8), device="cpu")
    questions = [*QUESTIONS, Question("long", "1+" * 400 + "1=")]
    found = []
    with pytest.raises(InputError, match=r"question 'long': its prompt has .* tokens"):
        found.extend(OptScale(generator, WrittenZero(), policy=BestOfN(2)).stream(questions))
    assert len(found) == len(QUESTIONS)


class WrittenZero(WrittenScores):
    """Scores everything 0."""

    def score(self, items):
        return Scores.of([0.0] * len(items))


def test_tokens_of_refused_samples_are_paid_by_the_next_scored_one():
    """So every policy that shares the samples pays for what was drawn for it, and no more."""
    question = questions_of(1)[0]
    seeds = []

    def text(prompt, seed, place):
        if seed not in seeds:
            seeds.append(seed)
        return "refused so so so" if seeds.index(seed) in (1, 2) else f"0.{seeds.index(seed)} #### 1"

    policies = [parse_policy(f"optscale:max_samples={most},floor=0") for most in (1, 2, 3)]
    with serving(WrittenServer(text=text).app()) as url:
        (answer,) = OptScale(connect(url), WrittenScores(), policy=policies).answer([question])
    one, refused = tokens_of("0.1 #### 1"), tokens_of("refused so so so")
    assert [own.tokens for own in (answer, *answer.others)] == [one, 2 * one + 2 * refused, 3 * one + 2 * refused]
    assert [own.scores for own in (answer, *answer.others)] == [(0.0,), (0.0, 0.3), (0.0, 0.3, 0.4)]
    assert answer.generated_samples == 5 and answer.generated_tokens == 3 * one + 2 * refused
