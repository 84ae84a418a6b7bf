"""Fitted stopping against every other rule on its frontier: tokens for the same accuracy, accuracy for the same tokens.

    python benchmarks/fitted_stopping.py aime --data POOL.jsonl.gz [--scores votes|length]
    python benchmarks/fitted_stopping.py pools --train POOL --test POOL [--predictor CHECKPOINT] [--questions N]

``aime``: 60 AIME questions x 11 models x 80 samples without verifier; five folds by question, each fitted on the other
four. ``length`` takes -log(tokens) for a score. ``pools``: fitted on one pool, tried on another.

The baselines are self-consistency (or Best-of-k, where there is a verifier) and adaptive consistency. Intervals are 95%
bootstrap intervals over questions, paired: both sides of a ratio are of the same resampled questions.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np
from _data import read_rows
from numpy.typing import NDArray
from recorded_pools import read_pool

from optscale_predictor import Prior, parse_policy
from optscale_predictor.pages.markdown import table
from optscale_predictor.policies import PrefixMemo
from optscale_predictor.policies.fitted.model_files import save_fitted
from optscale_predictor.pools import Pool
from optscale_predictor.replays.fitting.fit_policy import fit_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy

Floats = NDArray[np.float64]
ORDERS = 4
SAMPLE_PRICES = (0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5)  # of a mean sample
Outcome = tuple[Floats, Floats]  # accuracy and tokens of each question


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=("aime", "pools"))
    parser.add_argument("--data")
    parser.add_argument("--scores", choices=("votes", "length"), default="votes")
    parser.add_argument("--train")
    parser.add_argument("--test")
    parser.add_argument("--predictor")
    parser.add_argument("--questions", type=int, help="fit to so many of the training questions only")
    flags = parser.parse_args()
    print_frontiers(aime(flags.data, flags.scores) if flags.kind == "aime" else pools(flags))


def aime(path: str, scores: str) -> tuple[dict[str, dict[str, Outcome]], NDArray[np.int64]]:
    """Outcomes of every rule on the AIME pool, and the question of each row."""
    rows = read_rows(path, "the AIME pool")
    recorded = read_pool(rows, "aime")
    whole = np.flatnonzero((recorded.tokens > 0).all(-1))
    recorded = recorded.take(whole)
    if scores == "votes":
        recorded = replace(recorded, scores=np.full_like(recorded.scores, 0.5))
    question = np.unique([str(rows[row]["id"]) for row in whole], return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(np.arange(question.max() + 1) % 5)[question]
    plain = "self_consistency" if scores == "votes" else "best_of_n"
    found: dict[str, dict[str, list[Outcome]]] = {}
    with TemporaryDirectory() as folder:
        for one in range(5):
            started, train = time.perf_counter(), np.flatnonzero(fold != one)
            save_fitted(fit_policy(recorded.take(train), question[train]), folder)
            print(f"fold {one}: fitted to {len(train)} rows in {time.perf_counter() - started:.0f} s", flush=True)
            test = recorded.take(np.flatnonzero(fold == one))
            for label, outcomes in run_all(test, folder, plain, None, float(recorded.tokens.mean())).items():
                for text, outcome in outcomes.items():
                    found.setdefault(label, {}).setdefault(text, []).append(outcome)
    order = np.concatenate([np.flatnonzero(fold == one) for one in range(5)])
    joined = {label: {text: _join(parts) for text, parts in texts.items()} for label, texts in found.items()}
    return joined, question[order]


def pools(flags: argparse.Namespace) -> tuple[dict[str, dict[str, Outcome]], NDArray[np.int64]]:
    """Outcomes of every rule on one pool, fitted on another."""
    opened = {name: Pool(getattr(flags, name)) for name in ("train", "test")}
    recorded = {name: RecordedSamples.from_pool(pool) for name, pool in opened.items()}
    priors: Mapping[str, Prior | None] = {"train": None, "test": None}
    if flags.predictor:
        from optscale_predictor import OptScalePredictor

        model = OptScalePredictor.from_pretrained(flags.predictor)
        priors = {name: model.predict_questions(pool.questions) for name, pool in opened.items()}
    some = np.arange(min(flags.questions or recorded["train"].num_questions, recorded["train"].num_questions))
    prior = None if priors["train"] is None else priors["train"].broadcast_to(len(opened["train"].questions)).take(some)
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        save_fitted(fit_policy(recorded["train"].take(some), prior=prior, say=print), folder)
        print(f"fitted to {len(some)} questions in {time.perf_counter() - started:.0f} s", flush=True)
        mean = float(recorded["test"].tokens.mean())
        found = run_all(recorded["test"], folder, "best_of_n", priors["test"], mean)
    return found, np.arange(recorded["test"].num_questions)


def run_all(
    test: RecordedSamples, folder: str, plain: str, prior: Prior | None, mean: float
) -> dict[str, dict[str, Outcome]]:
    """Every rule at every setting: each question's accuracy and tokens, means over orders; ``mean`` tokens a sample."""
    cap = test.depth
    numbers = [number for number in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80) if number <= cap]
    confidences = (0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
    targets = [round(float(x), 4) for x in np.quantile(test.scores, (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98))]
    texts = {
        "plain": [f"{plain}:max_samples={number}" for number in numbers],
        "plain, confidence": [f"best_of_n:max_samples={number}" for number in numbers],
        "fitted": [f"fitted:path={folder},price={1000 * price / mean:.4g}" for price in SAMPLE_PRICES],
        **{
            name: [f"{name}:confidence={c},max_samples={m}" for c in confidences for m in {16, cap} if m <= cap]
            for name in ("asc_beta", "asc_dirichlet")
        },
        "esc": [f"esc:window={window},max_samples={cap}" for window in (2, 3, 4, 5, 8)],
    }
    if plain == "best_of_n":
        texts["optscale"] = [f"optscale:score_min={t},max_samples={cap}" for t in targets]
        texts["cost_aware"] = [f"cost_aware:price={1000 * p / mean:.4g},max_samples={cap}" for p in SAMPLE_PRICES]
    orders = [test.reorder(rng) for rng in np.random.default_rng(1).spawn(ORDERS)]
    together = RecordedSamples.concatenate(orders)
    repeated = None if prior is None else prior.broadcast_to(test.num_questions).tile(ORDERS)
    memo, row = PrefixMemo(together.num_questions, together.depth), np.arange(together.num_questions)
    found: dict[str, dict[str, Outcome]] = {}
    for label, policies in texts.items():
        selection = f"confidence:{folder}" if label == "plain, confidence" else None
        for text in policies:
            outcome = run_policy(parse_policy(text), together, repeated, selection, traced=False, memo=memo)
            values = (together.correct[row, outcome.chosen], outcome.tokens)
            means = (part.reshape(ORDERS, -1).mean(0) for part in values)
            found.setdefault(label, {})[text.replace(f"path={folder},", "")] = tuple(means)
    return found


def print_frontiers(found: tuple[dict[str, dict[str, Outcome]], NDArray[np.int64]]) -> None:
    """Each rule's settings, and the tokens that the frontiers need for the same accuracy."""
    outcomes, question = found
    rows = []
    for label, texts in outcomes.items():
        for text, (accuracy, tokens) in texts.items():
            gain = resampled(lambda w, a=accuracy, t=tokens: at_tokens(outcomes["plain"], w, a, t), question)
            rows.append([label, text, f"{accuracy.mean():.4f}", f"{tokens.mean():,.0f}", shown(gain, 3)])
    print(table(["rule", "setting", "accuracy", "tokens", "over plain at equal tokens"], rows, aligned=True))
    print("\nTokens of `fitted` over those of other rules, at the accuracy that those reach:\n")
    rows = []
    for label, texts in outcomes.items():
        if label == "fitted":
            continue
        for text, (accuracy, tokens) in texts.items():
            ratio = resampled(lambda w, a=accuracy, t=tokens: tokens_for(outcomes["fitted"], w, a, t), question)
            rows.append([label, text, f"{accuracy.mean():.4f}", shown(ratio, 2)])
    print(table(["rule", "setting", "accuracy", "ratio"], rows, aligned=True))


def at_tokens(plain: dict[str, Outcome], weight: Floats, accuracy: Floats, tokens: Floats) -> float:
    """Accuracy above the plain curve at the same tokens, for weighted questions."""
    curve = np.array([(tokens_ @ weight, accuracy_ @ weight) for accuracy_, tokens_ in plain.values()])
    return float(accuracy @ weight - np.interp(tokens @ weight, *curve.T))


def tokens_for(fitted: dict[str, Outcome], weight: Floats, accuracy: Floats, tokens: Floats) -> float:
    """Tokens that the fitted frontier needs for an accuracy, over those that the rule spent; inf if out of reach."""
    curve = sorted((float(tokens_ @ weight), float(accuracy_ @ weight)) for accuracy_, tokens_ in fitted.values())
    spent, reached = np.array(curve).T
    reached = np.maximum.accumulate(reached)
    goal = float(accuracy @ weight)
    if goal > reached[-1]:
        return np.inf
    return float(np.interp(goal, reached, spent) / (tokens @ weight))


def resampled(statistic: object, question: NDArray[np.int64], number: int = 400) -> tuple[float, float, float]:
    """A statistic of weighted rows and its 95% bootstrap interval; all rows of a question are drawn together."""
    rng, questions = np.random.default_rng(0), int(question.max()) + 1
    draws = [np.ones(questions), *rng.multinomial(questions, np.full(questions, 1 / questions), number)]
    values = [statistic(weight[question] / weight[question].sum()) for weight in draws]  # type: ignore[operator]
    low, high = np.quantile(values[1:], (0.025, 0.975), method="nearest")
    return float(values[0]), float(low), float(high)


def shown(estimate: tuple[float, float, float], digits: int) -> str:
    """An estimate with its interval."""
    value, low, high = (f"{part:.{digits}f}" for part in estimate)
    return f"{value} [{low}, {high}]"


def _join(parts: list[Outcome]) -> Outcome:
    accuracy, tokens = (np.concatenate(part) for part in zip(*parts, strict=True))
    return accuracy, tokens


if __name__ == "__main__":
    main()
