"""The lines of the demo's picture: families of policies, and the settings among which training questions choose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from optscale_predictor.policies import (
    BestOfN,
    OptScale0,
    OptScalePolicy,
    OptScaleT,
    Policy,
    SelfConsistency,
    parse_policy,
)

TARGETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
LOW_TARGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
PRICES = (0.001, 0.003, 0.01, 0.03, 0.1)
CONFIDENCES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)


@dataclass(frozen=True)
class Curve:
    """One line of the picture: a family of policies, given one prior."""

    label: str
    policies: Sequence[Policy]
    prior: str = "none"


def fixed_numbers(depth: int) -> tuple[int, ...]:
    """Numbers of samples that are tried: powers of two below the most, and the most itself.

    Args:
        depth: Samples of each question, >= 1.
    """
    return (*(2**power for power in range(depth.bit_length()) if 2**power < depth), depth)


def score_curves(depth: int, targets: Sequence[float] = TARGETS, min_gain: float = 1.0) -> list[Curve]:
    """The curves whose settings the training questions choose: numbers of samples, or target scores.

    Args:
        depth: Samples of each question, >= 1.
        targets: Target scores, in (0, 1).
        min_gain: Of ``optscale``, in [0, 1]. By default it gives up where its target is out of reach: of questions that
            are solved or hopeless, going on raises scores, and hardly accuracy.
    """

    def over_targets(make: Callable[[float], Policy]) -> list[Policy]:
        return [make(target) for target in targets]

    def ours(target: float) -> Policy:
        return OptScalePolicy(target, max_samples=depth, min_gain=min_gain)

    fixed = fixed_numbers(depth)
    return [
        Curve("best_of_n", [BestOfN(number) for number in fixed]),
        Curve("self_consistency", [SelfConsistency(number) for number in fixed]),
        Curve("optscale_0 (paper)", over_targets(lambda s: OptScale0(s, max_samples=depth, peek=1))),
        Curve("optscale_0 (code)", over_targets(lambda s: OptScale0(s, max_samples=depth, form="jump", peek=5))),
        Curve(
            "optscale_t (code)",
            over_targets(lambda s: OptScaleT(s, max_samples=depth, form="jump", peek=5)),
            "predictor",
        ),
        Curve("optscale, no prior", over_targets(ours)),
        Curve("optscale, constant prior", over_targets(ours), "constant"),
        Curve("optscale, predictor", over_targets(ours), "predictor"),
    ]


def all_curves(depth: int) -> list[Curve]:
    """For scores that are seldom high: lower targets, and ``optscale`` goes on past them while samples still gain.

    With policies that weigh a sample's price and policies that stop by votes beside those of :func:`score_curves`.

    Args:
        depth: Samples of each question, >= 1.
    """
    priced = [parse_policy(f"cost_aware:sample_price={price},max_samples={depth}") for price in PRICES]
    voted = [parse_policy(f"asc_beta:confidence={share},max_samples={depth}") for share in CONFIDENCES]
    more = [
        Curve("cost_aware, no prior", priced),
        Curve("cost_aware, predictor", priced, "predictor"),
        Curve("asc_beta (votes)", voted),
    ]
    return [*score_curves(depth, LOW_TARGETS, OptScalePolicy.min_gain), *more]


def fitted_curve(folder: Path, depth: int) -> Curve:
    """A fitted policy that matches the accuracy of each Best-of-N, by its own held-out figures.

    Args:
        folder: The fitted policy's.
        depth: Samples of each question, >= 1.
    """
    matched = [f"fitted:path={folder},match={BestOfN(number)}" for number in fixed_numbers(depth)]
    return Curve("fitted", [parse_policy(text) for text in matched])
