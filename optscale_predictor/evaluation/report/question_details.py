"""Question details: the scores of a question's samples as bars, and what each policy made of the question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.evaluation.report.difficulty import ExampleSelection
from optscale_predictor.evaluation.report.draw_steps import DrawSteps, draw_steps
from optscale_predictor.evaluation.report.formatting import number, percent
from optscale_predictor.evaluation.report.policy_series import shown_individually
from optscale_predictor.evaluation.report.run_data import Cases, Run
from optscale_predictor.pages.chart_geometry import Frame

WIDTH, HEIGHT = 340, 64
MAX_BARS = 64
_MAX_TEXT, _MAX_LINE, _MAX_ANSWER = 600, 90, 60  # characters of a question, of its first line, and of an answer


@dataclass(frozen=True)
class ScoreBars:
    """The drawing of a question's scores, a bar a sample.

    Attributes:
        right: Bars of right samples that the primary policy drew, an SVG path.
        wrong: Bars of wrong ones that it drew, and of those not known to be right.
        later_right: Bars of right samples past its last one.
        later_wrong: Bars of other samples past its last one.
        target: Height of the target line; None where the policy has none.
        chosen: Where across the chosen sample's mark points; None where it is not among the bars.
        stop: Where across the primary policy stopped; None where it drew all that are shown.
        text: What is drawn, in a sentence.
        scores: The scores, in words.
        more: Samples that are not shown.
        slots: How many bars would fill the drawing.
    """

    right: str
    wrong: str
    later_right: str
    later_wrong: str
    target: float | None
    chosen: float | None
    stop: float | None
    text: str
    scores: str
    more: int
    slots: int


@dataclass(frozen=True)
class PolicyRow:
    """What one policy made of a question; of several runs, values are joined with commas where they differ.

    Attributes:
        label: The policy.
        outcome: ``right``, ``wrong`` or ``not known``.
        answer: The returned sample's.
        score: The returned sample's.
        chosen: The number of the returned sample, from 1; empty where it is not known.
        samples: Drawn.
        tokens: Generated for them.
        reason: Why it stopped.
    """

    label: str
    outcome: str
    answer: str
    score: str
    chosen: str
    samples: str
    tokens: str
    reason: str


@dataclass(frozen=True)
class QuestionDetails:
    """One question of the page.

    Attributes:
        number: Its index among the comparison's.
        id: Its id.
        group: How it went, a key of ``difficulty.GROUPS``.
        text: Its text, cut.
        short: Its first line, cut.
        gold: The right answer; empty where it is not known.
        wrong: The share of its samples that is wrong, as text; empty where it is not known.
        difficulty: The same as a number, in [0, 1]; -1 where it is not known.
        spent: Samples that the primary policy drew, mean of its runs.
        rows: What the policies made of it.
        bars: Its scores; None where its samples were not kept.
        steps: The primary policy's way through them; None likewise.
    """

    number: int
    id: str
    group: str
    text: str
    short: str
    gold: str
    wrong: str
    difficulty: float
    spent: float
    rows: Sequence[PolicyRow]
    bars: ScoreBars | None
    steps: DrawSteps | None


def question_details(
    comparison: Comparison, shares: Float[Floats, " questions"], selection: ExampleSelection
) -> list[QuestionDetails]:
    """The details of the selected questions.

    Args:
        comparison: What is reported.
        shares: Share of each question's samples that is wrong; NaN = not known.
        selection: Which questions, in which order.
    """
    collector = _Collector(comparison, shares, [comparison.questions[index] for index in selection.indices])
    return [collector.details(*one) for one in zip(selection.indices, selection.groups, strict=True)]


class _Collector:
    """Finds a question's rows in every run."""

    def __init__(self, comparison: Comparison, shares: Floats, shown: Sequence[str]) -> None:
        self._comparison, self._shares = comparison, shares
        self._policies = shown_individually(comparison)
        self._rows: dict[tuple[int, str], dict[str, int]] = {}
        for number_, run in enumerate(comparison.runs):
            for policy, cases in run.shown.items():
                self._rows[number_, policy] = {one: row for row, one in enumerate(cases.question.tolist())}
        self._steps = self._all_steps(shown)

    def details(self, index: int, group: str) -> QuestionDetails:
        """Those of one question."""
        question = self._comparison.questions[index]
        known = self._comparison.texts.get(question)
        text = "" if known is None else known.text
        rows = [self._row(self._comparison.results[policy], question) for policy in self._policies]
        share = float(self._shares[index])
        primary = self._found(self._comparison.primary, question)
        spent = float(np.mean([cases.samples[row] for _, cases, row in primary])) if primary else 0.0
        return QuestionDetails(
            index,
            question,
            group,
            _cut(text, _MAX_TEXT),
            _cut(" ".join(text.split()), _MAX_LINE),
            "" if known is None or known.gold is None else _cut(known.gold, _MAX_ANSWER),
            "" if np.isnan(share) else percent(share, 0),
            -1.0 if np.isnan(share) else share,
            spent,
            rows,
            self._bars(question),
            self._steps.get(question),
        )

    def _found(self, result: Result, question: str) -> list[tuple[Run, Cases, int]]:
        """The question under a policy: the run, its cases and the row among them, of every run that has it."""
        found = []
        for number_, run in enumerate(self._comparison.runs):
            row = self._rows.get((number_, result.policy), {}).get(question)
            if row is not None and run.predictor == result.predictor:
                found.append((run, run.shown[result.policy], row))
        return found

    def _row(self, result: Result, question: str) -> PolicyRow:
        found = self._found(result, question)
        outcomes = [_outcome(float(cases.correct[row])) for _, cases, row in found]
        run, cases, row = found[0]
        chosen = _chosen(run, cases, row)
        return PolicyRow(
            result.label,
            _joined(outcomes),
            _cut(str(cases.answer[row]), _MAX_ANSWER) if cases.answer[row] is not None else "none",
            number(float(cases.score[row]), 3),
            "" if chosen is None else f"{chosen + 1}",
            _joined([number(float(own.samples[at]), 0) for _, own, at in found]),
            _joined([number(float(own.tokens[at]), 0) for _, own, at in found]),
            _joined([str(own.reason[at]) for _, own, at in found]),
        )

    def _kept(self, question: str) -> tuple[Run, Cases, int] | None:
        """The question in the first run of the primary policy that kept its samples."""
        found = self._found(self._comparison.primary, question)
        return next((one for one in found if one[0].samples is not None and one[0].samples.count(question)), None)

    def _bars(self, question: str) -> ScoreBars | None:
        kept = self._kept(question)
        return None if kept is None else _score_bars(*kept, question, self._comparison.primary.setting("score_min"))

    def _all_steps(self, questions: Sequence[str]) -> dict[str, DrawSteps]:
        """The primary policy's steps, computed for all questions of a run together."""
        primary, places = self._comparison.primary, dict[str, tuple[Run, list[int]]]()
        for question in questions:
            if (kept := self._kept(question)) is not None:
                places.setdefault(kept[0].name, (kept[0], []))[1].append(kept[2])
        found: dict[str, DrawSteps] = {}
        for run, rows in places.values():
            found |= draw_steps(run, primary.policy, primary.label, rows)
        return found


def _cut(text: str, most: int) -> str:
    """A text's beginning."""
    return text if len(text) <= most else text[:most].rstrip() + " …"


def _score_bars(run: Run, cases: Cases, row: int, question: str, target: float | None) -> ScoreBars:
    samples = run.samples
    if samples is None:
        raise ValueError("bars show samples")
    start, end = samples.span[question]
    shown = min(end - start, MAX_BARS)
    scores, labels = samples.score[start : start + shown], samples.correct[start : start + shown]
    frame = Frame((0, max(shown, 8)), (0, 1), left=4, right=WIDTH - 4, top=12, bottom=HEIGHT - 4)
    spent = int(cases.samples[row])
    paths: Mapping[tuple[bool, bool], list[str]] = {(a, b): [] for a in (True, False) for b in (True, False)}
    for index, (score, label) in enumerate(zip(scores.tolist(), labels.tolist(), strict=True)):
        bar = frame.bar((index, index + 1), (0, max(score, 0.01)), "")
        width, height = round(bar.width - 1, 1), round(bar.height, 1)
        paths[label == 1, index < spent].append(
            f"M{bar.x + 0.5:.1f},{frame.bottom:g}v-{height}h{width}V{frame.bottom:g}"
        )
    chosen = _chosen(run, cases, row)
    words = [f"{score:.2f}{_word(label)}" for score, label in zip(scores.tolist(), labels.tolist(), strict=True)]
    picked = "" if chosen is None else f"; sample {chosen + 1} was chosen"
    return ScoreBars(
        "".join(paths[True, True]),
        "".join(paths[False, True]),
        "".join(paths[True, False]),
        "".join(paths[False, False]),
        None if target is None else frame.up(target),
        None if chosen is None or chosen >= shown else frame.across(chosen + 0.5),
        frame.across(spent) if spent < shown else None,
        f"{end - start} samples, of which the primary policy drew {spent}{picked}",
        ", ".join(words),
        end - start - shown,
        max(shown, 8),
    )


def _chosen(run: Run, cases: Cases, row: int) -> int | None:
    """Which of the question's samples was returned: the first that has its score and answer; None where unknown."""
    question = str(cases.question[row])
    if run.samples is None or question not in run.samples.span:
        return None
    start, end = run.samples.span[question]
    end = min(end, start + int(cases.samples[row]))
    same = np.isclose(run.samples.score[start:end], cases.score[row], rtol=0, atol=1e-9)
    both = same & np.array([one == cases.answer[row] for one in run.samples.answer[start:end]], np.bool_)
    found = np.flatnonzero(both)
    return int(found[0]) if found.size else None


def _word(label: float) -> str:
    return "" if np.isnan(label) else " right" if label == 1 else " wrong"


def _outcome(correct: float) -> str:
    return "not known" if np.isnan(correct) else "right" if correct == 1 else "wrong"


def _joined(words: Sequence[str]) -> str:
    """Said once where all runs agree."""
    return words[0] if len(set(words)) == 1 else ", ".join(words)
