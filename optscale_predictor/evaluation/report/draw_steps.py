"""One question draw by draw, as a debugger shows a program: what was drawn, what the policy then believed, and why.

What a policy believed is not recorded. It is a pure function of the samples, so it is computed again from those that
the run kept, by the step that live runs and replays share. That cannot be done where the policy started from a prior
that was predicted or learnt, which no record keeps; then the samples are shown alone. Whether the policy comes to the
recorded end again is checked, and where it does not, what it believed is not shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.formatting import number, percent
from optscale_predictor.evaluation.report.run_data import Cases, Run, Samples
from optscale_predictor.policies import CONTINUE, Draws, Policy, parse_policy
from optscale_predictor.policies.belief import ESTIMATES, belief
from optscale_predictor.policies.selection import SELECTIONS, choose
from optscale_predictor.policies.step import Step, take_step, visible
from optscale_predictor.questions.answers import group_questions
from optscale_predictor.stats.bound import reach_probability

MAX_STEPS = 64
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
        note: What is not shown, and why; empty where all is.
    """

    policy: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    low: Sequence[float | None]
    high: Sequence[float | None]
    note: str


@dataclass(frozen=True)
class _States:
    """Every state of several questions, one after the other: nothing drawn, one sample, two, ...

    Attributes:
        draws: What was drawn in each.
        first: Index of each question's first state.
        count: How many states each question has.
    """

    draws: Draws
    first: Int[Ints, " questions"]
    count: Int[Ints, " questions"]


@dataclass(frozen=True)
class _Beliefs:
    """What a policy believed in each state.

    Attributes:
        step: What it said.
        mean: Expected score of the next sample; NaN where the policy estimates none.
        std: Its standard deviation, likewise.
        reach: Probability that the next sample reaches the target, likewise.
        returned: The sample that would be returned; -1 where nothing is drawn or the rule is not known here.
    """

    step: Step
    mean: Float[Floats, " states"]
    std: Float[Floats, " states"]
    reach: Float[Floats, " states"]
    returned: Int[Ints, " states"]


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
    rule = _computable(run, policy)
    states = _states(samples, cases, kept)
    beliefs = None if rule is None else _beliefs(rule, run.selection, states)
    found = {}
    for number_, place in enumerate(kept):
        start, count = int(states.first[number_]), int(states.count[number_])
        own = None if beliefs is None or not _same_end(beliefs, cases, place, start, count) else beliefs
        note = "" if own is not None else _why_not(run, rule)
        found[str(cases.question[place])] = _steps_of(samples, cases, place, start, count, own, rule, label, note)
    return found


def _computable(run: Run, policy: str) -> Policy | None:
    """The policy, where what it believed can be computed again."""
    if run.predictor is not None:
        return None
    try:
        rule = parse_policy(policy)
    except (InputError, OSError):  # a file of a fitted policy that lies elsewhere
        return None
    return None if rule.joint or rule.needs_prior or rule.name in ("clairvoyant", "oracle") else rule


def _why_not(run: Run, rule: Policy | None) -> str:
    if run.predictor is not None:
        return "What the policy believed started from a prior that is not recorded, and is not shown."
    if rule is None:
        return "What the policy believed cannot be computed from one question's samples, and is not shown."
    return (
        "The policy does not come to the recorded end again, so what it believed is not shown: a limit of the run "
        "ended the question, or its samples were scored anew."
    )


def _states(samples: Samples, cases: Cases, places: Sequence[int]) -> _States:
    spans = [samples.span[str(cases.question[place])] for place in places]
    drawn = [
        min(int(cases.samples[place]), end - start, MAX_STEPS)
        for place, (start, end) in zip(places, spans, strict=True)
    ]
    width = max(*drawn, 1)
    scores, tokens = np.full((2, len(places), width), np.nan)
    usable = np.zeros((len(places), width), np.bool_)
    for row, ((start, _), count) in enumerate(zip(spans, drawn, strict=True)):
        part = np.s_[start : start + count]
        scores[row, :count], tokens[row, :count] = samples.score[part], samples.tokens[part]
        usable[row, :count] = samples.usable[part]
    counts = np.array(drawn) + 1
    row_of = np.repeat(np.arange(len(places)), counts)
    first = np.cumsum(counts) - counts

    def answers() -> Ints:
        texts = [samples.answer[start : start + size].tolist() for (start, _), size in zip(spans, drawn, strict=True)]
        found = np.full((len(places), width), -1, np.int64)
        for row, groups in enumerate(group_questions(texts)):
            found[row, : groups.size] = groups
        return found[row_of]

    draws = Draws(
        scores[row_of], answers, tokens[row_of], np.arange(row_of.size) - first[row_of], None, usable=usable[row_of]
    )
    return _States(draws, first, counts)


def _beliefs(rule: Policy, selection: str | None, states: _States) -> _Beliefs:
    draws = states.draws
    unknown = np.full(draws.count.shape, np.nan)
    mean, std, reach = unknown, unknown, unknown
    target, estimate = getattr(rule, "score_min", None), getattr(rule, "estimate", "")
    if estimate in ESTIMATES:
        believed = belief(visible(draws), estimate)
        mean, std = believed.mean(), believed.std()
        if target is not None:
            reach = reach_probability(believed, target, 1)
    chosen = np.full(draws.count.shape, -1)
    how, some = selection or rule.selection, np.flatnonzero(draws.count)
    if how in SELECTIONS and some.size:
        chosen[some] = choose(how, visible(draws, some)).sample
    return _Beliefs(take_step(rule, draws), mean, std, reach, chosen)


def _same_end(beliefs: _Beliefs, cases: Cases, place: int, start: int, count: int) -> bool:
    """Whether the policy comes to what is recorded: it asks for these samples in turn, and then stops so."""
    at = 0
    while at < count - 1:
        if beliefs.step.reason[start + at] != CONTINUE:
            return False
        at = int(beliefs.step.total[start + at])
    if int(cases.samples[place]) > count - 1:  # more than are shown
        return True
    recorded, own = str(cases.reason[place]), str(beliefs.step.reason[start + count - 1])
    unfinished = own == CONTINUE or at > count - 1
    return recorded == "budget" if unfinished else own == recorded


def _asked_at(beliefs: _Beliefs, start: int, count: int) -> set[int]:
    """After how many samples the policy was asked."""
    found, at = {0}, 0
    while at < count - 1:
        at = int(beliefs.step.total[start + at])
        found.add(at)
    return found


def _steps_of(
    samples: Samples,
    cases: Cases,
    place: int,
    start: int,
    count: int,
    beliefs: _Beliefs | None,
    rule: Policy | None,
    label: str,
    note: str,
) -> DrawSteps:
    first, _ = samples.span[str(cases.question[place])]
    asked = set() if beliefs is None else _asked_at(beliefs, start, count)
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


def _believed(beliefs: _Beliefs, own: int) -> dict[str, str]:
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


def _then(beliefs: _Beliefs, own: int, drawn: int, asked: bool) -> str:
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
