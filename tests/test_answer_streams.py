"""Answers as they come: in any order and timing, on any event loop, and when a stream is left or an engine dies."""

import asyncio
import hashlib
import random
import threading
import time

import pytest
from answering import WrittenScores, WrittenServer, connect, graded_pool, questions_of, recorded, said, serving
from stopped_clock import FOR_EVER, HUNG, until, wait_until

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import EngineError, InputError, ServiceError
from optscale_predictor.inference import OptScale
from optscale_predictor.inference.deciding import DecisionWorker
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.questions.arithmetic import make_questions


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return graded_pool(tmp_path_factory.mktemp("graded") / "pool", untidy=True)


class Restless(Verifier):
    """A score for each text, now and then slow."""

    def score(self, items):
        time.sleep(random.choice([0.0, 0.0, 0.01, 0.03]))
        return Scores.of([hashlib.blake2b(item.text.encode()).digest()[0] / 255 for item in items])

    def describe(self):
        return {"adapter": "restless"}


@pytest.fixture(scope="module")
def embedded():
    sampling = SamplingParams(max_tokens=10)
    return HuggingFaceGenerator("embedded:generator", sampling, device="cpu"), Restless()


def texts_of(answers):
    return [(answer.question_id, answer.text, answer.scores) for answer in answers]


def test_equal_seeds_give_equal_answers_whatever_the_timing(embedded):
    generator, verifier = embedded
    questions = make_questions(12, 0, "test")

    def run(seed, policy=None):
        drawing = generator.with_sampling(SamplingParams(max_tokens=10, seed=seed))
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
    every = parse_policy("optscale:floor=0,max_samples=3,step=one")  # three samples, one after the other
    with serving(server.app()) as url:
        scaler = OptScale(connect(url, concurrency=4), WrittenScores(), policy=every)
        found = [answer.question_id for answer in scaler.stream(questions)]
    assert server.asked() == {question.text: 3 for question in questions}
    assert found[-1] == questions[3].id and sorted(found) == [question.id for question in questions]
    assert server.most == 4 and server.finished[-3:] == [slow] * 3


@pytest.mark.parametrize("together", [True, False])
def test_who_has_drawn_most_goes_first_or_who_was_asked_first(together, monkeypatch):
    """With one place at the server, questions finish one after the other, not all at the end."""
    questions = questions_of(9)
    decided, loops, step = [], [], DecisionWorker.step

    def holds(prompt):
        """Until whoever was answered has asked again, however slow scoring and deciding are."""
        if len(decided) < len(questions) + len(server.finished):
            return True
        asyncio.run_coroutine_threadsafe(turns(), loops[0]).result(HUNG)
        return False

    async def turns():
        for _ in range(20):
            await asyncio.sleep(0)

    async def counted(worker, seen):
        found = await step(worker, seen)
        decided.append(seen)
        return found

    async def answered(scaler):
        loops.append(asyncio.get_running_loop())
        if together:
            return await scaler.aanswer(questions)
        async with scaler.session() as session:
            return await asyncio.gather(*map(session.answer, questions))

    server = WrittenServer(holds=holds, text=lambda *_: "0.1 #### 1")
    # One by one: whether samples share a request depends on what requests cost, and a request would be no decision.
    every = parse_policy("optscale:floor=0,max_samples=4,step=one")
    monkeypatch.setattr(DecisionWorker, "step", counted)
    with serving(server.app()) as url:
        scaler = OptScale(connect(url, concurrency=1), WrittenScores(), policy=every)
        found = asyncio.run(answered(scaler))
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
