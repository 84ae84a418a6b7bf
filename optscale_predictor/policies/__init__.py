"""Policies: stopping rules that decide how many samples a question gets, one a file, one protocol.

``_policy`` is the protocol, ``step`` the one place where a policy is asked, by replays and live runs alike, and
``selection`` chooses the sample that is returned. Imports the statistics and, for finish reasons, the questions.
"""

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
