"""Fitted stopping against every other rule on its frontier: tokens for the same accuracy, accuracy for the same tokens.

    python benchmarks/fitted_stopping.py aime --data POOL.jsonl.gz [--scores votes|length]
    python benchmarks/fitted_stopping.py pools --train POOL --test POOL [--predictor CHECKPOINT]
        [--questions N ...] [--harder]

``aime``: 60 AIME questions x 11 models x 80 samples without verifier; five folds by question, each fitted on the other
four. ``length`` takes -log(tokens) for a score. ``pools``: fitted on one pool, tried on another. Several numbers of
training questions are a learning curve: the first one's fit is compared with every rule, the others' are tried as well.
``--harder`` fits to the easier half of the training questions and tries the harder half of the test questions, by the
share of right samples.

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
from optscale_predictor.errors import InputError
from optscale_predictor.pages.markdown import table
from optscale_predictor.policies import PrefixMemo
from optscale_predictor.policies.fitted.model_files import save_fitted
from optscale_predictor.pools import Pool
from optscale_predictor.replays.fitting.fit_policy import fit_policy
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.reliability import reliability

Floats = NDArray[np.float64]
ORDERS = 4
SAMPLE_PRICES = (0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5)  # of a mean sample
Outcome = tuple[Floats, Floats]  # accuracy and tokens of each question
Texts = dict[str, list[str]]  # policies by what they are called in the tables


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=("aime", "pools"))
    parser.add_argument("--data")
    parser.add_argument("--scores", choices=("votes", "length"), default="votes")
    parser.add_argument("--train")
    parser.add_argument("--test")
    parser.add_argument("--predictor")
    parser.add_argument("--questions", type=int, nargs="+", help="fit to so many of the training questions only")
    parser.add_argument("--harder", action="store_true", help="fit to easier questions and try harder ones")
    flags = parser.parse_args()
    outcomes, question = aime(flags.data, flags.scores) if flags.kind == "aime" else pools(flags)
    print_frontiers(outcomes, question)
    print_tokens_at_most_accurate(outcomes, question)


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
            mean = float(recorded.tokens.mean())
            texts = fitted_texts(folder, mean) | plain_texts(plain, test)
            if plain == "best_of_n":
                texts |= scored_texts(test, mean, False)
            for label, outcomes in run_all(test, folder, texts).items():
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
    train, test = (np.arange(recorded[name].num_questions) for name in ("train", "test"))
    if flags.harder:
        right = {name: recorded[name].correct.mean(-1) for name in ("train", "test")}
        train = train[right["train"] > np.median(right["train"])]
        test = test[right["test"] <= np.median(right["test"])]
    train = np.random.default_rng(0).permutation(train)
    found: dict[str, dict[str, Outcome]] = {}
    samples = recorded["test"].take(test)
    mean = float(samples.tokens.mean())
    priors = {name: prior and prior.broadcast_to(recorded[name].num_questions) for name, prior in priors.items()}
    for number in flags.questions or [len(train)]:
        some = train[:number]
        with TemporaryDirectory() as folder:
            started, prior = time.perf_counter(), priors["train"] and priors["train"].take(some)
            fitted = fit_policy(recorded["train"].take(some), prior=prior)
            save_fitted(fitted, folder)
            seconds = time.perf_counter() - started
            print(f"fitted to {len(some)} questions in {seconds:.0f} s, {', '.join(fitted.shapes)}", flush=True)
            texts = fitted_texts(folder, mean)
            print_promises(folder, samples, priors["test"] and priors["test"].take(test))
            if not found:
                texts |= plain_texts("best_of_n", samples) | scored_texts(samples, mean, priors["test"] is not None)
            outcomes = run_all(samples, folder, texts, priors["test"] and priors["test"].take(test))
            label = "fitted" if not found else f"fitted to {len(some)}"
            found[label] = outcomes.pop("fitted")
            found |= outcomes
    return found, np.arange(samples.num_questions)


def truth_of(test: RecordedSamples) -> Prior:
    """Mean and standard deviation of all scores of each question: what nobody knows beforehand."""
    mean = np.clip(test.scores.mean(-1), 1e-3, 1 - 1e-3)
    most = np.sqrt(mean * (1 - mean))
    return Prior(mean, np.clip(test.scores.std(-1), 1e-3 * most, 0.98 * most), 1.0)


def print_promises(folder: str, test: RecordedSamples, prior: Prior | None) -> None:
    """How often answers that a stated accuracy calls confident are right, and how well confidences are calibrated."""
    row, rows = np.arange(test.num_questions), []
    for target in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        try:
            policy = parse_policy(f"fitted:path={folder},accuracy={target}")
        except InputError as error:
            rows.append([f"{target}", str(error).split(":")[0], "", ""])
            continue
        found = run_policy(policy, test, prior, traced=False)
        sure = found.reason == "confident"
        right = test.correct[row, found.chosen][sure]
        spread = right.std() / np.sqrt(max(sure.sum(), 1))
        rows.append(
            [f"{target}", f"{sure.mean():.3f}", f"{right.mean():.3f} +- {spread:.3f}", f"{found.tokens.mean():,.0f}"]
        )
    print(table(["accuracy", "confident", "of them right", "tokens"], rows, aligned=True))
    for number in (1, 2, 4, 8, 16, 32, 64):
        if number <= test.depth:
            plain = parse_policy(f"best_of_n:max_samples={number}")
            found = run_policy(plain, test, prior, f"confidence:{folder}", traced=False)
            measured = reliability(found.confidence, test.correct[row, found.chosen])
            print(f"confidence after {number} samples: calibration error {measured.calibration_error:.3f}")


def fitted_texts(folder: str, mean: float) -> Texts:
    """The fitted policy at prices of ``mean`` tokens."""
    return {"fitted": [f"fitted:path={folder},price={1000 * price / mean:.4g}" for price in SAMPLE_PRICES]}


def plain_texts(plain: str, test: RecordedSamples) -> Texts:
    """Fixed numbers of samples, and the rules that look at votes alone."""
    cap = test.depth
    numbers = [number for number in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80) if number <= cap]
    confidences = (0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
    texts = {
        "plain": [f"{plain}:max_samples={number}" for number in numbers],
        "plain, confidence": [f"best_of_n:max_samples={number}" for number in numbers],
        **{
            name: [f"{name}:confidence={c},max_samples={m}" for c in confidences for m in {16, cap} if m <= cap]
            for name in ("asc_beta", "asc_dirichlet")
        },
        "esc": [f"esc:window={window},max_samples={cap}" for window in (2, 3, 4, 5, 8)],
    }
    if plain == "best_of_n":
        texts["self_consistency"] = [f"self_consistency:max_samples={number}" for number in numbers]
    return texts


def scored_texts(test: RecordedSamples, mean: float, has_prior: bool) -> Texts:
    """The rules that look at scores, the bounds last: they know what no rule does, but aim at scores."""
    cap = test.depth
    targets = [round(float(x), 4) for x in np.quantile(test.scores, (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98))]
    tokens = [f"tokens={mean * number:.0f}" for number in (1.5, 2, 3, 4, 6, 8, 12, 16)]
    settings = {
        "optscale": [f"score_min={target}" for target in targets],
        "cost_aware": [f"price={1000 * price / mean:.4g}" for price in SAMPLE_PRICES],
        "optscale_0": [f"score_min={target},peek=3" for target in targets],
        "beacon": [f"cost={cost}" for cost in (0.001, 0.003, 0.01, 0.03, 0.1)],
        "pandora": [f"cost={cost},min_samples=5" for cost in (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)],
        "shared_budget": tokens,
        "clairvoyant": [f"score_min={target}" for target in targets],
        "oracle": [f"score_min={target}" for target in targets],
    }
    if has_prior:
        settings["optscale_t"] = [f"score_min={target}" for target in targets]
        settings["instance_adaptive"] = [f"q={q}" for q in (0.5, 0.8, 0.9, 0.99)]
    return {name: [f"{name}:{one},max_samples={cap}" for one in given] for name, given in settings.items()}


def run_all(
    test: RecordedSamples, folder: str, texts: Texts, prior: Prior | None = None
) -> dict[str, dict[str, Outcome]]:
    """Every rule at every setting: each question's accuracy and tokens, means over orders."""
    orders = [test.reorder(rng) for rng in np.random.default_rng(1).spawn(ORDERS)]
    together = RecordedSamples.concatenate(orders)
    repeated = None if prior is None else prior.broadcast_to(test.num_questions).tile(ORDERS)
    memo, row = PrefixMemo(together.num_questions, together.depth), np.arange(together.num_questions)
    found: dict[str, dict[str, Outcome]] = {}
    for label, policies in texts.items():
        selection = f"confidence:{folder}" if label == "plain, confidence" else None
        for text in policies:
            policy = parse_policy(text)
            if policy.name == "oracle":  # its prior is the truth
                outcome = run_policy(policy, together, truth_of(test).tile(ORDERS), selection, traced=False)
                chosen, spent = outcome.chosen, outcome.tokens
            elif policy.joint:  # questions of different orders do not compete for one budget
                parts = [run_policy(policy, one, prior, selection, traced=False) for one in orders]
                chosen, spent = (np.concatenate([getattr(one, name) for one in parts]) for name in ("chosen", "tokens"))
            else:
                outcome = run_policy(policy, together, repeated, selection, traced=False, memo=memo)
                chosen, spent = outcome.chosen, outcome.tokens
            values = (together.correct[row, chosen], spent)
            means = (part.reshape(ORDERS, -1).mean(0) for part in values)
            found.setdefault(label, {})[text.replace(f"path={folder},", "")] = tuple(means)
    return found


def print_tokens_at_most_accurate(outcomes: dict[str, dict[str, Outcome]], question: NDArray[np.int64]) -> None:
    """Tokens that each frontier needs for the accuracy of the largest fixed number, and the share that fitted needs."""
    text, goal = list(outcomes["plain"].items())[-1]
    accuracy, tokens = goal[0].mean(), goal[1].mean()
    print(f"\nTokens for the accuracy of {text} ({accuracy:.4f} with {tokens:,.0f}), on each rule's frontier:\n")

    def needed(texts: dict[str, Outcome], weight: Floats) -> float:
        return tokens_for(texts, weight, *goal) * float(goal[1] @ weight)

    rows = []
    for label, texts in outcomes.items():
        ratio = resampled(lambda w, t=texts: needed(outcomes["fitted"], w) / needed(t, w), question)
        uniform = np.full(len(question), 1 / len(question))
        rows.append([label, f"{needed(texts, uniform):,.0f}", shown(ratio, 2)])
    print(table(["rule", "tokens", "fitted's tokens over them"], rows, aligned=True))


def print_frontiers(outcomes: dict[str, dict[str, Outcome]], question: NDArray[np.int64]) -> None:
    """Each rule's settings, and the tokens that the frontiers need for the same accuracy."""
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
