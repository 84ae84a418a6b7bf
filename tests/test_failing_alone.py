"""One request fails, and those that share its batch do not: in rounds, in a stepped engine, in a batch worker."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.backends.generators import Generator, Request, Sample, SamplingParams, Usage
from optscale_predictor.backends.generators.sessions import RoundSession
from optscale_predictor.backends.generators.stepped_session import SteppedSession
from optscale_predictor.backends.generators.transcription import Prompt
from optscale_predictor.errors import EngineError, InputError, RequestRefusedError, ServiceError
from optscale_predictor.inference.batch_worker import BatchWorker

HOT = SamplingParams(temperature=2.0)


class Stumbles(Generator):
    """Draws one sample a request, and raises at requests that are called ``bad``; as often as they come."""

    def __init__(self, error=ZeroDivisionError):
        self.sampling, self.usage, self.error, self.calls = SamplingParams(), Usage(), error, []

    def generate(self, requests):
        self.calls.append([request.question_id for request in requests])
        for request in requests:
            if request.question_id.startswith("bad"):
                raise self.error(request.question_id)
            yield request, [Sample(request.question_id, 1, "stop", 0)]

    def describe(self):
        return {"adapter": "stumbles"}


def drawn_together(session, requests):
    """What becomes of requests (names with their sampling) that share a round: their samples, or their error."""

    async def run():
        async with session as held:
            draws = (held.draw(Request(name, "x", 1), sampling) for name, sampling in requests)
            return await asyncio.gather(*draws, return_exceptions=True)

    return asyncio.run(run())


@given(st.lists(st.tuples(st.sampled_from(["bad", "good"]), st.sampled_from([SamplingParams(), HOT])), max_size=12))
def test_of_a_round_only_the_requests_at_fault_fail(kinds):
    requests = [(f"{kind} {number}", sampling) for number, (kind, sampling) in enumerate(kinds)]
    engine = Stumbles()
    for (name, _), found in zip(requests, drawn_together(RoundSession(engine), requests), strict=True):
        if name.startswith("bad"):
            assert isinstance(found, ZeroDivisionError) and str(found) == name
        else:
            assert [sample.text for sample in found] == [name]
    # What came before a failure is not drawn again.
    asked = Counter(name for call in engine.calls for name in call)
    assert all(count <= 5 for count in asked.values()), asked


def test_an_engine_that_cannot_go_on_fails_them_all_at_once():
    engine = Stumbles(EngineError)
    requests = [("good", SamplingParams()), ("bad", SamplingParams()), ("later", SamplingParams()), ("other", HOT)]
    good, *others = drawn_together(RoundSession(engine), requests)
    assert good[0].text == "good"
    assert [type(error) for error in others] == [EngineError] * 3 and len(engine.calls) == 1


def test_a_refusal_at_the_end_of_a_round_is_not_asked_for_again():
    engine = Stumbles(RequestRefusedError)
    good, refused = drawn_together(RoundSession(engine), [("good", HOT), ("bad", HOT)])
    assert good[0].text == "good" and isinstance(refused, RequestRefusedError) and len(engine.calls) == 1


class Steps:
    """A stepped engine whose requests end at its next step; ``bad at PLACE`` raises there."""

    most_waiting = 100

    def __init__(self):
        self.running, self.done, self.steps = set(), set(), 0

    def with_sampling(self, sampling):
        return self

    def prompt(self, request):
        return Prompt(request, [1])

    def _pass(self, name, place):
        if name.endswith(f"bad at {place}"):
            raise ZeroDivisionError(name)
        if name.endswith(f"death at {place}"):
            raise EngineError(name)

    def submit(self, prompt):
        self._pass(prompt.request.question_id, "submit")
        self.running.add(prompt.request.question_id)
        return prompt.request.question_id

    def step(self):
        self.steps += 1
        for name in sorted(self.running):
            self._pass(name, "step")
        self.done, self.running = self.done | self.running, set()

    def has_finished(self, name):
        return name in self.done

    def collect(self, name, prompt):
        self._pass(name, "collect")
        return [Sample(name, 1, "stop", 0)]

    def abort(self, names):
        self.running -= set(names)


@pytest.mark.parametrize("place", ["submit", "collect"])
def test_a_stepped_engine_outlives_a_request_that_fails(place):
    async def run():
        async with SteppedSession(Steps()) as session:

            async def draw(name):
                return await session.draw(Request(name, "x", 1), SamplingParams())

            first = await asyncio.gather(draw("a"), draw(f"b, bad at {place}"), draw("c"), return_exceptions=True)
            return [*first, await draw("d")]

    a, bad, c, later = asyncio.run(run())
    assert isinstance(bad, ZeroDivisionError)
    assert [found[0].text for found in (a, c, later)] == ["a", "c", "d"]


@pytest.mark.parametrize("place", ["submit", "step"])
def test_a_stepped_engine_that_has_died_draws_for_nobody(place):
    async def run():
        async with SteppedSession(Steps()) as session:
            name = f"death at {place}"
            draws = [session.draw(Request(one, "x", 1), SamplingParams()) for one in (name, "later")]
            return await asyncio.gather(*draws, return_exceptions=True)

    assert [type(error) for error in asyncio.run(run())] == [EngineError] * 2


def worked(items, work, **options):
    async def run():
        worker = BatchWorker(work, **options)
        try:
            return await asyncio.gather(*map(worker.do, items), return_exceptions=True)
        finally:
            await worker.close()

    return asyncio.run(run())


@given(st.lists(st.booleans(), max_size=20))
def test_of_a_batch_that_can_be_done_again_only_the_items_at_fault_fail(bad):
    def work(batch):
        for index in batch:
            if bad[index]:
                raise KeyError(index)
        return [2 * index for index in batch]

    for index, found in enumerate(worked(range(len(bad)), work, repeatable=True)):
        assert found == 2 * index if not bad[index] else isinstance(found, KeyError) and found.args == (index,)


@pytest.mark.parametrize(("error", "calls"), [(ServiceError("down"), 1), (KeyError("x"), 1), (KeyError("x"), 7)])
def test_work_is_done_again_only_where_that_may_help(error, calls):
    """Not where the service is down, and not where it must not be."""
    batches = []

    def work(batch):
        batches.append(list(batch))
        raise error

    assert worked(range(4), work, repeatable=calls > 1 or isinstance(error, ServiceError)) == [error] * 4
    assert len(batches) == calls


def test_closing_a_worker_in_the_middle_of_a_repetition_leaves_nobody_waiting():
    begun, go = threading.Event(), threading.Event()

    def work(batch):
        if len(batch) == 1:
            begun.set()
            assert go.wait(60)
        raise KeyError(len(batch))

    async def run():
        threads = ThreadPoolExecutor(1)
        worker = BatchWorker(work, threads=threads, repeatable=True)
        asked = [worker.do(item) for item in range(4)]
        await asyncio.to_thread(begun.wait, 60)
        await worker.close()
        go.set()
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 60)

    assert [type(found) for found in asyncio.run(run())] == [asyncio.CancelledError] * 4


@pytest.mark.parametrize(
    "values", [{"top_p": 1e-300}, {"temperature": 1e-300}, {"temperature": 1e300}, {"max_tokens": 1 << 40}]
)
def test_what_no_engine_can_take_is_no_way_of_sampling(values):
    with pytest.raises(InputError, match=f"{next(iter(values))} must"):
        SamplingParams(**values)


@pytest.mark.parametrize("values", [{"top_p": 1e-6}, {"temperature": 1e-6}])
def test_at_the_ends_of_their_ranges_samples_are_greedy(values):
    from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator

    model = HuggingFaceGenerator("embedded:generator", SamplingParams(0.0, max_tokens=12), device="cpu")
    requests = [Request("a", "12+34=", 3), Request("b", "7+5=", 2)]

    def texts(sampling):
        drawn = model.with_sampling(sampling).generate(requests)
        return {request.question_id: [sample.text for sample in samples] for request, samples in drawn}

    assert texts(SamplingParams(max_tokens=12, **values)) == texts(SamplingParams(0.0, max_tokens=12))
