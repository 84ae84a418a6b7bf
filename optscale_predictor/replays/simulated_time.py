"""How long replayed policies would take on an engine: their runs over recorded samples, given to its simulation."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from optscale_predictor.policies import Policy
from optscale_predictor.replays.engine_model import EngineModel, SimulatedRun
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.replays.simulated_engine import simulate
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

_MOST_ORDERS = 5  # whose times are averaged: hundreds of questions in one run leave little chance


def simulated_times(
    entries: Sequence[ReplayEntry], recorded: RecordedSamples, num_orders: int, seed: int, engine: EngineModel
) -> list[SimulatedRun | None]:
    """The time that each policy takes for all questions, over the first orders that a replay averages over.

    Args:
        entries: The policies.
        recorded: The samples.
        num_orders: Random orders of the replay, >= 1; at most five are simulated.
        seed: Seed of the random orders, >= 0.
        engine: What draws the samples.

    Returns:
        For each policy the means; None for one with a common budget, whose questions all wait for one another.
    """
    generators = np.random.default_rng(seed).spawn(num_orders)[:_MOST_ORDERS]
    orders = [recorded.reorder(generator) for generator in generators]
    return [
        None
        if entry.policy.joint
        else _mean([simulate_policy(entry.policy, one, engine, entry.prior) for one in orders])
        for entry in entries
    ]


def simulate_policy(
    policy: Policy, recorded: RecordedSamples, engine: EngineModel, prior: Prior | LearntPrior | None = None
) -> SimulatedRun:
    """The run of one policy over recorded samples, in their order.

    A prior that is learnt decides as it does live, but nobody waits for the questions that it is learnt from.

    Args:
        policy: Without a common budget.
        recorded: The samples.
        engine: What draws them.
        prior: As ``run_policy`` takes it.

    Raises:
        InputError: The policy lacks the prior that it needs, or cannot learn one.
    """
    ahead = min(policy.max_samples, recorded.depth) if policy.widens else None
    return simulate(samples_asked(policy, recorded, prior), recorded.tokens, engine, ahead)


def samples_asked(
    policy: Policy, recorded: RecordedSamples, prior: Prior | LearntPrior | None = None
) -> list[list[int]]:
    """Of each question the samples that it has in total after each of a policy's requests, ascending.

    Args:
        policy: Without a common budget.
        recorded: The samples.
        prior: As ``run_policy`` takes it.

    Raises:
        InputError: The policy lacks the prior that it needs, or cannot learn one.
    """
    trace = run_policy(policy, recorded, prior).trace
    return [[count for count, _ in one if count] for one in trace]


def _mean(runs: Sequence[SimulatedRun]) -> SimulatedRun:
    return SimulatedRun(*np.mean([astuple(run) for run in runs], 0).tolist())
