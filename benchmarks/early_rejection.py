"""What does early rejection save, and what does it cost? A replay over a pool whose samples' prefixes are scored.

    python benchmarks/early_rejection.py --pool FOLDER --generator embedded:generator --verifier embedded:verifier

``FOLDER`` is a scored pool of that generator and verifier, with gold answers (``optscale generate``, ``optscale
score``). Every prefix of 1, 2, ... segments is scored once; then each policy is run with early rejection and without
it over the same samples, all questions a round at a time, as a live run with every question in flight: what a round's
samples teach is known from the next round on. The named baseline is the same policy without early rejection.

A sample that is stopped has no final score. ``--treatment`` says what the policy is shown: a ``stand-in``, the final
score of a finished sample that looked like it (what live runs do); the ``mean`` of such scores; ``nothing``, where it
is no sample of the question and another takes its place; or the ``truth``, which only a replay knows.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np
from transformers import AutoTokenizer

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered, Verifier
from optscale_predictor.inference.early_rejection import EarlyRejection, RejectionRule, Verdict
from optscale_predictor.policies import Draws, Policy, parse_policy
from optscale_predictor.policies.selection import select
from optscale_predictor.policies.step import take_step, visible
from optscale_predictor.pools import Pool
from optscale_predictor.replays.recorded_samples import RecordedSamples, scored_rows

TREATMENTS = ("stand-in", "mean", "nothing", "truth")
POLICIES = ("best_of_n:max_samples=16", "optscale:score_min=0.9,max_samples=16", "cost_aware:max_samples=16")


@dataclass
class Looked:
    """A pool's samples, and what the verifier makes of their prefixes.

    Attributes:
        samples: The samples.
        partial: Scores after 1, 2, ... segments, [questions][samples][segments that it goes beyond].
        segment: Tokens of a segment.
    """

    samples: RecordedSamples
    partial: list[list[list[float]]]
    segment: int


@dataclass
class Shown:
    """What one policy has been shown of every question, and what it cost; arrays of [questions, shown]."""

    scores: Floats
    tokens: Floats
    usable: Bools
    whole: Bools  # not stopped
    correct: Floats
    count: Ints
    used: Ints  # samples of the pool that were drawn
    spent: Floats  # tokens, [questions]
    stopped: Ints  # samples, [questions]
    lost: Ints  # stopped samples that would have beaten the best, [questions]
    looks: int = 0
    expected: float = 0.0


def look(pool: Pool, verifier: Verifier, generator: str, segment: int) -> Looked:
    """Scores every prefix of every sample, equal ones of a question once."""
    tokenizer = load_pretrained(AutoTokenizer, generator)
    rows = scored_rows(pool, ["text", "num_tokens"])
    numbers = pool.question_numbers(rows).to_pylist()
    partial: list[list[list[float]]] = [[] for _ in pool.questions]
    places: dict[tuple[int, str], list[tuple[list[float], int]]] = {}
    for number, text, total in zip(numbers, rows["text"].to_pylist(), rows["num_tokens"].to_pylist(), strict=True):
        written = tokenizer(text, add_special_tokens=False)["input_ids"]
        found = [nan] * len(range(segment, total, segment))
        partial[number].append(found)
        for place in range(len(found)):
            prefix = tokenizer.decode(written[: (place + 1) * segment])
            places.setdefault((number, prefix), []).append((found, place))
    items = [Answered(pool.questions[number], prefix, False) for number, prefix in places]
    scores = verifier.score_prefixes(items).values.tolist()
    for where, score in zip(places.values(), scores, strict=True):
        for found, place in where:
            found[place] = score
    return Looked(RecordedSamples.from_pool(pool), partial, segment)


def run(policy: Policy, looked: Looked, settings: EarlyRejection | None, treatment: str, seed: int) -> Shown:
    """A policy over all questions, a round at a time; samples of each question in an order of its own."""
    all_, rng = looked.samples, np.random.default_rng(seed)
    order = np.argsort(rng.random(all_.scores.shape), -1)
    shape, number = all_.scores.shape, all_.num_questions
    shown = Shown(
        scores=np.full(shape, nan),
        tokens=np.full(shape, nan),
        usable=np.zeros(shape, np.bool_),
        whole=np.zeros(shape, np.bool_),
        correct=np.zeros(shape),
        count=np.zeros(number, np.int64),
        used=np.zeros(number, np.int64),
        spent=np.zeros(number),
        stopped=np.zeros(number, np.int64),
        lost=np.zeros(number, np.int64),
    )
    rule = None if settings is None else RejectionRule(settings)
    active, wanted = np.arange(number), np.zeros(number, np.int64)
    while active.size:
        asked = active[shown.count[active] >= wanted[active]]
        draws = Draws(
            shown.scores, np.full(shape, -1), shown.tokens, shown.count.copy(), None, False, usable=shown.usable
        )
        step = take_step(policy, draws, asked, shape[1])
        wanted[asked] = np.where(step.going, step.total, 0)
        active = active[(wanted[active] > shown.count[active]) & (shown.used[active] < shape[1])]
        finished: list[tuple[list[float], float]] = []
        for question in active.tolist():
            _draw(question, int(wanted[question]), shown, looked, order[question], rule, treatment, rng, finished)
        if rule is not None:
            for partials, final in finished:
                rule.learn(partials, final)
    return shown


def _draw(
    question: int, total: int, shown: Shown, looked: Looked, order: Ints, rule: RejectionRule | None, treatment: str,
    rng: np.random.Generator, finished: list[tuple[list[float], float]],
) -> None:  # fmt: skip
    """Draws further samples of a question: as many side by side as it has, up to so many in all."""
    all_ = looked.samples
    start, number = int(shown.used[question]), max(int(shown.count[question]), 1)
    mates = order[start : start + min(total - int(shown.count[question]), number)].tolist()
    shown.used[question] += len(mates)
    seen, fine = shown.scores[question], shown.usable[question]
    best = float(np.max(seen[fine & ~np.isnan(seen)], initial=-inf))
    verdicts = _judged(question, mates, best, looked, rule, rng)
    for mate in mates:
        score, tokens, verdict = float(all_.scores[question, mate]), float(all_.tokens[question, mate]), None
        partials = looked.partial[question][mate]
        if mate in verdicts:
            segments, verdict, mark = verdicts[mate]
            shown.stopped[question] += 1
            shown.lost[question] += score > mark and bool(all_.usable[question, mate])
            tokens = float(segments * looked.segment)
            shown.expected += max(float(np.mean(shown.tokens[question][shown.whole[question]])) - tokens, 0.0)
            partials = partials[:segments]
        elif rule is not None:
            finished.append((partials, score))
        if rule is not None:
            shown.looks += len(partials)
        shown.spent[question] += tokens
        if verdict is not None and treatment == "nothing":
            continue
        place = int(shown.count[question])
        told = {"stand-in": verdict.stand_in, "mean": verdict.mean, "truth": score} if verdict else {}
        shown.scores[question, place] = told.get(treatment, score)
        shown.tokens[question, place] = tokens
        shown.whole[question, place] = verdict is None
        shown.usable[question, place] = verdict is None and all_.usable[question, mate]
        shown.correct[question, place] = all_.correct[question, mate]
        shown.count[question] += 1


def _judged(
    question: int, mates: Sequence[int], best: float, looked: Looked, rule: RejectionRule | None,
    rng: np.random.Generator,
) -> dict[int, tuple[int, Verdict, float]]:  # fmt: skip
    """Which samples are stopped, after how many segments, and the best score then."""
    verdicts: dict[int, tuple[int, Verdict, float]] = {}
    if rule is None:
        return verdicts
    for mate in mates:
        for segments, partial in enumerate(looked.partial[question][mate], start=1):
            if (verdict := rule.judge(segments, partial, best, float(rng.random()))) is not None:
                verdicts[mate] = (segments, verdict, best)
                break
    return verdicts


@dataclass(frozen=True)
class Figures:
    """Of one policy in one order of the samples, [questions]; ``chosen`` is the returned sample's score."""

    tokens: Floats
    right: Floats
    chosen: Floats
    count: Floats
    stopped: Floats
    lost: Floats


def figures(shown: Shown, selection: str) -> Figures:
    """What a run came to."""
    draws = visible(
        Draws(shown.scores, np.full(shown.scores.shape, -1), shown.tokens, shown.count, None, usable=shown.usable)
    )
    rows, chosen = np.arange(len(shown.count)), select(selection, draws)
    right, best = shown.correct[rows, chosen], shown.scores[rows, chosen]
    counts = [np.asarray(one, np.float64) for one in (shown.count, shown.stopped, shown.lost)]
    return Figures(shown.spent, right, best, *counts)


def mean_of(parts: Sequence[Figures]) -> Figures:
    """The mean over orders, by question."""
    return Figures(*(np.mean([getattr(one, name) for one in parts], 0) for name in Figures.__dataclass_fields__))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pool", required=True, help="folder of a scored pool with gold answers")
    parser.add_argument("--generator", default="embedded:generator", help="whose tokens its samples are of")
    parser.add_argument("--verifier", default="embedded:verifier", help="that scored it")
    parser.add_argument("--policies", nargs="*", default=POLICIES)
    parser.add_argument("--reject", nargs="*", default=["tokens=16,risk=0.05", "tokens=16,risk=0.2"])
    parser.add_argument("--treatment", nargs="*", choices=TREATMENTS, default=TREATMENTS)
    parser.add_argument("--orders", type=int, default=4, help="of each question's samples")
    flags = parser.parse_args()
    pool, verifier = Pool(flags.pool), VerifierOptions(flags.verifier).build()
    settings = [EarlyRejection.parse(one) for one in flags.reject]
    looked = {one.tokens: look(pool, verifier, flags.generator, one.tokens) for one in settings}
    for text in flags.policies:
        compare(parse_policy(text), looked, settings, flags.treatment, flags.orders)


def compare(
    policy: Policy,
    looked: dict[int, Looked],
    settings: Sequence[EarlyRejection],
    treatments: Sequence[str],
    orders: int,
) -> None:
    """One policy's table: ratios against itself without early rejection, with intervals over questions."""
    some = next(iter(looked.values()))
    plain = mean_of([figures(run(policy, some, None, "truth", seed), policy.selection) for seed in range(orders)])
    print(f"\n{policy}: {plain.tokens.mean():.0f} tokens a question, {plain.count.mean():.2f} samples, "
          f"accuracy {plain.right.mean():.4f}, score {plain.chosen.mean():.4f}")  # fmt: skip
    print("reject                 shown      tokens (95%)           accuracy (95%), points    score     samples  "
          "stopped  beat best  looks  estimate/saved")  # fmt: skip
    for one in settings:
        for treatment in treatments:
            runs = [run(policy, looked[one.tokens], one, treatment, seed) for seed in range(orders)]
            cut = mean_of([figures(shown, policy.selection) for shown in runs])
            ratio = interval(lambda at, cut=cut: cut.tokens[at].mean() / plain.tokens[at].mean(), len(plain.tokens))
            points = interval(lambda at, cut=cut: 100 * (cut.right[at] - plain.right[at]).mean(), len(plain.tokens))
            saved = plain.tokens.mean() - cut.tokens.mean()
            expected = np.mean([shown.expected for shown in runs]) / len(plain.tokens)
            looks = np.mean([shown.looks for shown in runs]) / len(plain.tokens)
            print(
                f"{one!s:22} {treatment:9}  {ratio}     {points}   {cut.chosen.mean() - plain.chosen.mean():+.4f}  "
                f"{cut.count.mean():7.2f}  {cut.stopped.mean():7.2f}  {cut.lost.sum() / max(cut.stopped.sum(), 1):9.4f}"
                f"  {looks:5.1f}  {expected / saved if saved > 0 else nan:.2f}"
            )


def interval(figure: object, number: int) -> str:
    """A figure of the questions with its bootstrap interval over them."""
    rng = np.random.default_rng(0)
    drawn = [figure(rng.integers(0, number, number)) for _ in range(1000)]  # type: ignore[operator]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{figure(np.arange(number)):+.3f} ({low:+.3f} to {high:+.3f})"  # type: ignore[operator]


if __name__ == "__main__":
    main()
