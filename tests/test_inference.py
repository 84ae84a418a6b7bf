"""Answering many questions: what a replay says, in any order and timing, on any event loop."""

import asyncio
import random
import threading
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from answering import (
    WrittenScores,
    WrittenServer,
    connect,
    graded_pool,
    of_policies,
    questions_of,
    recorded,
    said,
    serving,
)
from fitted_policies import with_folder
from stopped_clock import FOR_EVER, until, wait_until

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers import Scores
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.errors import EngineError, InputError, ServiceError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import POLICIES, BestOfN, parse_policy
from optscale_predictor.policies.selection import SELECTIONS
from optscale_predictor.questions.answers import AnswerGroups, extract_answer
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators import Prior

PRIOR = Prior(0.5, 0.25, 2.0)
SETTINGS = {
    "optscale": ["score_min=0.8", "score_min=0.6,step=double", "score_min=0.7,step=jump,estimate=plugin"],
    "shared_budget": ["tokens=600", "tokens=1500,share=0.3"],
    "optscale_0": ["score_min=0.7", "score_min=0.7,form=jump,peek=3"],
    "optscale_t": ["score_min=0.7", "score_min=0.7,form=jump,peek=3"],
    "oracle": ["score_min=0.7"],
    "best_of_n": ["max_samples=32", "max_samples=1"],
    "fitted": [f"path=FOLDER,{setting}" for setting in ("price=0.01", "price=0.3", "tokens=60", "accuracy=0.7")],
}
LIVE = [f"{name}:{setting}" for name in POLICIES if name != "clairvoyant" for setting in SETTINGS.get(name, [""])]


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return graded_pool(tmp_path_factory.mktemp("graded") / "pool", untidy=True)


def require_same(answers, outcomes, questions):
    """Live answers are those of a replay, question by question and decision by decision."""
    by_id = {answer.question_id: answer for answer in answers}
    assert list(by_id) != [] and by_id.keys() == {question.id for question in questions}
    for place, question in enumerate(questions):
        answer, count = by_id[question.id], int(outcomes.count[place])
        assert (answer.samples, answer.stop_reason) == (count, str(outcomes.reason[place]))
        assert answer.tokens == outcomes.tokens[place]
        assert list(answer.scores) == outcomes.scores[place, :count].tolist()
        assert answer.text.startswith(f"try {outcomes.chosen[place]}:")
        np.testing.assert_equal(answer.confidence, outcomes.confidence[place])
        np.testing.assert_allclose(answer.needed, outcomes.needed[place], rtol=1e-9)
        np.testing.assert_allclose(answer.trace, outcomes.trace[place], rtol=1e-9)


@pytest.mark.parametrize(("text", "in_flight"), [*((text, 5) for text in LIVE), (LIVE[0], 1), (LIVE[0], 1024)])
def test_a_live_run_decides_as_its_replay(pool, text, in_flight):
    policy = parse_policy(with_folder(text))
    scaler = OptScale(*recorded(pool.folder), policy=policy, prior=PRIOR, in_flight=in_flight)
    answers = list(scaler.stream(pool.questions))
    require_same(answers, run_policy(policy, RecordedSamples.from_pool(pool), PRIOR), pool.questions)


@pytest.mark.parametrize("selection", [*SELECTIONS, "confidence:FOLDER"])
def test_a_live_run_chooses_as_its_replay(pool, selection):
    selection = with_folder(selection)
    policy = parse_policy("optscale:score_min=0.8,max_samples=16")
    scaler = OptScale(*recorded(pool.folder), policy=policy, prior=PRIOR, selection=selection)
    answers = scaler.answer(pool.questions)
    outcomes = run_policy(policy, RecordedSamples.from_pool(pool), PRIOR, selection)
    require_same(answers, outcomes, pool.questions)
    assert [answer.hit for answer in answers] == (outcomes.best >= 0.8).tolist()
    assert np.isfinite(outcomes.confidence).all() == selection.startswith("confidence")
    for answer in answers:
        assert answer.answer == extract_answer(answer.text) is not None  # its own spelling; nothing that was cut off


class WatchedGroups(AnswerGroups):
    """Notes the threads on which answers are compared."""

    threads: ClassVar[list[str]] = []

    def number(self, answer):
        self.threads.append(threading.current_thread().name)
        return super().number(answer)


def test_answers_are_compared_off_the_event_loop_and_only_where_somebody_looks(pool, monkeypatch):
    monkeypatch.setattr("optscale_predictor.inference.deciding.AnswerGroups", WatchedGroups)
    policies = [parse_policy("optscale:score_min=0.8"), BestOfN(8), parse_policy("beacon")]
    OptScale(*recorded(pool.folder), policy=policies, prior=PRIOR).answer(pool.questions)
    assert not WatchedGroups.threads
    OptScale(*recorded(pool.folder), policy=parse_policy("self_consistency:max_samples=8")).answer(pool.questions)
    assert len(WatchedGroups.threads) == 8 * len(pool.questions)  # each answer once
    assert all(name.startswith("optscale-decide") for name in WatchedGroups.threads)


def test_a_bound_that_needs_hindsight_says_so(pool):
    with pytest.raises(InputError, match="clairvoyant"):
        OptScale(*recorded(pool.folder), policy=parse_policy("clairvoyant")).answer(pool.questions)


def test_policies_that_share_samples_decide_as_if_alone(pool):
    texts = [with_folder(text) for text in LIVE if not text.startswith("shared_budget")]
    policies, generator_and_verifier = [parse_policy(text) for text in texts], recorded(pool.folder)
    answers = OptScale(*generator_and_verifier, policy=policies, prior=PRIOR).answer(pool.questions)
    assert [one.question_id for one in answers] == [question.id for question in pool.questions]
    samples = RecordedSamples.from_pool(pool)
    for place, policy in enumerate(policies):
        own = [of_policies(answer)[place] for answer in answers]
        assert {one.policy for one in own} == {str(policy)}
        require_same(own, run_policy(policy, samples, PRIOR), pool.questions)
    asked = generator_and_verifier[0].asked()  # each once
    assert asked == {question.id: 32 for question in pool.questions}


def test_a_deep_policy_draws_all_at_once_and_shares(pool):
    generator, verifier = recorded(pool.folder)
    policies = [parse_policy("best_of_n:max_samples=32"), parse_policy("optscale:score_min=0.8"), BestOfN(4)]
    OptScale(generator, verifier, policy=policies).answer(pool.questions)
    assert [request.num_samples for request in generator.requests] == [32] * len(pool.questions)


def test_untraced_answers_are_the_same(pool):
    scaler = OptScale(*recorded(pool.folder), score_min=0.8)
    with_trace, without = (sorted(map(said, scaler.stream(pool.questions, traced=traced))) for traced in (True, False))
    assert with_trace == without


class Restless(LikelihoodVerifier):
    """The embedded verifier, now and then slow.

    It reads one sample at a time: what a sample is read with is a matter of timing, and changes a score's last digits.
    """

    def score(self, items):
        time.sleep(random.choice([0.0, 0.0, 0.01, 0.03]))
        each = [super(Restless, self).score([item]) for item in items]
        return Scores.of(np.concatenate([one.values for one in each]), np.concatenate([one.tokens for one in each]))


@pytest.fixture(scope="module")
def embedded():
    sampling = SamplingParams(max_tokens=40)
    return (
        HuggingFaceGenerator("embedded:generator", sampling, device="cpu"),
        Restless("embedded:verifier", device="cpu"),
    )


def texts_of(answers):
    return [(answer.question_id, answer.text, answer.scores) for answer in answers]


def test_equal_seeds_give_equal_answers_whatever_the_timing(embedded):
    generator, verifier = embedded
    questions = make_questions(12, 0, "test")

    def run(seed, policy=None):
        drawing = generator.with_sampling(SamplingParams(max_tokens=40, seed=seed))
        scaler = OptScale(drawing, verifier, policy=policy, score_min=0.7, max_samples=4, in_flight=5)
        return texts_of(scaler.answer(questions))

    first = run(0)
    assert all(run(0) == first for _ in range(2))
    assert run(1) != first
    policies = [parse_policy("optscale:score_min=0.7,max_samples=4"), parse_policy("best_of_n:max_samples=2")]
    assert run(0, policies) == run(0, policies)


def test_the_slow_question_holds_up_no_other():
    """One question's samples come only when all others have theirs, and the engine is kept full all the same.

    Until few are left, no request is answered unless the engine is full.
    """
    questions = questions_of(16)
    slow, others = questions[3].text, 15 * 3

    def holds(prompt):
        finished = len(server.finished)
        return finished < others if prompt == slow else finished < others - 9 and server.now < 4

    server = WrittenServer(holds=holds, text=lambda *_: "0.1 #### 1")
    every = parse_policy("optscale:floor=0,max_samples=3")  # three samples, one after the other
    with serving(server.app()) as url:
        scaler = OptScale(connect(url, concurrency=4), WrittenScores(), policy=every)
        found = [answer.question_id for answer in scaler.stream(questions)]
    assert server.asked() == {question.text: 3 for question in questions}
    assert found[-1] == questions[3].id and sorted(found) == [question.id for question in questions]
    assert server.most == 4 and server.finished[-3:] == [slow] * 3


@pytest.mark.parametrize("together", [True, False])
def test_who_has_drawn_most_goes_first_or_who_was_asked_first(together):
    """With one place at the server, questions finish one after the other, not all at the end."""
    questions = questions_of(9)
    scores = WrittenScores()
    server = WrittenServer(
        lambda prompt: 0.03,
        holds=lambda prompt: sum(scores.batches) < len(server.finished),  # scoring keeps up, however slow it is
        text=lambda *_: "0.1 #### 1",
    )

    async def one_by_one(scaler):
        async with scaler.session() as session:
            return await asyncio.gather(*map(session.answer, questions))

    with serving(server.app()) as url:
        every = parse_policy("optscale:floor=0,max_samples=4")
        scaler = OptScale(connect(url, concurrency=1), scores, policy=every)
        found = scaler.answer(questions) if together else asyncio.run(one_by_one(scaler))
    assert [answer.samples for answer in found] == [4] * 9
    begun = server.finished
    if together:  # each is looked at once before any goes on
        assert begun[:9] == [question.text for question in questions]
        begun = begun[9:]
    first = {prompt: place for place, prompt in reversed(list(enumerate(begun)))}
    last = {prompt: place for place, prompt in enumerate(begun)}
    # Two are asked for at a time, and others take over while their samples are scored.
    for place, question in enumerate(questions[:-5]):
        assert last[question.text] < first[questions[place + 5].text]


@pytest.mark.parametrize("engine", ["server", "embedded"])
def test_a_dead_generator_is_one_clear_error(engine, embedded, monkeypatch):
    questions = make_questions(30, 0, "test")
    if engine == "server":
        server = WrittenServer(reply=lambda prompt: 200 if len(server.bodies) < 40 else 500)
        with serving(server.app()) as url, pytest.raises(ServiceError, match="answered 500"):
            OptScale(connect(url), WrittenScores(), score_min=0.99).answer(questions)
        return
    generator, verifier = embedded
    decode = HuggingFaceGenerator._decode

    def die(self, rows, *rest):
        if rows[0].seed % 7 == 0:
            raise EngineError("it died")
        return decode(self, rows, *rest)

    monkeypatch.setattr(HuggingFaceGenerator, "_decode", die)
    with pytest.raises(EngineError, match="it died"):
        OptScale(generator, verifier, score_min=0.99, in_flight=3).answer(questions)


def test_the_twins_of_asynchronous_programs(pool):
    scaler = OptScale(*recorded(pool.folder), score_min=0.8)
    want = [said(answer) for answer in scaler.answer(pool.questions)]

    async def both():
        streamed = [answer async for answer in scaler.astream(pool.questions)]
        return await scaler.aanswer(pool.questions), streamed

    answers, streamed = asyncio.run(both())
    assert [said(answer) for answer in answers] == want
    assert sorted(map(said, streamed)) == sorted(want)


def test_ordinary_calls_work_where_an_event_loop_runs(pool):
    """As in a notebook."""
    scaler = OptScale(*recorded(pool.folder), score_min=0.8)

    async def cell():
        return scaler.answer(pool.questions)

    assert [said(one) for one in asyncio.run(cell())] == [said(one) for one in scaler.answer(pool.questions)]


@pytest.mark.parametrize("twin", ["ordinary", "asynchronous"])
def test_an_error_is_the_same_in_both_twins(pool, twin):
    """And not a group of errors."""
    scaler = OptScale(*recorded(pool.folder), policy=BestOfN(33))
    with pytest.raises(InputError, match="needs 33 samples, the pool holds 32"):
        if twin == "ordinary":
            scaler.answer(pool.questions)
        else:
            asyncio.run(scaler.aanswer(pool.questions))


def optscale_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("optscale")]


def require_no_threads():
    """Threads end by themselves soon after what they worked on."""
    wait_until(lambda: not optscale_threads())


def test_leaving_a_stream_early_leaves_nothing_behind():
    questions = questions_of(200)
    server = WrittenServer(wait=lambda prompt: 0.0 if prompt == questions[0].text else FOR_EVER)
    with serving(server.app()) as url:
        scaler = OptScale(connect(url, concurrency=16), WrittenScores(), score_min=0.0)
        found = scaler.stream(questions)
        assert next(found).question_id == questions[0].id
        wait_until(lambda: server.now == 16)
        found.close()
        require_no_threads()
        wait_until(lambda: server.now == 0)
        assert server.finished == [questions[0].text] and server.gone == 16


def test_leaving_an_asynchronous_stream_early_leaves_nothing_behind():
    questions = questions_of(200)
    server = WrittenServer(wait=lambda prompt: 0.0 if prompt == questions[0].text else FOR_EVER)

    async def leave(url):
        scaler = OptScale(connect(url, concurrency=16), WrittenScores(), score_min=0.0)
        found = scaler.astream(questions)
        assert (await anext(found)).question_id == questions[0].id
        await until(lambda: server.now == 16)
        await found.aclose()
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    with serving(server.app()) as url:
        assert asyncio.run(leave(url)) == []
        wait_until(lambda: server.now == 0)
        assert server.finished == [questions[0].text] and server.gone == 16
    require_no_threads()


def test_a_reader_that_is_slow_loses_nothing(pool):
    scaler = OptScale(*recorded(pool.folder), score_min=0.8, in_flight=2)
    found = []
    for answer in scaler.stream(pool.questions):
        time.sleep(0.01)
        found.append(answer.question_id)
    assert sorted(found) == [question.id for question in pool.questions]


def test_bad_questions_are_refused_before_anything_is_drawn(pool):
    generator, verifier = recorded(pool.folder)
    scaler = OptScale(generator, verifier)
    twice = [pool.questions[0], pool.questions[0]]
    with pytest.raises(InputError, match=r"'q0000' occurs twice"):
        scaler.answer(twice)
    with pytest.raises(InputError, match="1 prompts for 2 questions"):
        scaler.answer(list(pool.questions[:2]), prompts=["x"])
    assert scaler.answer([]) == [] and not generator.requests


def test_settings_that_cannot_work_are_refused(pool):
    parts = recorded(pool.folder)
    with pytest.raises(InputError, match="in_flight must be >= 1, got 0"):
        OptScale(*parts, in_flight=0)
    with pytest.raises(InputError, match="a policy is named twice"):
        OptScale(*parts, policy=[BestOfN(4), BestOfN(4)])
    with pytest.raises(InputError, match="no policies"):
        OptScale(*parts, policy=[])
    with pytest.raises(InputError, match="'shared_budget' spends one budget on all questions and must run alone"):
        OptScale(*parts, policy=[parse_policy("shared_budget"), BestOfN(4)])
    with pytest.raises(InputError, match="'optscale_t' needs a prior"):
        OptScale(*parts, policy=parse_policy("optscale_t"))
    with pytest.raises(InputError, match="'best_of_n' needs a verifier"):
        OptScale(parts[0], None, policy=BestOfN(4))


def test_answers_without_a_verifier(pool):
    policy = parse_policy("self_consistency:max_samples=8")
    answers = OptScale(recorded(pool.folder)[0], None, policy=policy).answer(pool.questions)
    samples = RecordedSamples.from_pool(pool)
    want = run_policy(policy, replace(samples, scores=np.zeros_like(samples.scores)))  # nothing breaks a tie
    assert [answer.text.split(":")[0] for answer in answers] == [f"try {one}" for one in want.chosen.tolist()]
