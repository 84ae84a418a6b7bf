"""Policies: stopping rules that decide how many samples a question gets, one a file, one protocol."""

from optscale_predictor.policies._memo import PrefixMemo
from optscale_predictor.policies._parse import POLICIES, make_policy, parse_policy
from optscale_predictor.policies._policy import GO_ON, Decision, Draws, Policy, StopReason
from optscale_predictor.policies.best_of_n import BestOfN
from optscale_predictor.policies.optscale import OptScalePolicy
from optscale_predictor.policies.optscale_0 import OptScale0
from optscale_predictor.policies.optscale_t import OptScaleT
from optscale_predictor.policies.self_consistency import SelfConsistency

__all__ = [
    "GO_ON",
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
