"""Policies: stopping rules that decide how many samples a question gets, one a file, one protocol."""

from optscale_predictor.policies._memo import PrefixMemo
from optscale_predictor.policies._policy import CONTINUE, Decision, Draws, Policy, StopReason
from optscale_predictor.policies._registry import POLICIES, make_policy, parse_policy
from optscale_predictor.policies.fixed_samples import BestOfN, SelfConsistency
from optscale_predictor.policies.optscale_policy import OptScalePolicy
from optscale_predictor.policies.published import OptScale0, OptScaleT

__all__ = [
    "CONTINUE",
    "POLICIES",
    "BestOfN",
    "Decision",
    "Draws",
    "OptScale0",
    "OptScalePolicy",
    "OptScaleT",
    "Policy",
    "PrefixMemo",
    "SelfConsistency",
    "StopReason",
    "make_policy",
    "parse_policy",
]
