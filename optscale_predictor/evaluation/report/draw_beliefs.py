"""What a policy believed after each draw of a question, computed again from the samples that were kept.

What a policy believed is a pure function of the samples and of the prior that it started from, so the step that live
runs and replays share says it once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.evaluation.report.run_data import Cases, Samples
from optscale_predictor.policies import CONTINUE, Draws, Policy
from optscale_predictor.policies.belief import ESTIMATES, belief
from optscale_predictor.policies.selection import SELECTIONS, choose
from optscale_predictor.policies.step import Step, take_step, visible
from optscale_predictor.questions.answers import group_questions
from optscale_predictor.stats.bound import reach_probability
from optscale_predictor.stats.estimators import Prior

MAX_STEPS = 64  # samples of a question that are shown


@dataclass(frozen=True)
class States:
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
class Beliefs:
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


def states_of(samples: Samples, cases: Cases, places: Sequence[int]) -> States:
    """All states of some questions, up to as many samples as are shown.

    Args:
        samples: Of the run.
        cases: Under one policy; either all of these have a prior or none has.
        places: Rows of the questions, at least one, whose samples were kept.
    """
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

    drawn_so_far = np.arange(row_of.size) - first[row_of]
    told = cases.prior[np.array(places)[row_of]]
    prior = None if np.isnan(told).any() else Prior(*told.T)
    draws = Draws(scores[row_of], answers, tokens[row_of], drawn_so_far, prior, usable=usable[row_of])
    return States(draws, first, counts)


def beliefs_of(rule: Policy, selection: str | None, states: States) -> Beliefs:
    """What a policy believed in each state.

    Args:
        rule: The policy; it decides on each question by itself.
        selection: How answers were chosen; None: by the policy's own rule.
        states: Of some questions.

    Raises:
        InputError: It needs a prior, and there is none.
    """
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
    return Beliefs(take_step(rule, draws), mean, std, reach, chosen)


def same_end(beliefs: Beliefs, cases: Cases, place: int, start: int, count: int) -> bool:
    """Whether the policy comes to what is recorded: it asks for these samples in turn, and then stops so.

    Args:
        beliefs: Of some questions.
        cases: What was recorded.
        place: The question's row among them.
        start: Its first state.
        count: How many states it has.
    """
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


def asked_at(beliefs: Beliefs, start: int, count: int) -> set[int]:
    """After how many samples the policy was asked.

    Args:
        beliefs: Of some questions.
        start: A question's first state.
        count: How many states it has.
    """
    found, at = {0}, 0
    while at < count - 1:
        at = int(beliefs.step.total[start + at])
        found.add(at)
    return found
