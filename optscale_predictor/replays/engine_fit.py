"""How fast an engine is, told by how long policies took on it: the simulation's numbers from measured runs.

A simulated time is a sum of parts, each a number of the engine times what the run's schedule has of it: steps, tokens,
requests, samples. Least squares on relative errors finds the numbers. The schedule itself depends on them where a
question's samples are decided on later than they end: they are found in turns, for each of several delays, and the
delay that leaves the smallest errors is taken. Runs on different numbers of places tell the part of a step that does
not depend on the load from what a request costs; runs on one number of places hardly do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from optscale_predictor._support.arrays import Floats
from optscale_predictor.errors import InputError
from optscale_predictor.policies import Policy
from optscale_predictor.replays.engine_model import EngineModel
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.simulated_engine import simulate
from optscale_predictor.replays.simulated_time import samples_asked

#: Seconds from a sample's end to its question's decision that are tried.
DELAYS = (0.0, 0.01, 0.02, 0.04, 0.06, 0.09, 0.13, 0.2, 0.3, 0.5)
_TURNS = 3  # of schedule and numbers: more change nothing that a clock could tell


@dataclass(frozen=True)
class EngineTimes:
    """What an engine takes, in seconds, each >= 0.

    Attributes:
        step: Of a step, whatever its load.
        token: Of a step, for each sample under way.
        request: For each request.
        sample: For each sample beside its tokens: a verifier on the engine's processors.
        delay: From a sample's end to its question's decision, while the engine goes on.
    """

    step: float
    token: float
    request: float
    sample: float = 0.0
    delay: float = 0.0

    def at(self, places: int) -> EngineModel:
        """The engine with so many places, >= 1."""
        full = self.step + self.token * places
        return EngineModel(places, 1 / full, self.step / full, self.request, self.sample, self.delay)


class _Run(NamedTuple):
    """A measured run: what its policy asks for, on how many places, and its seconds."""

    asked: Sequence[Sequence[int]]
    places: int
    seconds: float


def fit_engine(recorded: RecordedSamples, measured: Mapping[tuple[Policy, int], float]) -> EngineTimes:
    """The engine on which policies would take nearly what they were measured to take.

    Args:
        recorded: Samples of the questions of those runs, at least as many as the policies draw.
        measured: Wall time over all questions in seconds, > 0, of each policy and number of places: at least three
            runs that differ in tokens and in requests, such as Best-of-N, ``step=one`` and ``step=double``.

    Raises:
        InputError: There are fewer than three runs, or a policy draws ahead, or a time is not above 0, or they do not
            grow with the tokens.
    """
    if len(measured) < 3:
        raise InputError(f"an engine is known by the times of at least 3 runs, got {len(measured)}")
    asked: dict[Policy, Sequence[Sequence[int]]] = {}
    for (policy, _), seconds in measured.items():
        if policy.widens:
            raise InputError(f"{policy}: how much it draws ahead depends on the engine that is to be known")
        if not seconds > 0:
            raise InputError(f"{policy}: seconds must be > 0, got {seconds}")
        if policy not in asked:
            asked[policy] = samples_asked(policy, recorded)
    runs = [_Run(asked[policy], places, seconds) for (policy, places), seconds in measured.items()]
    best = _fitted(runs, recorded.tokens, EngineTimes(1.0, 0.0, 0.0))
    last = best[0]
    for delay in DELAYS[1:]:
        found = _with_delay(runs, recorded.tokens, replace(last, delay=delay))
        if found is None:
            break
        last = found[0]
        best = min(best, found, key=lambda one: one[1])
    return best[0]


def _with_delay(runs: Sequence[_Run], tokens: Floats, times: EngineTimes) -> tuple[EngineTimes, float] | None:
    """The engine with this delay, from one of nearly its times; None where the runs left no time for steps."""
    try:
        for _ in range(_TURNS):
            times, error = _fitted(runs, tokens, times)
    except InputError:
        return None
    return times, error


def _fitted(runs: Sequence[_Run], tokens: Floats, times: EngineTimes) -> tuple[EngineTimes, float]:
    """The numbers that fit the schedules of an engine of these times, and the root of the sum of squared errors."""
    rows, rest = [], []
    for run in runs:
        told = simulate(run.asked, tokens, times.at(run.places))
        rows.append(np.array([told.steps, told.tokens, told.requests, told.samples]) / run.seconds)
        rest.append(1 - told.idle / run.seconds)
    found, error = nnls(np.array(rows), np.array(rest))
    step, token, request, sample = found.tolist()
    if not step + token > 0:
        raise InputError("the times do not grow with the tokens: no engine takes them")
    return EngineTimes(step, token, request, sample, times.delay), error
