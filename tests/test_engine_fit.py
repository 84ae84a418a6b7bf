"""An engine is recovered from the times that policies take on it."""

from dataclasses import astuple

import pytest
from test_simulated_time import AUTO, BEST, ONE, recorded

from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.replays import engine_fit
from optscale_predictor.replays.engine_fit import EngineTimes, fit_engine
from optscale_predictor.replays.simulated_time import simulate_policy

DOUBLE = parse_policy("optscale:score_min=0.9,step=double")


@pytest.mark.parametrize(
    "times",
    [
        EngineTimes(0.004, 0.0001, 0.006),
        EngineTimes(0.01, 0.0, 0.0),
        EngineTimes(0.004, 0.0001, 0.006, 0.002),
    ],
)
def test_runs_tell_all_of_it(times, monkeypatch):
    monkeypatch.setattr(engine_fit, "DELAYS", (0.0, 0.01, 0.06))  # each costs three simulations of every run
    samples = recorded(30)
    runs = [(policy, places) for policy in (BEST, ONE, DOUBLE) for places in (4, 16)]
    measured = {run: simulate_policy(run[0], samples, times.at(run[1])).seconds for run in runs}
    found = fit_engine(samples, measured)
    assert astuple(found) == pytest.approx(astuple(times), abs=1e-6)
    for places in (8, 32):
        seconds = [simulate_policy(AUTO, samples, engine.at(places)).seconds for engine in (found, times)]
        assert seconds[0] == pytest.approx(seconds[1], rel=0.02)


def test_runs_tell_how_late_samples_are_decided_on():
    samples, times = recorded(30), EngineTimes(0.004, 0.0001, 0.006, 0.002, 0.06)
    runs = [(policy, places) for policy in (BEST, ONE, DOUBLE) for places in (4, 16)]
    measured = {run: simulate_policy(run[0], samples, times.at(run[1])).seconds for run in runs}
    found = fit_engine(samples, measured)  # what a sample costs is hardly told from what its tokens cost
    assert found.delay == times.delay
    for policy, places, off in (*((*run, 0.01) for run in runs), (AUTO, 8, 0.05), (AUTO, 32, 0.05)):
        seconds = [simulate_policy(policy, samples, engine.at(places)).seconds for engine in (found, times)]
        assert seconds[0] == pytest.approx(seconds[1], rel=off)


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
