"""The demo: the whole path on a world, from questions to the picture of accuracy against tokens.

    questions -> pool -> scores -> targets -> predictor -> fitted policy -> replay of every policy -> lm-eval

Every step is what a user runs on models of their own: the same functions, with smaller numbers. Where the world trains
its verifier, a pool of questions that serve for nothing else and that training come first.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optscale_predictor._support.outputs import require_folder
from optscale_predictor.backends.generators import Generator
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.cli.worlds.demo_curves import fitted_curve, fixed_numbers
from optscale_predictor.cli.worlds.demo_questions import DemoQuestions, choose_questions
from optscale_predictor.cli.worlds.demo_table import terminal_table
from optscale_predictor.cli.worlds.demo_training import combined_verifier, trained_predictor, trained_verifier
from optscale_predictor.cli.worlds.world import Sizes, VerifierTraining, World
from optscale_predictor.evaluation.report import write_replay
from optscale_predictor.evaluation.report import write_report as write_page
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.pools import Pool, open_pool
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay
from optscale_predictor.replays.tuning import tune_settings
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.targets import constant_prior

_LOG = logging.getLogger(__name__)
#: In which recorded samples are replayed: what a result may err by is nearly all due to its questions.
ORDERS = {"train": 1, "test": 2}
PATHS = 600  # that the fitted policy is fitted to: less than a sixth of what fit-policy takes, for the sake of a minute
LIVE = ("optscale, predictor", "fitted")  # curves whose chosen settings are run live


@dataclass
class DemoRun:
    """One run of a world's path; its steps are counted as they are said.

    Attributes:
        world: What it runs on.
        sizes: How much it does.
        folder: Where everything goes.
    """

    world: World
    sizes: Sizes
    folder: Path
    _steps: int = 0

    def step(self, title: str) -> None:
        """Says which step begins."""
        self._steps += 1
        total = 8 if isinstance(self.world.verifier, VerifierTraining) else 6
        _LOG.info(f"\n[{self._steps}/{total}] {title}")

    @property
    def reference(self) -> BestOfN:
        """The policy that others are to match."""
        return BestOfN(self.sizes.samples)


def run_demo(world: World, folder: Path, sizes: Sizes) -> None:
    """Runs the whole path into ``folder``; a rerun continues where it stopped.

    Args:
        world: What it runs on.
        folder: Gets pools, the verifier where one is trained, targets (with their card and page), the predictor, the
            fitted policy, ``table.md``, ``table.json`` and ``curve.png``, the live run's record and its ``report``.
        sizes: How much to do.

    Raises:
        InputError: A package, model or question set is missing, said before any work; or something in the folder was
            made with other settings.
    """
    world.require_installed()
    require_folder(folder)
    run = DemoRun(world, sizes, folder)
    questions = choose_questions(world.train_set, world.test_set, sizes)
    pools, verifier = _fill_pools(run, questions)
    predictor = _train(run, pools["train"])
    fitted = _fit(run, pools["train"])
    run.step("replaying every policy: settings chosen on training questions, reported on test questions")
    rows, chosen = _compare(run, pools, predictor, fitted)
    write_replay(rows, folder, title=f"{world.title}: accuracy against tokens", metric="tokens")
    print(_conclusion(rows, chosen, str(run.reference)), flush=True)
    run.step(f"two of these policies live, through lm-eval, next to Best-of-{sizes.samples}")
    _evaluate(run, verifier, predictor, [row.policy for row in chosen if row.label in LIVE])
    print(f"\ntable    {folder / 'table.md'}\npicture  {folder / 'curve.png'}")
    print(f"report   {folder / 'report' / 'report.html'}")
    print(f"pool     {folder / 'targets' / 'histograms.html'}")


def _fill_pools(run: DemoRun, questions: DemoQuestions) -> tuple[dict[str, Pool], str]:
    """The scored pools of training and test questions, and the verifier's name."""
    from optscale_predictor.pools.preparation import score_pool

    world, sizes = run.world, run.sizes
    options = GeneratorOptions(
        world.generator, world.sampling, "transformers", chat=world.chat, batch_size=world.batch_size
    )
    generator, named = options.build(), {"score": world.verifier}
    if isinstance(world.verifier, VerifierTraining):
        named = {f"score_{name}": name for name in world.verifier.beside}
        named = {"score": _train_verifier(run, world.verifier, generator, questions.verifier), **named}
    size = min(256, world.batch_size)
    verifiers = {column: VerifierOptions(str(name), batch_size=size).build() for column, name in named.items()}
    pools = {}
    for split, asked in (("train", questions.train), ("test", questions.test)):
        run.step(f"{sizes.samples} samples of each of {len(asked)} {split} questions, scored")
        pools[split] = _draw(run, f"{split}_pool", asked, generator, sizes.samples)
        for column, verifier in verifiers.items():
            pools[split] = score_pool(pools[split].folder, verifier, column)
    if len(named) == 1:
        return pools, str(named["score"])
    name = combined_verifier(run.folder / "combined", pools["train"], tuple(named))
    return {split: open_pool(pool.folder, name) for split, pool in pools.items()}, name


def _draw(run: DemoRun, name: str, questions: list[Question], generator: Generator, samples: int) -> Pool:
    from optscale_predictor.pools.preparation import generate_pool

    return generate_pool(run.folder / name, questions, generator, samples, PromptTemplate(run.world.prompt))


def _train_verifier(run: DemoRun, training: VerifierTraining, generator: Generator, questions: list[Question]) -> str:
    run.step(f"{training.samples} samples of each of {len(questions)} questions, for the verifier alone")
    pool = _draw(run, "verifier_pool", questions, generator, training.samples)
    run.step("a verifier trained on them: LoRA on the generator itself")
    return trained_verifier(run.folder / "verifier", pool, run.world.generator, training)


def _train(run: DemoRun, pool: Pool) -> Path:
    from optscale_predictor.predictor.checkpoint.save_load import load_config
    from optscale_predictor.targets import SplitRule, write_dataset

    run.step("targets, and a predictor tuned on them: LoRA on the generator itself")
    targets = run.folder / "targets" / "targets.parquet"
    write_dataset(pool, targets, SplitRule(validation_share=0.2))
    output = run.folder / "predictor"
    settings = {"base_model": run.world.generator, "epochs": run.sizes.epochs, **run.world.predictor}
    trained_predictor(output, pool, targets, settings)
    metrics = load_config(output).metrics
    measured = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items() if name != "questions")
    _LOG.info(f"held-out questions: {measured}")
    return output


def _fit(run: DemoRun, pool: Pool) -> Path:
    """A policy fitted to the training questions; one that is there already is kept while the pool is what it was."""
    from optscale_predictor.policies.fitted.model_files import SETTINGS, save_fitted
    from optscale_predictor.predictor.provenance import source_of_pool
    from optscale_predictor.questions.near_duplicates import group_near_duplicates
    from optscale_predictor.replays.fitting.fit_policy import fit_policy

    run.step("when to stop and which answer to trust, fitted to the labels of the training questions")
    output = run.folder / "policy"
    if (output / SETTINGS).exists() and (output / SETTINGS).stat().st_mtime > max(
        shard.stat().st_mtime for shard in pool.shards()
    ):
        return output
    group = np.asarray(group_near_duplicates([question.text for question in pool.questions]))
    made_by = source_of_pool(pool.manifest).as_dict()
    recorded = RecordedSamples.from_pool(pool)
    save_fitted(fit_policy(recorded, group, source=made_by, num_paths=PATHS, progress=True), output)
    return output


def _compare(
    run: DemoRun, pools: dict[str, Pool], predictor: Path, fitted: Path
) -> tuple[list[ReplayRow], list[ReplayRow]]:
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
    own, curves = fitted_curve(fitted, run.sizes.samples), run.world.curves(run.sizes.samples)
    for split in pools:
        # The training questions are those that it was fitted to: they choose nothing of it.
        shown = curves if split == "train" else [*curves, own]
        entries = [
            ReplayEntry(policy, curve.label, priors[split][curve.prior]) for curve in shown for policy in curve.policies
        ]
        rows[split] = replay(entries, recorded[split], ORDERS[split], frontier=split == "test")
    choices = tune_settings(rows["train"], rows["test"], str(run.reference))
    chosen = {choice.reported.label: choice.reported for choice in choices}
    # So it matches the Best-of-N that they chose.
    index = fixed_numbers(run.sizes.samples).index(parse_policy(chosen["best_of_n"].policy).max_samples)
    matching = next(row for row in rows["test"] if row.policy == str(own.policies[index]))
    return rows["test"], [*chosen.values(), matching]


def _conclusion(rows: list[ReplayRow], chosen: list[ReplayRow], matched: str) -> str:
    reference = next(row for row in rows if row.policy == matched)
    number = parse_policy(matched).max_samples
    lines = [
        f"\nFewest tokens for the accuracy of Best-of-{number}, settings chosen on training questions:\n",
        terminal_table([reference, *chosen]),
    ]
    worse = [row.label for row in chosen if row.accuracy.mean < reference.accuracy.mean - reference.accuracy.error]
    if worse:
        lines.append(f"\nMore than one standard error below Best-of-{number} on test questions: {', '.join(worse)}")
    return "\n".join(lines)


def _evaluate(run: DemoRun, verifier: str, predictor: Path, policies: Sequence[str]) -> None:
    from optscale_predictor.evaluation.lm_eval.eval_command import evaluate
    from optscale_predictor.evaluation.lm_eval.eval_flags import RECORDS
    from optscale_predictor.evaluation.report import compare, read_record

    output, world = run.folder / "eval", run.world
    shutil.rmtree(output, ignore_errors=True)  # an earlier demo may have chosen another policy
    arguments = [
        f"generator={world.generator}",
        f"verifier={verifier}",
        f"predictor={predictor}",
        f"max_tokens={world.sampling.max_tokens}",
        f"seed={world.sampling.seed}",
    ]
    asked = ["--tasks", world.task, "--limit", str(min(run.sizes.live_questions, run.sizes.test_questions))]
    if world.test_set != world.task_set:
        asked += ["--metadata", json.dumps({"questions": str(run.folder / "test_pool" / "questions.jsonl")})]
    if world.chat:
        asked += ["--apply_chat_template"]
    compared = ["--policies", f"{' '.join(policies)} {run.reference}", "--output_path", str(output)]
    own = [*asked, "--batch_size", str(world.batch_size), "--model_args", *arguments, *compared]
    evaluate(own, their_table=False)  # wider than a terminal, and it says less than ours
    write_page(compare([read_record(output / RECORDS / world.task)]), run.folder / "report", f"{world.title}, live")
