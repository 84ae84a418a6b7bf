"""One question draw by draw, as a debugger shows a program: what was drawn, what the policy then believed, and why.

What a policy believed is not recorded, but for the prior that it started from. It is computed again from that and the
samples that the run kept (:mod:`~optscale_predictor.evaluation.report.draw_beliefs`). Where a record lacks a prior that
was predicted or learnt, the samples are shown alone. Whether the policy comes to the recorded end again is checked, and
where it does not, what it believed is not shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.draw_beliefs import Beliefs, asked_at, beliefs_of, same_end, states_of
from optscale_predictor.evaluation.report.formatting import number, percent
from optscale_predictor.evaluation.report.run_data import Cases, Run, Samples
from optscale_predictor.policies import Policy, parse_policy

_MAX_ANSWER = 24  # characters
_HEADER = ("drawn", "score", "answer", "is", "best", "next score", "reaches target", "N*", "returns", "then")
_ENDS = {
    "reached": "stops: reached. A sample that may be returned scores at least {target}",
    "confident": "stops: confident. As many samples are drawn as N* asks for, whatever they score",
    "unreachable": "stops: unreachable. The samples left would hardly reach {target}, nor is the next expected to add",
    "price": "stops: price. No further sample is expected to be worth its tokens",
    "budget": "stops: budget. No more samples are allowed, or there are none",
}
_AGREED = "stops: confident. Enough samples agree"


@dataclass(frozen=True)
class DrawSteps:
    """One question under one policy, from nothing drawn to its last sample.

    Attributes:
        policy: What the policy is called.
        header: Of the table of steps; columns that would say nothing are left out.
        rows: One for nothing drawn and one for each sample.
        low: Of the expected next score's range, for each row; None where it is not known.
        high: Likewise.
        note: What is not shown, and why; or the prior that the policy started from; or empty.
    """

    policy: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    low: Sequence[float | None]
    high: Sequence[float | None]
    note: str


def draw_steps(run: Run, policy: str, label: str, places: Sequence[int]) -> Mapping[str, DrawSteps]:
    """The steps of questions under one policy, by id; of those alone whose samples the run kept.

    Args:
        run: The run.
        policy: One of its policies.
        label: What it is called.
        places: Rows of the questions among ``run.shown[policy]``.
    """
    cases, samples = run.shown[policy], run.samples
    if samples is None:
        return {}
    kept = [place for place in places if samples.count(str(cases.question[place]))]
    if not kept:
        return {}
    rule, found = _computable(policy), dict[str, DrawSteps]()
    told = {place for place in kept if not np.isnan(cases.prior[place]).any()}
    for with_prior in (True, False):
        alike = [place for place in kept if (place in told) is with_prior]
        if alike:
            found |= _alike(run, cases, samples, alike, rule, label, with_prior)
    return found


def _alike(
    run: Run, cases: Cases, samples: Samples, places: Sequence[int], rule: Policy | None, label: str, with_prior: bool
) -> Mapping[str, DrawSteps]:
    """The steps of questions that all have a recorded prior, or none of which has."""
    lacks = not with_prior and (run.predictor is not None or (rule is not None and rule.needs_prior))
    states = states_of(samples, cases, places)
    beliefs = None if rule is None or lacks else beliefs_of(rule, run.selection, states)
    found = {}
    for number_, place in enumerate(places):
        start, count = int(states.first[number_]), int(states.count[number_])
        own = None if beliefs is None or not same_end(beliefs, cases, place, start, count) else beliefs
        note = _why_not(rule, lacks) if own is None else _start(cases, place) if with_prior else ""
        found[str(cases.question[place])] = _steps_of(samples, cases, place, start, count, own, rule, label, note)
    return found


def _computable(policy: str) -> Policy | None:
    """The policy, where what it believed can be computed again."""
    try:
        rule = parse_policy(policy)
    except (InputError, OSError):  # a file of a fitted policy that lies elsewhere
        return None
    return None if rule.joint or rule.name in ("clairvoyant", "oracle") else rule


def _start(cases: Cases, place: int) -> str:
    mean, std, strength = cases.prior[place].tolist()
    return f"Its prior: a score of {mean:.2f} ± {std:.2f}, worth {strength:.1f} samples."


def _why_not(rule: Policy | None, lacks_prior: bool) -> str:
    if rule is None:
        return "What the policy believed cannot be computed from one question's samples, and is not shown."
    if lacks_prior:
        return "What the policy believed started from a prior that is not recorded, and is not shown."
    return (
        "The policy does not come to the recorded end again, so what it believed is not shown: a limit of the run "
        "ended the question, or its samples were scored anew."
    )


def _steps_of(
    samples: Samples,
    cases: Cases,
    place: int,
    start: int,
    count: int,
    beliefs: Beliefs | None,
    rule: Policy | None,
    label: str,
    note: str,
) -> DrawSteps:
    first, _ = samples.span[str(cases.question[place])]
    asked = set() if beliefs is None else asked_at(beliefs, start, count)
    rows, low, high, best = [], list[float | None](), list[float | None](), float("-inf")
    for drawn in range(count):
        at, own = first + drawn - 1, start + drawn
        if drawn and samples.usable[at]:
            best = max(best, float(samples.score[at]))
        row = {"drawn": str(drawn), "best": f"{best:.2f}" if best >= 0 else ""}
        if drawn:
            row |= {"score": f"{samples.score[at]:.2f}", "answer": _short(samples.answer[at])}
            row["is"] = _word(float(samples.correct[at]))
        if beliefs is not None:
            row |= _believed(beliefs, own) | {"then": _then(beliefs, own, drawn, drawn in asked)}
        if drawn == count - 1:
            row["then"] = _end(cases, place, count - 1, rule)
        rows.append([row.get(name, "") for name in _HEADER])
        ends = (None, None) if beliefs is None else _ends_of(float(beliefs.mean[own]), float(beliefs.std[own]))
        low.append(ends[0])
        high.append(ends[1])
    filled = [index for index in range(len(_HEADER)) if any(row[index] for row in rows)]
    return DrawSteps(
        label, [_HEADER[index] for index in filled], [[row[index] for index in filled] for row in rows], low, high, note
    )


def _believed(beliefs: Beliefs, own: int) -> dict[str, str]:
    """The cells of what was believed in one state."""
    mean, std, reach, returned = (
        float(part[own]) for part in (beliefs.mean, beliefs.std, beliefs.reach, beliefs.returned)
    )
    return {
        "next score": "" if np.isnan(mean) else f"{mean:.2f} ± {std:.2f}",
        "reaches target": "" if np.isnan(reach) else percent(reach),
        "N*": _needed(float(beliefs.step.needed[own])),
        "returns": f"sample {returned + 1:.0f}" if returned >= 0 else "",
    }


def _ends_of(mean: float, std: float) -> tuple[float | None, float | None]:
    """One standard deviation around the mean, within what scores can be."""
    return (None, None) if np.isnan(mean) else (round(max(mean - std, 0.0), 3), round(min(mean + std, 1.0), 3))


def _then(beliefs: Beliefs, own: int, drawn: int, asked: bool) -> str:
    if not asked:
        return "not asked"
    more = int(beliefs.step.total[own]) - drawn
    return "draws one" if more == 1 else f"draws {more}"


def _end(cases: Cases, place: int, shown: int, rule: Policy | None) -> str:
    spent = int(cases.samples[place])
    if spent > shown:
        return f"goes on to {spent} samples"
    reason = str(cases.reason[place])
    target = None if rule is None else getattr(rule, "score_min", None)
    if reason == "confident" and rule is not None and target is None:
        return _AGREED
    return _ENDS.get(reason, f"stops: {reason}").format(target="the target" if target is None else f"{target:g}")


def _needed(value: float) -> str:
    return "" if np.isnan(value) else "out of reach" if isinf(value) else number(value, 0)


def _short(answer: object) -> str:
    text = "none" if answer is None else str(answer)
    return text if len(text) <= _MAX_ANSWER else text[:_MAX_ANSWER].rstrip() + " …"


def _word(label: float) -> str:
    return "" if np.isnan(label) else "right" if label == 1 else "wrong"
