"""One question: its samples' scores in the order drawn, and what each policy made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optscale_predictor.evaluation.report.comparison import Comparison, Result
from optscale_predictor.evaluation.report.difficulty import Choice
from optscale_predictor.evaluation.report.formatting import number, percent
from optscale_predictor.evaluation.report.policy_series import shown_singly
from optscale_predictor.evaluation.report.read_runs import Cases, Run
from optscale_predictor.pages.chart_geometry import Frame

WIDTH, HEIGHT = 340, 64
MOST_BARS = 64
_LONGEST, _SHORT, _ANSWER = 600, 90, 60  # characters shown of a question, of its first line, and of an answer


@dataclass(frozen=True)
class Strip:
    """The drawing of a question's scores.

    Attributes:
        right: Bars of right samples, an SVG path; those past the primary policy's last one are in ``later_right``.
        wrong: Of wrong ones, and of those not known to be right.
        later_right: See ``right``.
        later_wrong: See ``wrong``.
        target: Where the target line lies; None where the policy has none.
        chosen: Where the chosen sample's mark points; None where it is not among the bars.
        stop: Where the primary policy stopped; None where it drew all that are shown.
        text: What is drawn, in a sentence.
        scores: The scores, in words.
        more: Samples that are not shown.
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


@dataclass(frozen=True)
class Line:
    """What one policy made of a question; of several runs, values are joined with commas where they differ."""

    label: str
    outcome: str
    answer: str
    score: str
    chosen: str
    samples: str
    tokens: str
    reason: str


@dataclass(frozen=True)
class Item:
    """One question of the page."""

    number: int
    id: str
    group: str
    text: str
    short: str
    gold: str
    wrong: str
    difficulty: float
    spent: float
    lines: Sequence[Line]
    strip: Strip | None


class Items:
    """Makes the page's questions.

    Args:
        comparison: What is reported.
        shares: Share wrong of each question, [questions]; NaN = not known.
    """

    def __init__(self, comparison: Comparison, shares: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
        self._comparison, self._shares = comparison, shares
        self._singly = shown_singly(comparison)
        self._rows: dict[tuple[int, str], dict[str, int]] = {}
        for number_, run in enumerate(comparison.runs):
            for policy, cases in run.shown.items():
                self._rows[number_, policy] = {one: row for row, one in enumerate(cases.question.tolist())}

    def of(self, choice: Choice) -> list[Item]:
        """The chosen questions."""
        return [self._item(*one) for one in zip(choice.places, choice.groups, strict=True)]

    def _item(self, place: int, group: str) -> Item:
        question = self._comparison.questions[place]
        known = self._comparison.texts.get(question)
        text = "" if known is None else known.text
        lines = [self._line(self._comparison.results[at], question) for at in self._singly]
        share = float(self._shares[place])
        primary = self._found(self._comparison.primary, question)
        spent = float(np.mean([cases.samples[row] for _, cases, row in primary])) if primary else 0.0
        return Item(
            place,
            question,
            group,
            cut(text, _LONGEST),
            cut(" ".join(text.split()), _SHORT),
            "" if known is None or known.gold is None else cut(known.gold, _ANSWER),
            "" if np.isnan(share) else percent(share, 0),
            -1.0 if np.isnan(share) else share,
            spent,
            lines,
            self._strip(question),
        )

    def _found(self, result: Result, question: str) -> list[tuple[Run, Cases, int]]:
        """The question under a policy: the run, its cases and the row among them, of every run that has it."""
        found = []
        for number_, run in enumerate(self._comparison.runs):
            row = self._rows.get((number_, result.policy), {}).get(question)
            if row is not None and run.predictor == result.predictor:
                found.append((run, run.shown[result.policy], row))
        return found

    def _line(self, result: Result, question: str) -> Line:
        found = self._found(result, question)
        outcomes = [_outcome(float(cases.correct[row])) for _, cases, row in found]
        run, cases, row = found[0]
        chosen = _chosen(run, cases, row)
        return Line(
            result.label,
            _joined(outcomes),
            cut(str(cases.answer[row]), _ANSWER) if cases.answer[row] is not None else "none",
            number(float(cases.score[row]), 3),
            "" if chosen is None else f"{chosen + 1}",
            _joined([number(float(own.samples[place]), 0) for _, own, place in found]),
            _joined([number(float(own.tokens[place]), 0) for _, own, place in found]),
            _joined([str(own.reason[place]) for _, own, place in found]),
        )

    def _strip(self, question: str) -> Strip | None:
        """Of the first run of the primary policy that kept its samples."""
        primary = self._comparison.primary
        for run, cases, row in self._found(primary, question):
            if run.samples is not None and run.samples.count(question):
                return _drawn(run, cases, row, question, primary.setting("score_min"))
        return None


def cut(text: str, most: int) -> str:
    """A text's beginning."""
    return text if len(text) <= most else text[:most].rstrip() + " …"


def _drawn(run: Run, cases: Cases, row: int, question: str, target: float | None) -> Strip:
    samples = run.samples
    if samples is None:
        raise ValueError("a strip shows samples")
    start, end = samples.place[question]
    shown = min(end - start, MOST_BARS)
    scores, labels = samples.score[start : start + shown], samples.correct[start : start + shown]
    frame = Frame((0, max(shown, 8)), (0, 1), left=4, right=WIDTH - 4, top=12, bottom=HEIGHT - 4)
    spent = int(cases.samples[row])
    paths: Mapping[tuple[bool, bool], list[str]] = {(a, b): [] for a in (True, False) for b in (True, False)}
    for place, (score, label) in enumerate(zip(scores.tolist(), labels.tolist(), strict=True)):
        bar = frame.bar((place, place + 1), (0, max(score, 0.01)), "")
        width, height = round(bar.width - 1, 1), round(bar.height, 1)
        paths[label == 1, place < spent].append(
            f"M{bar.x + 0.5:.1f},{frame.bottom:g}v-{height}h{width}V{frame.bottom:g}"
        )
    chosen = _chosen(run, cases, row)
    told = [f"{score:.2f}{_word(label)}" for score, label in zip(scores.tolist(), labels.tolist(), strict=True)]
    picked = "" if chosen is None else f"; sample {chosen + 1} was chosen"
    return Strip(
        "".join(paths[True, True]),
        "".join(paths[False, True]),
        "".join(paths[True, False]),
        "".join(paths[False, False]),
        None if target is None else frame.up(target),
        None if chosen is None or chosen >= shown else frame.across(chosen + 0.5),
        frame.across(spent) if spent < shown else None,
        f"{end - start} samples, of which the primary policy drew {spent}{picked}",
        ", ".join(told),
        end - start - shown,
    )


def _chosen(run: Run, cases: Cases, row: int) -> int | None:
    """Which of the question's samples was returned: the first that has its score and answer; None where unknown."""
    question = str(cases.question[row])
    if run.samples is None or question not in run.samples.place:
        return None
    start, end = run.samples.place[question]
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
