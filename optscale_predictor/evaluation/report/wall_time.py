"""Wall time: what each run took, and how much faster than the run of the reference policy alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optscale_predictor.evaluation.report.comparison import Comparison
from optscale_predictor.evaluation.report.read_runs import Run


@dataclass(frozen=True)
class Pace:
    """One live run.

    Attributes:
        run: Its name.
        seed: Its base seed.
        policies: Those that it ran together, on the same samples, as the comparison labels them.
        questions: That it answered.
        seconds: Wall time of answering.
        samples: Drawn.
        tokens: Generated.
        speed_up: How many times as fast, a question, as the reference's run; None where there is none to compare with.
        tokens_ratio: How many times as many tokens, a question, the reference's run generated.
    """

    run: str
    seed: int
    policies: tuple[str, ...]
    questions: int
    seconds: float
    samples: int
    tokens: int
    speed_up: float | None
    tokens_ratio: float | None


def paces(comparison: Comparison) -> list[Pace]:
    """Of every live run that says how long it took."""
    timed = [run for run in comparison.runs if run.facts is not None and run.facts.seconds > 0]
    wanted = comparison.reference.policy if comparison.reference is not None else None
    references = [run for run in timed if list(run.cases) == [wanted]]
    labels = {(one.policy, one.predictor): one.label for one in comparison.results}
    return [
        _pace(run, [] if wanted in run.cases else references, tuple(labels[one, run.predictor] for one in run.cases))
        for run in timed
    ]


def speed_ups(found: Sequence[Pace]) -> list[str]:
    """Of runs of the same policies together: how much faster than the reference, in a sentence."""
    said = []
    for policies in dict.fromkeys(one.policies for one in found):
        own = [one for one in found if one.policies == policies and one.speed_up and one.tokens_ratio]
        if own:
            speed, ratio = ([getattr(one, name) for one in own] for name in ("speed_up", "tokens_ratio"))
            spread = f" ({min(speed):.2f} to {max(speed):.2f} over {len(own)} runs)" if len(own) > 1 else ""
            said.append(
                f"{' with '.join(policies)}: {_typical(speed):.2f} times as fast{spread}, with "
                f"{_typical(ratio):.2f} times fewer tokens: speed-up over tokens ratio "
                f"{_typical(speed) / _typical(ratio):.2f}."
            )
    return said


def _typical(ratios: Sequence[float]) -> float:
    """The geometric mean: ratios of 2 and 1/2 cancel."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _pace(run: Run, references: Sequence[Run], policies: tuple[str, ...]) -> Pace:
    facts = run.facts
    if facts is None:
        raise ValueError("only a live run has a pace")
    # The run of the same seed answered the same requests; without one, all of the reference's runs together.
    same = [one for one in references if one.seed == run.seed] or references
    speed_up = tokens_ratio = None
    if same:
        speed_up = _mean(same, "seconds") / _mean([run], "seconds")
        tokens_ratio = _mean(same, "tokens") / max(_mean([run], "tokens"), 1e-9)
    return Pace(
        run.name,
        facts.seed,
        policies,
        _questions(run),
        facts.seconds,
        facts.samples,
        facts.tokens,
        speed_up,
        tokens_ratio,
    )


def _mean(runs: Sequence[Run], name: str) -> float:
    """Seconds or tokens a question."""
    spent = sum(float(getattr(run.facts, name)) for run in runs)
    return spent / sum(_questions(run) for run in runs)


def _questions(run: Run) -> int:
    return len(set(next(iter(run.cases.values())).question.tolist()))
