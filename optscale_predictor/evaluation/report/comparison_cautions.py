"""What a comparison's figures do not show: nothing is right, scores say nothing, a cap lies beyond the pool."""

from collections.abc import Iterator

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.comparison import Comparison
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.policies.cautions import cap_cautions, score_cautions, target_cautions

#: Below this many questions a bootstrap of them draws few different samples, and its intervals are too narrow.
_FEW_QUESTIONS = 10


def comparison_cautions(comparison: Comparison) -> list[str]:
    """A line each; none where all is as it seems.

    Args:
        comparison: What is reported.
    """
    lines = []
    if comparison.nothing_right:
        count = len(comparison.questions)
        lines.append(f"No policy answers any of the {count:,} questions rightly: there is nothing to save.")
    if (count := len(comparison.questions)) < _FEW_QUESTIONS:
        lines.append(
            f"{count:,} question{'' if count == 1 else 's'}: too few for intervals to say how sure figures are."
        )
    policies = list(_policies(comparison))
    for run in comparison.runs:
        depth = run.depth(comparison.questions) if run.facts is None else None
        if depth is not None:
            lines += cap_cautions(policies, depth)
    lines += [_stopped(run.name, run.facts) for run in comparison.runs if run.facts is not None and run.facts.rejected]
    kept = [run.samples for run in comparison.runs if run.samples is not None and run.verifier is not None]
    if kept:
        scores = np.concatenate([one.score for one in kept])
        best = float(np.concatenate([one.score[one.usable] for one in kept]).max(initial=0.0))
        lines += [*score_cautions(scores), *target_cautions(policies, best, scores.size)]
    return list(dict.fromkeys(lines))


def _stopped(name: str, facts: RunFacts) -> str:
    share = facts.saved_tokens / max(facts.saved_tokens + facts.tokens, 1)
    return (
        f"{name}: early rejection ({facts.reject}) stopped {facts.rejected:,} of {facts.samples:,} samples, which "
        f"saved about {facts.saved_tokens:,} tokens ({share:.0%} of what they would have been); what is left is no "
        "random sample of the scores, so no curve of Best-of-k is made of it."
    )


def _policies(comparison: Comparison) -> Iterator[Policy]:
    """Those that can be read here: a fitted policy's files may lie elsewhere."""
    for result in comparison.results:
        try:
            yield parse_policy(result.policy)
        except (InputError, OSError):
            continue
