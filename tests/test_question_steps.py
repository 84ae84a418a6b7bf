"""A question's run over parts that are written out: what is drawn, shown, counted and returned, turn by turn."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest

from optscale_predictor.backends.generators import Sample, SamplingParams
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.inference.admission import RoundBarrier, Rounds
from optscale_predictor.inference.deciding import DecisionWorker
from optscale_predictor.inference.question_request import QuestionRequest, Workers
from optscale_predictor.inference.question_run import QuestionRun, SamplesRefusedError
from optscale_predictor.inference.sampling import ScoredSample
from optscale_predictor.policies import BestOfN, Draws, optscale_policy, parse_policy
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators import Prior

QUESTION = Question("q", "1+1=", "2")
SAMPLING = SamplingParams(max_tokens=50)


@dataclass
class Script:
    """Samples in the order in which they are drawn: (score or None for a refusal, tokens, answer)."""

    samples: list
    limit: int = 10**9
    requests: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    stored_samples: list = field(default_factory=list)
    hold: object = None
    come_first: tuple = ()  # places of a request's samples that come before it is held
    discarded: int = 0  # tokens of a held request's replies that could not be used
    hold_score: object = None
    prompt_tokens: int = 7
    without_score: int = 0
    reads_text: bool = False  # no score is taken over from an equal text

    def sample(self, index):
        _, tokens, answer = self.samples[index]
        reason = "length" if answer.startswith("cut") else "stop"
        text = f"text {index}"
        return Sample(text, tokens, reason, index, prompt_tokens=self.prompt_tokens + index, discarded_tokens=index % 2)

    def scored(self, index):
        score, _, answer = self.samples[index]
        refused = score is None
        answer = None if answer == "cut" else answer
        return ScoredSample(self.sample(index), answer, float("nan") if refused else score, "no" if refused else None)

    def side_by_side(self, log):
        return 1000

    async def draw(self, request, sampling, rank, arrived, log):
        self.requests.append((request.question_id, request.prompt, request.first_index, request.num_samples, rank))
        assert sampling is SAMPLING and request.messages == (("user", "hi"),)
        arrived.begun = request.num_samples
        if self.hold is not None:
            arrived.update({place: self.sample(request.first_index + place) for place in self.come_first})
            arrived.discarded_tokens = self.discarded
            await self.hold(len(self.requests))
        if request.first_index + request.num_samples > self.limit:
            return None
        return [self.sample(request.first_index + step) for step in range(request.num_samples)]

    async def score(self, question, samples):
        assert question is QUESTION
        if self.hold_score is not None:
            await self.hold_score()
        return [self.scored(sample.seed) for sample in samples]

    def stored(self, question_id):
        assert question_id == "q"
        return {index: self.scored(index) for index in self.stored_samples}

    def unscored(self, samples):
        return [ScoredSample(sample, None, float("nan")) for sample in samples]

    async def keep(self, question_id, first, scored):
        await asyncio.sleep(0)
        self.kept.append((question_id, first, [one.sample.seed for one in scored]))
        self.without_score += sum(np.isnan(one.score) and one.refusal is None for one in scored)


def run(script, *policies, traced=True, keep=False, deadline=None, prior=None, selection=None):
    async def main():
        loop = asyncio.get_running_loop()
        since = loop.time()
        with ThreadPoolExecutor(1) as threads:
            workers = {}

            def decisions(policy):
                made = DecisionWorker(policy, selection, RoundBarrier(Rounds()), threads)
                return workers.setdefault(str(policy), made)

            parts = Workers(script, script, decisions, script if keep or script.stored_samples else None)
            ends = None if deadline is None else since + deadline
            request = QuestionRequest(QUESTION, "prompt", (("user", "hi"),), SAMPLING, 5, prior, policies, since, ends)
            answer = await QuestionRun(request, parts, traced).run()
            assert 0 <= answer.seconds <= loop.time() - since
            return answer

    return asyncio.run(main())


def some(number, tokens=10):
    return [(0.1 + 0.05 * index, tokens + index, str(index % 3)) for index in range(number)]


@pytest.mark.parametrize("prior", [None, (0.3, 0.1, 4.0)])
def test_the_samples_needed_are_estimated_at_the_end_once_and_are_those_of_each_moment(prior, monkeypatch):
    script, policy, asked = Script(some(9)), parse_policy("optscale:score_min=0.49,floor=0,max_samples=9"), []
    estimate = optscale_policy.fewest_samples
    monkeypatch.setattr(optscale_policy, "fewest_samples", lambda *given: asked.append(1) or estimate(*given))
    answer = run(script, policy, prior=prior)
    assert len(asked) == 1 and answer.samples == 9 and [count for count, _ in answer.trace] == list(range(10))
    for count, needed in answer.trace[:-1]:  # the last sample reached the target: nothing is needed any more
        scores, tokens = np.full((1, max(count, 1)), np.nan), np.full((1, max(count, 1)), np.nan)
        scores[0, :count], tokens[0, :count] = [one[0] for one in script.samples[:count]], 10.0
        own = None if prior is None else Prior(*(np.array([part]) for part in prior))
        draws = Draws(scores, np.zeros(scores.shape, int), tokens, np.array([count]), own, traced=True)
        assert needed == pytest.approx(policy.decide(draws).needed[0], rel=1e-6)
    assert np.isnan(answer.needed) and np.isnan(answer.trace[-1][1])
    assert len(asked) == 10 and run(script, policy, prior=prior, traced=False).trace == () and len(asked) == 10


def test_an_answer_says_what_became_of_the_question():
    script = Script([(0.4, 10, "a"), (0.8, 20, "b"), (0.6, 30, "a")])
    answer = run(script, BestOfN(3))
    assert script.requests == [("q", "prompt", 0, 3, 5)]
    assert (answer.question_id, answer.text, answer.answer, answer.score) == ("q", "text 1", "b", 0.8)
    assert (answer.samples, answer.tokens, answer.scores, answer.chosen_tokens) == (3, 60, (0.4, 0.8, 0.6), 20)
    assert (answer.stop_reason, answer.finish_reason, answer.policy) == ("budget", "stop", "best_of_n:max_samples=3")
    assert (answer.generated_samples, answer.generated_tokens, answer.prompt_tokens) == (3, 61, 9)
    assert answer.trace == ((0, 3.0), (3, 3.0)) and answer.needed == 3 and answer.hit is None
    assert answer.cancelled_samples == 0 and answer.others == () and answer.seconds >= 0
    assert run(Script(script.samples), BestOfN(3), traced=False).trace == ()
    assert run(Script(script.samples), BestOfN(3), selection="majority").answer == "a"


def test_a_prior_and_a_target_reach_the_policy():
    script = Script([(0.2, 1, "a"), (0.75, 1, "b"), (0.9, 1, "c")])
    answer = run(script, parse_policy("optscale:score_min=0.75,floor=0"))
    assert (answer.samples, answer.stop_reason, answer.hit) == (2, "reached", True)
    assert [request[2:4] for request in script.requests] == [(0, 1), (1, 1)]
    sure = parse_policy("oracle:score_min=0.9,floor=0.1")
    gave_up = run(Script(script.samples), sure, prior=(0.2, 0.05, 1.0))
    assert (gave_up.samples, gave_up.stop_reason, gave_up.hit) == (1, "unreachable", False)
    with pytest.raises(InputError, match="needs a prior"):
        run(Script(script.samples), sure)


def test_a_cut_off_sample_that_scores_the_target_is_no_hit():
    answer = run(Script([(0.9, 5, "cut"), (0.3, 5, "a")]), parse_policy("optscale:score_min=0.8,floor=0,max_samples=2"))
    assert (answer.hit, answer.text, answer.finish_reason, answer.samples) == (False, "text 1", "stop", 2)
    ended = run(Script([(0.9, 5, "cut, and 7")]), parse_policy("optscale:score_min=0.8,floor=0,max_samples=2"))
    assert (ended.hit, ended.samples, ended.answer, ended.finish_reason) == (True, 1, "cut, and 7", "length")
    only = run(Script([(0.9, 5, "cut")]), parse_policy("optscale:score_min=0,max_samples=1"))
    assert (only.hit, only.text, only.answer, only.finish_reason) == (False, "text 0", None, "length")


def test_refused_samples_are_drawn_again_and_paid_by_the_next_one():
    script = Script([(None, 7, "x"), (0.5, 10, "a"), (None, 3, "x"), (None, 4, "x"), (0.6, 20, "b")])
    answer = run(script, BestOfN(2), keep=True)
    assert [request[2:4] for request in script.requests] == [(0, 2), (2, 1), (3, 1), (4, 1)]
    assert answer.scores == (0.5, 0.6) and answer.tokens == 44 and answer.samples == 2
    assert answer.generated_samples == 5 and answer.generated_tokens == 44 + 2
    assert script.kept == [("q", 0, [0, 1]), ("q", 2, [2]), ("q", 3, [3]), ("q", 4, [4])]


def test_a_question_is_given_up_after_eight_draws_without_any_scored_sample_and_not_before():
    """A draw of which one sample is scored is not in vain, however many of it are refused."""
    refused, scored = (None, 1, "x"), (0.5, 1, "a")
    with pytest.raises(SamplesRefusedError, match="question 'q': the verifier refuses sample after sample: no"):
        run(Script([refused] * 8), BestOfN(1))
    assert run(Script([*[refused] * 7, scored]), BestOfN(1)).generated_samples == 8
    assert run(Script([*[refused] * 7, scored, *[refused] * 7, scored]), parse_policy("esc:window=2,max_samples=2"))
    partly = []
    for missing in range(12, 0, -1):  # of each draw one sample is scored, and the others are refused
        partly += [*[refused] * (missing - 1), scored]
    answer = run(Script(partly), BestOfN(12))
    assert answer.samples == 12 and answer.generated_samples == len(partly)
    mixed = Script([*[refused] * 7, scored, *[refused] * 7, scored])
    assert run(mixed, parse_policy("optscale:score_min=1,floor=0,max_samples=2")).samples == 2


def test_samples_of_an_earlier_run_come_first_and_are_counted():
    script = Script(some(6), stored_samples=[0, 1, 2])
    answer = run(script, BestOfN(5))
    assert [request[2:4] for request in script.requests] == [(3, 2)] and script.kept == [("q", 3, [3, 4])]
    assert answer.generated_samples == 5 and answer.samples == 5 and answer.tokens == 10 + 11 + 12 + 13 + 14
    one = Script(some(6), stored_samples=[0, 1, 2])
    assert run(one, BestOfN(2)).generated_samples == 2 and one.requests == []


def test_a_gap_before_samples_of_an_earlier_run_is_drawn():
    script = Script(some(9), stored_samples=[0, 3, 4])
    answer = run(script, BestOfN(7))
    assert [request[2:4] for request in script.requests] == [(1, 2), (5, 2)]
    assert script.kept == [("q", 1, [1, 2]), ("q", 5, [5, 6])] and answer.generated_samples == 7
    assert list(answer.scores) == [score for score, _, _ in some(9)[:7]]


async def fail(*_):
    raise ServiceError("the server is gone")


async def run_out_of_time(*_):
    """The clock is far ahead from here on, and not before, however slow the machine is."""
    loop = asyncio.get_running_loop()
    real = loop.time
    loop.time = lambda: real() + 10_000
    await asyncio.Event().wait()


def test_samples_that_wait_for_their_verifier_are_kept_without_a_score():
    """Where it fails, and where the question runs out of time: they are drawn and paid."""
    script = Script(some(4), hold_score=fail)
    with pytest.raises(ServiceError):
        run(script, BestOfN(3), keep=True)
    assert script.kept == [("q", 0, [0, 1, 2])] and script.without_score == 3
    script = Script(some(4), hold_score=run_out_of_time)
    answer = run(script, BestOfN(3), keep=True, deadline=5_000)
    assert (answer.samples, answer.stop_reason, answer.generated_samples) == (0, "budget", 3)
    assert answer.generated_tokens == sum(10 + index + index % 2 for index in range(3))
    assert script.kept == [("q", 0, [0, 1, 2])] and script.without_score == 3


def test_what_has_come_of_a_request_that_is_cut_short_is_kept_and_counted():
    script = Script(some(9), hold=fail, come_first=(3, 0, 1))
    with pytest.raises(ServiceError):
        run(script, BestOfN(5), keep=True)
    assert script.kept == [("q", 0, [0, 1]), ("q", 3, [3])] and script.without_score == 3
    script = Script(some(9), hold=run_out_of_time, come_first=(1,), discarded=30)
    answer = run(script, BestOfN(5), keep=True, deadline=5_000)
    assert (answer.generated_samples, answer.cancelled_samples, answer.generated_tokens) == (1, 4, 42)
    assert script.kept == [("q", 1, [1])]


def test_what_the_limits_do_not_allow_ends_every_policy_that_goes_on():
    script = Script(some(9), limit=4)
    first, second = BestOfN(4), BestOfN(8)
    answer = run(script, first, second)
    (other,) = answer.others
    assert (answer.samples, other.samples) == (0, 0)  # the most that any of them wants is asked for at a time
    assert (answer.text, answer.answer, answer.finish_reason, answer.chosen_tokens) == ("", None, "", 0)
    assert np.isnan(answer.score) and answer.stop_reason == other.stop_reason == "budget"
    slow = parse_policy("optscale:score_min=1,floor=0,max_samples=8")
    answer = run(Script(some(9), limit=4), slow)
    assert (answer.samples, answer.stop_reason, len(answer.scores)) == (4, "budget", 4)


def test_policies_that_share_samples_get_what_each_alone_would():
    policies = [BestOfN(2), parse_policy("optscale:score_min=0.3,floor=0"), BestOfN(6)]
    script = Script(some(8))
    answer = run(script, *policies)
    together = [answer, *answer.others]
    assert sum(request[3] for request in script.requests) == 6
    for mine, policy in zip(together, policies, strict=True):
        alone = run(Script(some(8)), policy)
        assert (mine.samples, mine.stop_reason, mine.scores, mine.tokens) == (
            alone.samples,
            alone.stop_reason,
            alone.scores,
            alone.tokens,
        )
        assert mine.text == alone.text and repr(mine.trace) == repr(alone.trace) and mine.policy == str(policy)
    assert [one.samples for one in together] == [2, 5, 6]


def test_a_question_out_of_time_keeps_what_it_has_and_what_is_under_way_is_cancelled():
    async def hold(number):
        if number > 2:
            await run_out_of_time()

    script = Script(some(9), hold=hold)
    answer = run(
        script, parse_policy("optscale:score_min=1,floor=0,max_samples=8,step=double"), deadline=5_000, keep=True
    )
    assert (answer.samples, answer.stop_reason, answer.cancelled_samples) == (2, "budget", 2)
    assert script.kept == [("q", 0, [0]), ("q", 1, [1])]


def test_a_time_out_of_another_is_not_taken_for_ours():
    async def hold(number):
        raise TimeoutError("the engine's own")

    with pytest.raises(TimeoutError, match="the engine's own"):
        run(Script(some(3), hold=hold), BestOfN(2), deadline=5_000)


def test_samples_that_are_being_written_are_kept_where_another_question_fails_meanwhile():
    """Its failure cancels this question, whose own verifier has failed already: once more, at the worst moment."""

    async def main():
        writing, gate = asyncio.Event(), asyncio.Event()

        class Slow(Script):
            async def keep(self, question_id, first, scored):
                writing.set()
                await gate.wait()
                await super().keep(question_id, first, scored)

        async def dies():
            raise ServiceError("gone")

        script = Slow(some(3), hold_score=dies)
        with ThreadPoolExecutor(1) as threads:
            worker = DecisionWorker(BestOfN(3), None, RoundBarrier(Rounds()), threads)
            parts = Workers(script, script, lambda _: worker, script)
            request = QuestionRequest(
                QUESTION, "prompt", (("user", "hi"),), SAMPLING, 5, None, (BestOfN(3),), 0.0, None
            )
            asked = asyncio.get_running_loop().create_task(QuestionRun(request, parts, False).run())
            await writing.wait()
            asked.cancel()
            await asyncio.sleep(0)
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await asked
        assert script.kept == [("q", 0, [0, 1, 2])]

    asyncio.run(main())
