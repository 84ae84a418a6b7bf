"""An engine is recovered from the times that policies take on it."""

import pytest
from test_simulated_time import AUTO, BEST, ONE, recorded

from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays.engine_fit import EngineTimes, fit_engine
from optscale_predictor.replays.simulated_time import simulate_policy

DOUBLE = parse_policy("optscale:score_min=0.9,step=double")


@pytest.mark.parametrize("times", [EngineTimes(0.004, 0.0001, 0.006), EngineTimes(0.01, 0.0, 0.0)])
def test_runs_tell_all_of_it(times):
    samples = recorded(60)
    runs = [(policy, places) for policy in (BEST, ONE, DOUBLE) for places in (8, 32)]
    measured = {run: simulate_policy(run[0], samples, times.at(run[1])).seconds for run in runs}
    found = fit_engine(samples, measured)
    assert (found.step, found.token, found.request) == pytest.approx((times.step, times.token, times.request), abs=1e-7)
    for places in (16, 64):
        seconds = [simulate_policy(AUTO, samples, engine.at(places)).seconds for engine in (found, times)]
        assert seconds[0] == pytest.approx(seconds[1], rel=0.02)


def test_a_step_takes_the_sum_of_its_parts():
    assert EngineTimes(0.004, 0.0001, 0.0).at(50).seconds(10, 20) == pytest.approx(10 * (0.004 + 20 * 0.0001))


def test_what_tells_nothing_is_refused():
    samples = recorded(5)
    for measured, said in (
        ({(BEST, 4): 3.0, (ONE, 4): 2.0}, "at least 3 runs, got 2"),
        ({(BEST, 4): 3.0, (ONE, 4): 2.0, (AUTO, 4): 2.0}, "step=auto.*how much it draws ahead"),
        ({(BEST, 4): 3.0, (ONE, 4): 2.0, (ONE, 8): 0.0}, "seconds must be > 0, got 0.0"),
    ):
        with pytest.raises(InputError, match=said):
            fit_engine(samples, measured)
