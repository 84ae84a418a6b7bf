"""Samples of a question that share a request where requests cost something: the answers of one each, fewer requests."""

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import pytest
from fitted_policies import folder_of
from test_drawing_ahead import AUTO, Engine, Reads, answered, decided, questions

from optscale_predictor.backends.generators import Request, Sample
from optscale_predictor.backends.generators.request_seeds import request_seed, sample_luck
from optscale_predictor.inference import OptScale
from optscale_predictor.inference.request_cost import RequestCost
from optscale_predictor.policies import parse_policy
from optscale_predictor.policies.width import TOGETHER


@dataclass
class Joining(Engine):
    """Draws the samples of a request as it would draw each alone; the request comes when all have."""

    joins: bool = True

    def __post_init__(self):
        super().__post_init__()
        self.sizes = []

    async def draw_into(self, arrived, request, sampling):
        self.sizes.append(request.num_samples)
        keys = [(request.question_id, request.first_index + place) for place in range(request.num_samples)]
        self.asked += keys
        self.now += len(keys)
        try:
            drawn = await asyncio.gather(*(self.sample(*key) for key in keys))
            self.ended += [(key, tokens) for key, (_, tokens) in zip(keys, drawn, strict=True)]
            return [
                Sample(f"{score} #### 1", tokens, "stop", index)
                for (_, index), (score, tokens) in zip(keys, drawn, strict=True)
            ]
        except asyncio.CancelledError:
            self.given_up += keys
            arrived.discarded_tokens = 3 * len(keys)
            raise
        finally:
            self.now -= len(keys)


@pytest.fixture
def cost(monkeypatch):
    """Sets what a request costs."""
    return lambda share: monkeypatch.setattr(RequestCost, "share", lambda self: share)


@pytest.mark.parametrize("places", [4, 64])
def test_answers_are_those_of_one_request_each(places, cost):
    cost(0.2)
    one, joined = Engine(places), Joining(places)
    expected = answered(one, AUTO.replace("auto", "one"), 40)
    found = answered(joined, AUTO, 40)
    assert decided(found) == decided(expected)
    assert len(set(joined.asked)) == len(joined.asked) and joined.now == 0
    assert len(joined.sizes) < len(one.asked) and 1 < max(joined.sizes) <= TOGETHER
    assert len(joined.ended) == sum(answer.generated_samples for answer in found)
    spent = sum(tokens for _, tokens in joined.ended) + 3 * len(joined.given_up)
    assert spent == sum(answer.generated_tokens for answer in found)


def test_where_requests_are_cheap_each_sample_is_one(cost):
    cost(0.0)
    joined = Joining()
    answered(joined, AUTO, 40)
    assert set(joined.sizes) == {1}


def test_a_question_that_fails_while_it_asks_leaves_nothing_behind(cost):
    cost(0.5)

    class Failing(Joining):
        async def sample(self, question, index):
            if question == "q3":
                raise OSError("gone")
            return await super().sample(question, index)

    engine = Failing(4)
    with pytest.raises(OSError, match="gone"):
        answered(engine, AUTO, 8)
    assert engine.now == 0


def test_greedy_samples_share_no_request(cost):
    cost(0.5)
    engine = Joining()
    engine.sampling = type(engine.sampling)(max_tokens=50, temperature=0.0)
    list(OptScale(engine, Reads(), policy=parse_policy(AUTO)).answer(questions(10)))
    assert engine.sizes == [1] * 10


def test_a_samples_seed_does_not_depend_on_its_request():
    first = Request("q", "1+1=", 8, 0)
    seeds = [request_seed(7, Request("q", "1+1=", 1, index)) for index in range(8)]
    assert seeds == [request_seed(7, first) + index for index in range(8)]  # as vLLM counts on from a request's own
    others = {request_seed(base, Request(name, "", 1, 0)) for base in range(5) for name in "abc"}
    assert len(others) == 15 and all(0 <= seed < 2**31 for seed in others)


def test_the_luck_of_a_sample_is_its_own():
    luck = [sample_luck(7, Request("q", "", 1, index)) for index in range(2000)]
    assert 0 <= min(luck) < 0.01 and 0.99 < max(luck) < 1 and len(set(luck)) == 2000
    assert abs(sum(luck) / 2000 - 0.5) < 0.03
    follows = sum((one - 0.5) * (two - 0.5) for one, two in pairwise(luck)) / 2000
    assert abs(follows) < 0.01  # 1/12 where one says what the next is


class Counts:
    """What was sent and came, the client's work and the time; set by the test."""

    def __init__(self):
        self.requests = self.drawn = 0
        self.now = self.worked = self.scored = 0.0

    def cost(self):
        return RequestCost(self, lambda: self.scored, lambda: self.now, lambda: self.worked)


def test_a_requests_cost_is_twice_the_clients_time_for_it_in_samples():
    counts = Counts()
    counts.requests, counts.now = 100, 50.0  # before it began to look
    cost = counts.cost()
    assert cost.share() == 0.0
    counts.requests, counts.drawn, counts.now, counts.worked, counts.scored = 200, 300, 80.0, 1.0, 2.0
    assert cost.share() == pytest.approx(2 * (3 / 100) / (30 / 300))


def test_a_requests_cost_is_that_of_the_latest():
    counts = Counts()
    cost = counts.cost()
    for second in range(1, 2001):
        counts.requests, counts.drawn, counts.now = second, second, float(second)
        counts.worked += 0.3 if second <= 1000 else 0.1
        share = cost.share()
        if second == 1000:
            assert share == pytest.approx(0.6)
    assert share == pytest.approx(0.2)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_fitted_policy_draws_ahead_and_answers_as_without(share, cost):
    cost(share)
    path = folder_of()
    plain, wide = Joining(), Joining()
    expected = answered(plain, f"fitted:path={path},price=0.01,step=one", 40)
    found = answered(wide, f"fitted:path={path},price=0.01", 40)
    assert decided(found) == decided(expected)
    assert len(plain.asked) == sum(answer.samples for answer in expected) < len(wide.asked)
    assert any(answer.schedule for answer in found) and not any(answer.schedule for answer in expected)
    assert len(set(wide.asked)) == len(wide.asked) and wide.now == 0


def test_where_samples_depend_on_their_request_a_fitted_policy_draws_its_own_alone(cost, tmp_path):
    cost(0.0)
    engine = Joining(joins=False)
    found = answered(engine, f"fitted:path={folder_of()},price=0.01", 40, pool=tmp_path / "pool")
    assert len(engine.asked) == len(set(engine.asked)) == sum(answer.samples for answer in found)
    several = [answer for answer in found if answer.samples > 4]  # 4 to 6 to 8 to 16
    assert several and max(engine.sizes) > 1
