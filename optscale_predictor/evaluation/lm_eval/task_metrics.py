"""What is measured of a document's answer: whether it is right, and what it cost.

lm-eval averages every metric over the documents that have it, and adds its standard error.

    exact_match                  lm-eval's own verdict where the task is one of lm-eval's, else ours
    exact_match_strict           GSM8K only: lm-eval's verdict on answers after ``####``
    math_verify                  our verdict (``answers``), where lm-eval has one of its own
    samples, tokens              drawn and generated for the question
    score                        the verifier's, of the chosen sample
    brier                        the squared difference of the confidence in the answer and ``exact_match``, in [0, 1],
                                 where the selection knows a confidence (the policy ``fitted``, ``confidence:FOLDER``)
    hit                          whether a sample reached the policy's ``score_min``, where it has one
    stop_reached, and so on      whether the question stopped for this reason

A run of several policies measures the first under these names and each other one as ``exact_match@POLICY`` and so on,
where POLICY is its name and the settings that are not its defaults, whatever other policies run.
An answer without costs, a plain string of another model, is one sample.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from optscale_predictor.policies import POLICIES, StopReason

#: Decides of a text what it is worth: metrics by name.
Verdict = Callable[[str], Mapping[str, float]]

_STOP = "stop_"
_OF_OTHERS = ("exact_match", "samples", "tokens", "score", "brier")
_HIGHER = {"exact_match", "exact_match_strict", "math_verify", "score", "hit"}
_LOWER = {"samples", "tokens", "brier"}


def measure(chosen: str, verdict: Verdict) -> dict[str, float]:
    """All metrics of one document.

    Args:
        chosen: The answer; a ``ChosenText``, or any other string.
        verdict: What decides whether a text is right.
    """
    found = _measured(chosen, verdict)
    others: Sequence[tuple[str, str]] = getattr(chosen, "others", ())
    for policy, other in others:
        theirs, label = _measured(other, verdict), metric_label(policy)
        found |= {f"{metric}@{label}": theirs[metric] for metric in _OF_OTHERS if metric in theirs}
    return found


def higher_is_better(metric: str) -> bool | None:
    """Whether more of it is better; None where neither is."""
    name = metric.partition("@")[0]
    return True if name in _HIGHER else False if name in _LOWER else None


@lru_cache(maxsize=64)
def metric_label(policy: str) -> str:
    """A policy in a metric's name: its own name, and those settings that are not its defaults.

    No comma is in it: lm-eval's tables part a metric from its filter there. Of a path the last part stands.

    Args:
        policy: In the form ``policies.parse_policy`` reads.
    """
    name, _, rest = policy.partition(":")
    kind = POLICIES.get(name.strip())
    defaults = {} if kind is None else {one.name: str(one.default) for one in fields(kind)}  # type: ignore[arg-type]
    settings = [part.partition("=") for part in rest.split(",") if part.strip()]
    own = [f"{key}={Path(value).name}" for key, _, value in settings if defaults.get(key.strip()) != value.strip()]
    return ":".join(filter(None, (name.strip(), ";".join(own))))


def _measured(chosen: str, verdict: Verdict) -> dict[str, float]:
    """All metrics of one policy's answer; those that nothing is known of are left out."""
    found = {**verdict(chosen), **_costs(chosen)}
    confidence = getattr(chosen, "confidence", math.nan)
    if "exact_match" in found and not math.isnan(confidence):
        found["brier"] = (confidence - found["exact_match"]) ** 2
    return found


def _costs(chosen: str) -> dict[str, float]:
    costs = {"samples": float(getattr(chosen, "samples", 1))}
    for metric in ("tokens", "score", "hit"):
        value = getattr(chosen, metric, None)
        if value is not None and not math.isnan(value):
            costs[metric] = float(value)
    reason = getattr(chosen, "stop_reason", None)
    if reason is not None:
        costs |= {f"{_STOP}{one}": float(reason == one) for one in StopReason}
    return costs
