"""Samples drawn in segments: those of a run without rejection, and what becomes of those that are stopped."""

import asyncio
from dataclasses import replace

import pytest
from answering import WrittenServer, connect, serving, written

from optscale_predictor import GeneratorOptions, Question, SamplingParams, VerifierOptions
from optscale_predictor.backends.generators import DrawSession, Generator, Request, Sample, Usage
from optscale_predictor.backends.generators.request_seeds import request_seed, session_seed
from optscale_predictor.backends.generators.sample_parts import Prefix
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.inference.early_rejection import EarlyRejection
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.questions.arithmetic import make_questions

LENGTH = 40
SOME = [Question(f"q{number}", f"{number}+1=", str(number + 1)) for number in range(12)]


def whole(question, index):
    """A sample: the digit that is its score, again and again, and its answer; good ones are the sixth of each."""
    return str(7 if index % 6 == 5 else (index + len(question)) % 5) * (LENGTH - 7) + "\n#### 3"


class Writer(Generator, DrawSession):
    """Writes samples out, a token a letter, and goes on from their text."""

    continues_from = "text"

    def __init__(self, fails_at=None, error=None, **sampling):
        self.sampling, self.usage = SamplingParams(**{"max_tokens": 100, **sampling}), Usage()
        self.asked, self.fails_at, self.error = [], fails_at, error

    def session(self):
        return self

    def generate(self, requests):
        raise NotImplementedError

    def describe(self):
        return {"adapter": "written out"}

    async def draw(self, request, sampling):
        self.asked.append((request, sampling.max_tokens))
        await asyncio.sleep(0)
        if self.fails_at is not None and len(self.asked) > self.fails_at:
            raise self.error
        samples = []
        for index in range(request.first_index, request.first_index + request.num_samples):
            text, so_far = whole(request.question_id, index), request.prefix.text if request.prefix else ""
            assert text.startswith(so_far)
            part = text[len(so_far) :][: sampling.max_tokens]
            cut = min((at for stop in sampling.stop if (at := part.find(stop)) >= 0), default=len(part))
            ended = cut < len(part) or len(so_far) + len(part) == len(text)
            samples.append(Sample(part[:cut], len(part), "stop" if ended else "length", index, prompt_tokens=3))
        return samples


class Digits(Verifier):
    """A sample's score is its first digit, of ten."""

    scores_prefixes = True

    def __init__(self):
        self.prefixes = []

    def score(self, items):
        return Scores.of([int(item.text[0]) / 10 for item in items], 2)

    def score_prefixes(self, items):
        self.prefixes += [item.text for item in items]
        return self.score(items)

    def describe(self):
        return {"adapter": "digits"}


def run(reject=None, policy="best_of_n:max_samples=12", writer=None, questions=SOME, verifier=None, **options):
    writer = Writer() if writer is None else writer
    scaler = OptScale(writer, verifier or Digits(), policy=parse_policy(policy), reject=reject)
    return scaler.answer(questions, **options), writer


def test_a_run_that_stops_nobody_draws_the_samples_of_one_without_segments():
    plain, _ = run()
    cut, writer = run(EarlyRejection(16, 1e-6))
    said = [
        (one.text, one.scores, one.tokens, one.generated_tokens, one.prompt_tokens, one.finish_reason) for one in cut
    ]
    assert said == [
        (one.text, one.scores, one.tokens, one.generated_tokens, one.prompt_tokens, one.finish_reason) for one in plain
    ]
    assert all(one.rejected_samples == 0 == one.saved_tokens for one in cut)
    assert {limit for _, limit in writer.asked} == {16}
    assert {request.prefix.parts for request, _ in writer.asked} == {0, 1, 2}
    assert all(request.num_samples == 1 for request, _ in writer.asked if request.prefix.parts)


def test_a_sample_longer_than_it_may_be_ends_there():
    plain, _ = run(writer=Writer(max_tokens=37))
    cut, writer = run(EarlyRejection(16, 1e-6), writer=Writer(max_tokens=37))
    assert [(one.text, one.tokens, one.finish_reason) for one in cut] == [
        (one.text, one.tokens, one.finish_reason) for one in plain
    ]
    assert cut[0].finish_reason == "length" and sorted({limit for _, limit in writer.asked}) == [5, 16]


def test_a_stop_string_over_a_seam_ends_a_sample():
    # Its first letter is the last of a segment: no request sees the whole of it.
    stop = "\n####"
    plain, _ = run(writer=Writer(stop=(stop,)))
    cut, _ = run(EarlyRejection(LENGTH - 6, 1e-6), writer=Writer(stop=(stop,)))
    assert [(one.text, one.finish_reason) for one in cut] == [(one.text, one.finish_reason) for one in plain]
    assert stop not in cut[0].text and cut[0].finish_reason == "stop"


def test_samples_that_will_not_beat_the_best_are_stopped_paid_for_and_not_returned(tmp_path):
    plain, _ = run()
    verifier = Digits()
    cut, writer = run(EarlyRejection(16, 0.5), verifier=verifier, pool=tmp_path / "pool")
    rejected = sum(one.rejected_samples for one in cut)
    assert rejected > 40
    assert [(one.text, one.score, one.samples) for one in cut] == [(one.text, one.score, one.samples) for one in plain]
    spent, before = (sum(one.generated_tokens for one in answers) for answers in (cut, plain))
    assert before - spent == pytest.approx(sum(one.saved_tokens for one in cut)) and spent < 0.9 * before
    rows = Pool(tmp_path / "pool").read().to_pylist()
    stopped = [row for row in rows if row["finish_reason"] == "rejected"]
    assert len(stopped) == rejected and len(rows) == 12 * len(SOME)
    for row in stopped:
        assert row["score"] is row["answer"] is row["correct"] is None and "early rejection" in row["refusal"]
        assert row["num_tokens"] == len(row["text"]) in (16, 32) and row["verifier_tokens"] == row["num_tokens"] // 8
    assert sum(row["num_tokens"] for row in rows) == spent
    # What policies saw in their place is a score that finished samples had, and none above the best before it.
    for one in cut:
        assert all(score <= max(one.scores[: index + 1]) for index, score in enumerate(one.scores))
    # Drawn side by side are as many as there are already: without a best there is nothing to compare with.
    first = [request for request, _ in writer.asked if not request.prefix.parts and request.question_id == "q0"]
    assert [request.num_samples for request in first] == [1, 1, 2, 4, 4]
    # A run that goes on leaves stopped samples as they are: without a score, they are paid for and no more.
    again, quiet = run(EarlyRejection(16, 0.5), policy="best_of_n:max_samples=3", pool=tmp_path / "pool")
    assert len(quiet.asked) < len(writer.asked) and sum(one.tokens for one in again) >= 3 * 16 * len(again)
    assert all(one.finish_reason != "rejected" for one in again)


def test_a_run_that_goes_on_takes_no_sample_that_was_stopped_for_one_that_the_verifier_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.whole", lambda _, index: str(0 if index else 7) * (LENGTH - 7) + "\n#### 3")
    policy = "optscale:score_min=0.99,floor=0,max_samples=20,step=one"
    first, _ = run(EarlyRejection(16, 0.5), policy, pool=tmp_path / "pool")
    stopped = [one.rejected_samples for one in first]
    assert max(stopped) > 8  # one after the other: as many refusals end a question
    again, _ = run(EarlyRejection(16, 0.5), policy, pool=tmp_path / "pool")
    for before, after in zip(first, again, strict=True):
        assert (before.samples, after.samples, before.refused_samples, after.refused_samples) == (20, 20, 0, 0)
        assert after.score == 0.7 and after.rejected_samples >= before.rejected_samples
    cut, _ = run(EarlyRejection(16, 1e-6), limits=Limits(max_tokens=400))
    assert sum(one.rejected_samples for one in cut) > 0 == sum(one.refused_samples for one in cut)


def test_a_limit_on_tokens_holds_and_what_it_cuts_is_no_sample(tmp_path):
    cut, _ = run(EarlyRejection(16, 1e-6), limits=Limits(max_tokens=400), pool=tmp_path / "pool")
    spent = sum(one.generated_tokens for one in cut)
    assert spent <= 400 and {one.stop_reason for one in cut} == {"budget"}
    rows = Pool(tmp_path / "pool").read().to_pylist()
    assert sum(row["num_tokens"] for row in rows) == spent
    half = [row for row in rows if row["finish_reason"] == "rejected"]
    assert half and all(row["score"] is None and row["refusal"] for row in half)
    assert sum(one.samples for one in cut) == len(rows) - len(half)


def test_what_was_drawn_of_a_sample_is_counted_where_the_server_fails():
    async def main():
        writer = Writer(fails_at=2, error=ServiceError("no more"))
        scaler = OptScale(writer, Digits(), policy=BestOfN(4), reject=EarlyRejection(16, 1e-6))
        async with scaler.session() as session:
            with pytest.raises(ServiceError, match="no more"):
                await session.answer(SOME[0])
            assert session.budget.tokens == 32

    asyncio.run(main())


class Stuck(Writer):
    """Never comes to an end of one part of its second sample."""

    def __init__(self, part):
        super().__init__()
        self.part, self.stuck = part, asyncio.Event()

    async def draw(self, request, sampling):
        if request.first_index == 1 and request.prefix.parts == self.part:
            self.stuck.set()
            await asyncio.wait_for(asyncio.Event().wait(), 60)
        return await super().draw(request, sampling)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_sample_that_is_cut_short_in_any_of_its_parts_counts_once_and_as_cancelled(part):
    async def main():
        writer = Stuck(part)
        scaler = OptScale(writer, Digits(), policy=BestOfN(4), reject=EarlyRejection(16, 1e-6))
        async with scaler.session() as session:
            asking = asyncio.create_task(session.answer(SOME[0]))
            await asyncio.wait_for(writer.stuck.wait(), 60)
            session.end_questions()
            return await asking, session.budget

    answer, budget = asyncio.run(main())
    assert (answer.samples, answer.generated_samples, answer.cancelled_samples) == (1, 1, 1)
    assert (budget.samples, budget.cancelled_samples) == (1, 1)
    assert answer.generated_tokens == budget.tokens == LENGTH + 16 * part


def test_a_sample_whose_model_has_no_room_left_ends_there():
    writer = Writer(fails_at=2, error=RequestRefusedError("too long"))
    (answer,), _ = run(EarlyRejection(16, 1e-6), "best_of_n:max_samples=1", writer, SOME[:1])
    assert (answer.finish_reason, answer.tokens, len(answer.text)) == ("length", 32, 32)


def test_parts_of_a_sample_have_random_numbers_of_their_own():
    request = Request("q", "1+1=", 1, 3)
    parts = [replace(request, prefix=Prefix("x", (), number)) for number in (1, 2)]
    assert len({request_seed(5, one) for one in (request, *parts)}) == 3
    assert request_seed(5, replace(request, prefix=Prefix("", (), 0))) == request_seed(5, request)
    assert len({session_seed(5, [one]) for one in (request, *parts)}) == 3


def test_a_completions_server_goes_on_from_the_text():
    server, request = WrittenServer(), Request("q", "1+1=", 1)
    with serving(server.app()) as url:
        generator = connect(url)
        asked = [request, replace(request, prefix=Prefix("so far", (), 2))]
        ((_, (first,)),), ((_, (further,)),) = (list(generator.generate([one])) for one in asked)
    assert [body["prompt"] for body in server.bodies] == ["1+1=", "1+1=so far"]
    assert len({body["seed"] for body in server.bodies}) == 2 and generator.continues_from == "text"
    assert further.text == written("1+1=so far", server.bodies[1]["seed"], 0) and first.text != further.text


def test_who_cannot_go_on_is_refused_before_anything_is_drawn():
    writer = Writer()
    writer.continues_from = ""
    with pytest.raises(InputError, match="cannot go on"):
        OptScale(writer, Digits(), reject=EarlyRejection())
    scaler = OptScale(Writer(), Digits(), policy=BestOfN(2), reject=EarlyRejection())
    with pytest.raises(InputError, match="a chat endpoint cannot go on"):
        scaler.answer(SOME[:1], prompts=[(("user", "1+1="),)])


@pytest.mark.parametrize("engine", ["transformers", "continuous"])
def test_an_engine_in_process_goes_on_from_tokens_as_if_it_had_never_stopped(engine):
    sampling = SamplingParams(max_tokens=60, temperature=0)
    generator = GeneratorOptions("embedded:generator", sampling, engine=engine).build()
    for question in make_questions(2, 3, "test"):
        request = Request(question.id, question.text, 1)
        ((_, (plain,)),) = generator.generate([replace(request, prefix=Prefix("", (), 0))])
        ((_, (bare,)),) = generator.generate([request])
        assert bare == plain and len(plain.token_ids) == plain.num_tokens and bare.token_ids == ()
        text, tokens, drawn, reason = "", (), 0, "length"
        for part in range(5):
            some = generator.with_sampling(replace(sampling, max_tokens=12))
            asked = replace(request, prefix=Prefix(text, tokens, part))
            ((_, (sample,)),) = some.generate([asked])
            text, tokens, drawn, reason = sample.text, sample.token_ids, drawn + sample.num_tokens, sample.finish_reason
            if reason == "stop":
                break
        assert (text, tokens, drawn, reason) == (plain.text, plain.token_ids, plain.num_tokens, plain.finish_reason)


def test_the_embedded_world_stops_samples_and_answers_as_well(tmp_path):
    generator = GeneratorOptions("embedded:generator", SamplingParams(max_tokens=160)).build()
    verifier = VerifierOptions("embedded:verifier").build()
    scaler = OptScale(generator, verifier, policy=BestOfN(8), reject=EarlyRejection(16, 0.3))
    answers = scaler.answer(make_questions(5, 0, "test"), pool=tmp_path / "pool")
    assert sum(one.rejected_samples for one in answers) > 0 < sum(one.saved_tokens for one in answers)
    kept = {(row["question_id"], row["text"]): row for row in Pool(tmp_path / "pool").read().to_pylist()}
    for one in answers:
        assert kept[one.question_id, one.text]["score"] == pytest.approx(one.score) and one.finish_reason == "stop"
        assert one.samples == 8 and one.score == max(one.scores)
