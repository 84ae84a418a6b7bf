"""The settings worth trying of every policy on a pool: targets at the pool's own scores, prices relative to its tokens.

A score target of 0.95 asks for the best samples of one verifier and for what another never gives, and a price per token
bites or not depending on how long answers are. So targets are quantiles of the pool's scores, and prices are stated for
a sample of mean length.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from optscale_predictor.policies import parse_policy
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

QUANTILES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
_BETWEEN = 4  # points between the least and the largest of these quantiles
_NUMBERS = (1, 2, 4, 8, 16, 32, 64, 128)
_SAMPLE_PRICES = (3e-4, 1e-3, 3e-3, 1e-2, 2e-2, 5e-2)  # what a mean sample costs, in score or probability
_FAMILIES = ("beta", "point_masses", "empirical_tail")  # optscale_0 plugs in the truncated normal
_CONFIDENCES = (0.8, 0.9, 0.95, 0.99)


def score_targets(recorded: RecordedSamples) -> list[float]:
    """Score targets to try: quantiles of the pool's scores, and points evenly spaced between them, each once."""
    quantiles = np.quantile(recorded.scores, QUANTILES)
    # Scores with two modes have most quantiles in them, and what divides the modes between.
    between = np.linspace(quantiles[0], quantiles[-1], _BETWEEN + 2)[1:-1]
    # Rounded down: a target a hair above a score that many samples share would be out of reach.
    return sorted({float(np.floor(1e4 * score) / 1e4) for score in (*quantiles, *between)})


def make_entries(
    recorded: RecordedSamples,
    prior: Prior | LearntPrior | None,
    max_samples: int,
    calibration: str = "",
    fitted: str = "",
    selection: str | None = None,
) -> list[ReplayEntry]:
    """Every policy at every setting worth trying, labelled by policy; bounds are left out.

    Where there is no prior, policies that need one are left out too.

    Args:
        recorded: The samples on which settings are chosen.
        prior: One for all questions, or one each, or one that is learnt; a joint policy, which cannot, then has none.
        max_samples: Cap of every policy, >= 1.
        calibration: File of a calibration that was fitted on other questions, for the policies that read one; where
            empty, they gain in score alone.
        fitted: Folder of a policy that was fitted to other questions; where empty, ``fitted`` is left out.
        selection: How the answer is chosen; each policy's own rule by default.

    Raises:
        InputError: There is no fitted policy in that folder.
    """
    return [
        entry
        for label, texts, given in _grids(recorded, prior, max_samples, calibration, fitted)
        for entry in label_settings(label, texts, given, max_samples, selection)
        if given is not None or not entry.policy.needs_prior
    ]


def label_settings(
    label: str, texts: Sequence[str], prior: Prior | LearntPrior | None, max_samples: int, selection: str | None = None
) -> Iterator[ReplayEntry]:
    """Entries of one label, one for each text.

    Args:
        label: What to call them in a table.
        texts: Policies as ``parse_policy`` reads them.
        prior: Given to each.
        max_samples: Cap of those that do not name one, >= 1.
        selection: How the answer is chosen; the policy's own rule by default.
    """
    for text in texts:
        policy = parse_policy(text, {} if "max_samples" in text else {"max_samples": max_samples})
        given = None if policy.joint and isinstance(prior, LearntPrior) else prior
        yield ReplayEntry(policy, label, given, selection)


def _grids(
    recorded: RecordedSamples, prior: Prior | LearntPrior | None, cap: int, calibration: str, fitted: str
) -> Iterator[tuple[str, list[str], Prior | LearntPrior | None]]:
    targets, mean_tokens = score_targets(recorded), max(float(recorded.tokens.mean()), 1.0)
    numbers = [number for number in _NUMBERS if number <= cap]
    prices = [float(f"{1000 * price / mean_tokens:.3g}") for price in _SAMPLE_PRICES]
    for name in ("best_of_n", "self_consistency"):
        yield name, [f"{name}:max_samples={number}" for number in numbers], None
    for name in ("asc_beta", "asc_dirichlet"):
        yield name, [f"{name}:confidence={confidence}" for confidence in _CONFIDENCES], None
    yield "esc", [f"esc:window={window}" for window in (2, 3, 4, 5, 8)], None
    yield "dsc", [f"dsc:easy={easy},confidence={sure}" for easy in (*targets[::2], 1) for sure in (0.9, 0.95)], prior
    yield "optscale_0 (paper)", [f"optscale_0:score_min={target},peek=3" for target in targets], None
    yield "optscale_0 (code)", [f"optscale_0:score_min={target},form=jump,peek=5" for target in targets], None
    yield "optscale_t (code)", [f"optscale_t:score_min={target},form=jump,peek=5" for target in targets], prior
    for family in _FAMILIES:
        name = f"plug_in ({family})"
        yield name, [f"plug_in:score_min={target},form=jump,peek=5,family={family}" for target in targets], None
    yield "beacon", [f"beacon:cost={cost}" for cost in (0.001, 0.003, 0.01, 0.03, 0.1)], None
    yield "pandora", [f"pandora:cost={cost},min_samples=5" for cost in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)], None
    read = f",calibration={calibration}"
    yield "instance_adaptive", [f"instance_adaptive:q={q}{read}" for q in (0.5, 0.8, 0.9, 0.99)], prior
    by_sample = [f"cost_aware:sample_price={price}" for price in _SAMPLE_PRICES]
    by_token = [f"cost_aware:price={price}" for price in prices]
    yield "cost_aware, score", by_sample + by_token, prior
    if calibration:
        yield "cost_aware, right", [text + read for text in by_sample + by_token], prior
    yield "shared_budget", [f"shared_budget:tokens={mean_tokens * number:.0f}" for number in (2, 4, 8, 16)], prior
    if fitted:
        most = min(cap, load_fitted(fitted).depth)
        yield "fitted", [f"fitted:path={fitted},price={price},max_samples={most}" for price in prices], prior
    own = [f"optscale:score_min={target}" for target in targets]
    if prior is not None:
        yield "optscale, no prior", own, None
    yield "optscale", own, prior
