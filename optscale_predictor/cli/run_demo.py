"""The demo: the whole path on the embedded world, from questions to the picture of accuracy against tokens.

    questions -> pool -> scores -> targets -> predictor -> fitted policy -> replay of every policy -> lm-eval

Every step is what a user runs on real models: the same functions, with smaller numbers.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.evaluation.report import markdown_table, write_replay
from optscale_predictor.evaluation.report import write_report as write_page
from optscale_predictor.policies import (
    BestOfN,
    OptScale0,
    OptScalePolicy,
    OptScaleT,
    Policy,
    SelfConsistency,
    parse_policy,
)
from optscale_predictor.pools import Pool
from optscale_predictor.replays.fitting.fit_stopping import require_lightgbm
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay
from optscale_predictor.replays.tuning import tune_settings
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.targets import constant_prior

GENERATOR, VERIFIER = "embedded:generator", "embedded:verifier"
TASK = "optscale_arithmetic"
DEPTH = 32
FIXED = (1, 2, 4, 8, 16, 32)
TARGETS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
ORDERS = 5
PATHS = 2000  # that the fitted policy is fitted to: half of what fit-policy takes, for the sake of a minute


@dataclass(frozen=True)
class Sizes:
    """How much the demo does.

    Attributes:
        train_questions: Questions whose samples the predictor learns from.
        test_questions: Questions that policies are compared on.
        epochs: Of the predictor's training.
        live_questions: Questions answered live through lm-eval.
    """

    train_questions: int = 400
    test_questions: int = 200
    epochs: int = 12
    live_questions: int = 60


@dataclass(frozen=True)
class Curve:
    """One line of the picture: a family of policies, given one prior."""

    label: str
    policies: Sequence[Policy]
    prior: str = "none"


def curves() -> list[Curve]:
    """The curves whose settings the training questions choose: numbers of samples, or target scores."""

    def over_targets(make: Callable[[float], Policy]) -> list[Policy]:
        return [make(target) for target in TARGETS]

    def ours(target: float) -> Policy:
        # Many questions are hopeless here: going on past an unreachable target raises scores, and hardly accuracy.
        return OptScalePolicy(target, max_samples=DEPTH, min_gain=1.0)

    return [
        Curve("best_of_n", [BestOfN(number) for number in FIXED]),
        Curve("self_consistency", [SelfConsistency(number) for number in FIXED]),
        Curve("optscale_0 (paper)", over_targets(lambda s: OptScale0(s, max_samples=DEPTH, peek=1))),
        Curve("optscale_0 (code)", over_targets(lambda s: OptScale0(s, max_samples=DEPTH, form="jump", peek=5))),
        Curve(
            "optscale_t (code)",
            over_targets(lambda s: OptScaleT(s, max_samples=DEPTH, form="jump", peek=5)),
            "predictor",
        ),
        Curve("optscale, no prior", over_targets(ours)),
        Curve("optscale, constant prior", over_targets(ours), "constant"),
        Curve("optscale, predictor", over_targets(ours), "predictor"),
    ]


def fitted_curve(folder: Path) -> Curve:
    """A fitted policy that matches the accuracy of each Best-of-N, by its own held-out figures.

    Args:
        folder: The fitted policy's.
    """
    matched = [f"fitted:path={folder},match={BestOfN(number)}" for number in FIXED]
    return Curve("fitted", [parse_policy(text) for text in matched])


def run_demo(folder: Path, sizes: Sizes, say: Callable[[str], None]) -> None:
    """Runs the whole path into ``folder``; a rerun continues where it stopped.

    Args:
        folder: Gets pools, targets (with their card and page), the predictor, the fitted policy, ``table.md``,
            ``table.json`` and ``curve.png``, the live run's record and its ``report``.
        sizes: How much to do.
        say: Called with what a reader should see.
    """
    require_lightgbm()  # before minutes of other work
    pools = _fill_pools(folder, sizes, say)
    predictor = _train(folder, pools["train"], sizes, say)
    fitted = _fit(folder, pools["train"], say)
    say("\n[5/6] replaying every policy: settings chosen on training questions, reported on test questions")
    rows, chosen = _compare(pools, predictor, fitted)
    write_replay(rows, folder, title="Embedded world: accuracy against tokens", metric="tokens")
    say(_conclusion(rows, chosen))
    live = [row.policy for row in chosen if row.label in ("optscale, predictor", "fitted")]
    say(f"\n[6/6] two of these policies live, through lm-eval, next to Best-of-{DEPTH}")
    _evaluate(folder, predictor, live, sizes)
    say(f"\ntable    {folder / 'table.md'}\npicture  {folder / 'curve.png'}")
    say(f"report   {folder / 'report' / 'report.html'}")
    say(f"pool     {folder / 'targets' / 'histograms.html'}")


def _fill_pools(folder: Path, sizes: Sizes, say: Callable[[str], None]) -> dict[str, Pool]:
    from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
    from optscale_predictor.backends.options import VerifierOptions
    from optscale_predictor.pools.preparation import generate_pool, score_pool
    from optscale_predictor.questions.arithmetic import make_questions

    generator = HuggingFaceGenerator(GENERATOR, SamplingParams(max_tokens=160))
    verifier = VerifierOptions(VERIFIER).build()
    pools = {}
    for split, number, step in (("train", sizes.train_questions, 1), ("test", sizes.test_questions, 2)):
        say(f"\n[{step}/6] {DEPTH} samples of each of {number} {split} questions, scored")
        path = folder / f"{split}_pool"
        generate_pool(path, make_questions(number, 0, split), generator, DEPTH)
        pools[split] = score_pool(path, verifier)
    return pools


def _train(folder: Path, pool: Pool, sizes: Sizes, say: Callable[[str], None]) -> Path:
    from optscale_predictor.predictor.checkpoint.save_load import load_config
    from optscale_predictor.predictor.training.train_command import train_predictor
    from optscale_predictor.targets import SplitRule, write_dataset

    say("\n[3/6] targets, and a predictor tuned on them: LoRA on the generator itself")
    targets = folder / "targets" / "targets.parquet"
    write_dataset(pool, targets, SplitRule(validation_share=0.2))
    output = folder / "predictor"
    train_predictor(targets, output, epochs=sizes.epochs)
    metrics = load_config(output).metrics
    measured = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items() if name != "questions")
    say(f"held-out questions: {measured}")
    return output


def _fit(folder: Path, pool: Pool, say: Callable[[str], None]) -> Path:
    """A policy fitted to the training questions; one that is there already is kept while the pool is what it was."""
    from optscale_predictor.policies.fitted.model_files import SETTINGS, save_fitted
    from optscale_predictor.predictor.provenance import source_of_pool
    from optscale_predictor.questions.near_duplicates import group_near_duplicates
    from optscale_predictor.replays.fitting.fit_policy import fit_policy

    say("\n[4/6] when to stop and which answer to trust, fitted to the labels of the training questions")
    output = folder / "policy"
    if (output / SETTINGS).exists() and (output / SETTINGS).stat().st_mtime > max(
        shard.stat().st_mtime for shard in pool.shards()
    ):
        return output
    group = np.asarray(group_near_duplicates([question.text for question in pool.questions]))
    made_by = source_of_pool(pool.manifest).as_dict()
    recorded = RecordedSamples.from_pool(pool)
    save_fitted(fit_policy(recorded, group, source=made_by, num_paths=PATHS, say=say, progress=True), output)
    return output


def _compare(pools: dict[str, Pool], predictor: Path, fitted: Path) -> tuple[list[ReplayRow], list[ReplayRow]]:
    """All test rows; and of each curve the test row whose settings the training questions chose."""
    from optscale_predictor.predictor import OptScalePredictor

    model = OptScalePredictor.from_pretrained(str(predictor))
    recorded = {split: RecordedSamples.from_pool(pool) for split, pool in pools.items()}
    priors: dict[str, dict[str, Prior | None]] = {
        split: {
            "none": None,
            "constant": constant_prior(recorded["train"].scores),
            "predictor": model.predict_questions(pool.questions),
        }
        for split, pool in pools.items()
    }
    rows: dict[str, list[ReplayRow]] = {}
    own = fitted_curve(fitted)
    for split in pools:
        # The training questions are those that it was fitted to: they choose nothing of it.
        shown = curves() if split == "train" else [*curves(), own]
        entries = [
            ReplayEntry(policy, curve.label, priors[split][curve.prior]) for curve in shown for policy in curve.policies
        ]
        rows[split] = replay(entries, recorded[split], ORDERS, frontier=split == "test")
    choices = tune_settings(rows["train"], rows["test"], str(BestOfN(DEPTH)))
    chosen = {choice.reported.label: choice.reported for choice in choices}
    # So it matches the Best-of-N that they chose.
    index = FIXED.index(parse_policy(chosen["best_of_n"].policy).max_samples)
    matching = next(row for row in rows["test"] if row.policy == str(own.policies[index]))
    return rows["test"], [*chosen.values(), matching]


def _conclusion(rows: list[ReplayRow], chosen: list[ReplayRow]) -> str:
    reference = next(row for row in rows if row.policy == str(BestOfN(DEPTH)))
    lines = [
        f"\nFewest tokens for the accuracy of Best-of-{DEPTH}, settings chosen on training questions:\n",
        markdown_table([reference, *chosen]),
    ]
    worse = [row.label for row in chosen if row.accuracy.mean < reference.accuracy.mean - reference.accuracy.error]
    if worse:
        lines.append(f"\nMore than one standard error below Best-of-{DEPTH} on test questions: {', '.join(worse)}")
    return "\n".join(lines)


def _evaluate(folder: Path, predictor: Path, policies: Sequence[str], sizes: Sizes) -> None:
    from optscale_predictor.evaluation.lm_eval.eval_command import RECORDS, evaluate
    from optscale_predictor.evaluation.report import compare, read_record

    output = folder / "eval"
    shutil.rmtree(output, ignore_errors=True)  # an earlier demo may have chosen another policy
    arguments = ["--model_args", f"predictor={predictor}", "--limit", str(sizes.live_questions)]
    compared = ["--policies", f"{' '.join(policies)} {BestOfN(DEPTH)}", "--output_path", str(output)]
    evaluate(["--tasks", TASK, *arguments, *compared])
    write_page(compare([read_record(output / RECORDS / TASK)]), folder / "report", "Embedded world, live")
