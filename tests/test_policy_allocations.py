"""What a policy allocates is bounded by the samples that there are, whatever its settings say."""

import tracemalloc

import numpy as np
import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.policies import Draws, parse_policy
from optscale_predictor.policies._policy import MOST_SAMPLES
from optscale_predictor.policies.step import take_step
from optscale_predictor.stats.estimators import Prior

MOST = f"max_samples={MOST_SAMPLES}"
EXTREMES = [
    *("esc:window=60000000", f"esc:window={MOST_SAMPLES},{MOST}", f"dsc:window={MOST_SAMPLES},{MOST}"),
    *(f"pandora:min_samples={MOST_SAMPLES},{MOST}", f"pandora:min_samples=5,{MOST}"),
    *(f"optscale_0:peek={MOST_SAMPLES},{MOST}", f"optscale_0:form=jump,{MOST}", f"optscale_t:form=jump,{MOST}"),
    *(f"plug_in:{MOST}", f"plug_in:family=empirical_tail,form=jump,{MOST}"),
    *(f"best_of_n:{MOST}", f"self_consistency:{MOST}", f"cost_aware:step=double,{MOST}", f"instance_adaptive:{MOST}"),
    *(f"asc_beta:step=jump,{MOST}", f"asc_dirichlet:step=jump,{MOST}", f"asc_dirichlet:confidence=0.999999,{MOST}"),
    *(f"optscale:step=jump,alpha=0.999999999999,{MOST}", f"optscale:step=double,floor=0,{MOST}"),
]
LARGEST = 8 << 20  # bytes; the samples of the two questions take a hundred


def draws():
    """Two questions, one with seven samples and one with none."""
    scores = np.full((2, 7), np.nan)
    scores[0] = [0.2, 0.5, 0.4, 0.3, 0.6, 0.1, 0.35]
    answers = np.where(np.isnan(scores), -1, [[0, 1, 0, 2, 0, 1, 0]])
    tokens = np.where(np.isnan(scores), np.nan, 20.0)
    return Draws(scores, answers, tokens, np.array([7, 0]), Prior(0.4, 0.2, 2.0))


@pytest.mark.parametrize("text", EXTREMES)
def test_no_setting_makes_a_policy_allocate_more_than_its_samples_need(text):
    small = text.replace(str(MOST_SAMPLES), "6").replace("60000000", "5")
    take_step(parse_policy(small), draws())  # what is loaded and kept once is no part of it
    policy = parse_policy(text)
    tracemalloc.start()
    try:
        step = take_step(policy, draws())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LARGEST, f"{peak} bytes"
    assert (step.total <= policy.max_samples).all() and (step.total >= [7, 0]).all()


@pytest.mark.parametrize("value", [MOST_SAMPLES + 1, 10**30, 10**400])
@pytest.mark.parametrize(
    "setting", ["best_of_n:max_samples", "esc:window", "dsc:window", "pandora:min_samples", "optscale_0:peek"]
)
def test_more_samples_than_a_pool_can_hold_are_no_setting(setting, value):
    with pytest.raises(InputError, match=rf"^{setting.partition(':')[2]} must be <= {MOST_SAMPLES}, got 1|2") as error:
        parse_policy(f"{setting}={value}")
    assert len(str(error.value)) < 100


def test_a_search_longer_than_beacon_solves_is_no_setting():
    with pytest.raises(InputError, match="max_samples must be <= 4096, the longest search solved, got 4097"):
        parse_policy("beacon:max_samples=4097")


@pytest.mark.parametrize(("window", "count"), [(2, 4), (3, 6), (5, 5), (5, 7), (7, 7), (9, 7), (60000000, 7)])
def test_a_window_agrees_where_its_answers_do(window, count):
    """Against the definition, window by window; a window beyond what was drawn is never full."""
    for answers in ([3] * 7, [1, 1, 1, 2, 2, 2, 2], [1, 2, 2, 2, 2, 2, 2], [-1] * 7):
        row = np.array([[*answers[:count], *[-1] * (7 - count)]])
        seen = Draws(np.where(row >= -1, 0.5, np.nan), row, np.full((1, 7), 9.0), np.array([count]), None)
        step = take_step(parse_policy(f"esc:window={window},max_samples=30"), seen)
        last = answers[count - window : count] if count >= window else []
        agrees = count % window == 0 and len(set(last)) == 1 and last[0] >= 0
        assert step.reason.tolist() == ["confident" if agrees else ""]
