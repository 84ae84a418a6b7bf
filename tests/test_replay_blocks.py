"""Replays in blocks: the figures of every question alone, and memory that grows with a block and not with the pool."""

import tracemalloc

import numpy as np
import pytest
from test_replay import pool

from optscale_predictor import LearntPrior, Prior
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replay_blocks import BlockPlan, beliefs_pay
from optscale_predictor.replays.replaying import ReplayEntry, measure_orders, replay

TEXTS = (
    *("optscale:score_min=0.8", "optscale:score_min=0.9,step=double,floor=0.1", "best_of_n:max_samples=5"),
    *("self_consistency:max_samples=7", "asc_beta:confidence=0.9", "clairvoyant:score_min=0.8", "optscale_t:peek=3"),
)


def blocks_of(monkeypatch, prefixes):
    monkeypatch.setattr("optscale_predictor.replays.replay_blocks._PREFIXES", prefixes)


def entries_of(texts, prior):
    return [ReplayEntry(parse_policy(text), text, prior) for text in texts]


@pytest.fixture(scope="module")
def alone():
    """A recording, its prior, and by order and question the figures of that question of that order alone.

    Its samples are shuffled as those of the whole order are.
    """
    recorded, rng = pool(questions=6, depth=8), np.random.default_rng(5)
    prior = Prior(rng.uniform(0.3, 0.7, 6), 0.2, 3.0)
    found = {}
    for number, generator in enumerate(np.random.default_rng(7).spawn(2)):
        order = np.argsort(generator.random((6, 8)), -1)
        for question in (0, 4):
            row = question, order[question]
            one = RecordedSamples(
                *(part[row][None] for part in (recorded.scores, recorded.answers, recorded.tokens, recorded.correct))
            )
            own = entries_of(TEXTS, prior.take([question]))
            found[number, question] = measure_orders(own, one, 0)[:, :, 0, 0]
    return recorded, prior, found


@pytest.mark.parametrize("prefixes", [1, 8 * 3, 8 * 6 * 2])
def test_every_way_to_cut_gives_the_figures_of_each_question_alone(monkeypatch, prefixes, alone):
    recorded, prior, wanted = alone
    blocks_of(monkeypatch, prefixes)
    found = measure_orders(entries_of(TEXTS, prior), recorded, 2, seed=7)
    for (number, question), figures in wanted.items():
        assert found[:, :, number, question] == pytest.approx(figures, abs=1e-6, nan_ok=True)


def test_orders_in_blocks_are_the_orders_at_once(monkeypatch):
    """Also of policies that look at all questions of an order: a common budget, a prior learnt on the way."""
    recorded = pool(questions=6, depth=6)
    entries = entries_of(("optscale:score_min=0.8", "shared_budget"), Prior(0.5, 0.3, 2.0))
    entries += entries_of(("optscale:score_min=0.9",), LearntPrior(2))
    whole = replay(entries, recorded, num_orders=2)
    for prefixes in (6 * 4, 6 * 6 * 2):
        blocks_of(monkeypatch, prefixes)
        again = replay(entries, recorded, num_orders=2)
        assert [row.samples for row in again] == [row.samples for row in whole]
        assert [row.accuracy for row in again] == [row.accuracy for row in whole]


@pytest.mark.parametrize("prior", [None, Prior(0.6, 0.25, 3.0)])
def test_beliefs_kept_for_many_settings_decide_what_few_decide_without(monkeypatch, prior):
    entries = entries_of([*TEXTS[:2], "cost_aware:sample_price=0.01", "optscale:score_min=0.95,step=jump"], prior)
    found = []
    for keeps in (False, True):
        monkeypatch.setattr("optscale_predictor.replays.replaying.beliefs_pay", lambda _, keeps=keeps: keeps)
        found.append(measure_orders(entries, pool(questions=30, depth=12), 1))
    assert np.array_equal(*found, equal_nan=True)


def test_beliefs_are_kept_where_many_settings_share_targets():
    few = [parse_policy(f"optscale:score_min={target}") for target in np.linspace(0.5, 0.9, 20)]
    many = [parse_policy(f"optscale:score_min=0.9,alpha={alpha}") for alpha in np.linspace(0.5, 0.9, 20)]
    assert not beliefs_pay(few) and beliefs_pay(many) and not beliefs_pay(many[:10])


@pytest.mark.parametrize(("prefixes", "whole", "sizes"), [(16 * 7, False, [7] * 5 + [5]), (16 * 7, True, [40])])
def test_blocks_cover_every_question_of_every_order_once(monkeypatch, prefixes, whole, sizes):
    blocks_of(monkeypatch, prefixes)
    plan = BlockPlan(pool(), 3, 0, whole)
    covered = np.zeros((3, 40), int)
    for block in plan:
        covered[block.orders, block.questions] += 1
        assert [run.num_questions for run in block.runs] == [block.questions.stop - block.questions.start]
    assert (covered == 1).all() and len(plan) == 3 * len(sizes)
    assert [block.runs[0].num_questions for block in plan] == sizes * 3


def test_memory_grows_with_a_block_and_not_with_the_pool(monkeypatch):
    """Eight times the questions: what is held of a question is a few numbers a setting, not its posteriors."""
    blocks_of(monkeypatch, 8 * 40)
    monkeypatch.setattr("optscale_predictor.replays.replaying.beliefs_pay", lambda _: True)
    entries = entries_of([f"optscale:score_min={target}" for target in (0.7, 0.9)], None)
    peaks = []
    for times in (1, 6):
        recorded = RecordedSamples.concatenate([pool(depth=8)] * times)
        tracemalloc.start()
        try:
            measure_orders(entries, recorded, 0)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
