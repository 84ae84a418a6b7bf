"""How fast an engine is, told by how long policies took on it: the simulation's numbers from measured runs.

A simulated time is a sum of three parts, each a number of the engine times what the run's schedule has of it: steps,
tokens, requests. Least squares on relative errors finds the three numbers. Runs on different numbers of places tell the
part of a step that does not depend on the load from what a request costs; runs on one number of places hardly do.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from optscale_predictor.errors import InputError
from optscale_predictor.policies import Policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.simulated_engine import EngineModel
from optscale_predictor.replays.simulated_time import simulate_policy


@dataclass(frozen=True)
class EngineTimes:
    """What an engine takes, in seconds, each >= 0.

    Attributes:
        step: Of a step, whatever its load.
        token: Of a step, for each sample under way.
        request: For each request.
    """

    step: float
    token: float
    request: float

    def at(self, places: int) -> EngineModel:
        """The engine with so many places, >= 1."""
        full = self.step + self.token * places
        return EngineModel(places, 1 / full, self.step / full, self.request)


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
    rows = []
    for (policy, places), seconds in measured.items():
        if policy.widens:
            raise InputError(f"{policy}: how much it draws ahead depends on the engine that is to be known")
        if not seconds > 0:
            raise InputError(f"{policy}: seconds must be > 0, got {seconds}")
        fixed, loaded = (simulate_policy(policy, recorded, EngineModel(places, share=share)) for share in (1.0, 0.0))
        rows.append(np.array([fixed.seconds, loaded.seconds * places, fixed.requests]) / seconds)
    found, _ = nnls(np.array(rows), np.ones(len(rows)))
    times = EngineTimes(*found.tolist())
    if not times.step + times.token > 0:
        raise InputError("the times do not grow with the tokens: no engine takes them")
    return times
