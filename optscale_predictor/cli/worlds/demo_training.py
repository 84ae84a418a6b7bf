"""The demo's trainings: each goes on where it was stopped; what is done is kept while its pool is what it was."""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from optscale_predictor._support.atomic_files import named_beside, write_text
from optscale_predictor.backends.verifiers.combined import COMBINED, ScoreCombination
from optscale_predictor.cli.worlds.world import VerifierTraining
from optscale_predictor.pools import Pool

_LOG = logging.getLogger(__name__)


def trained_verifier(output: Path, pool: Pool, base_model: str, training: VerifierTraining) -> str:
    """A verifier trained on a labelled pool; one that is there is kept, as pools were scored by it.

    Args:
        output: Its folder.
        pool: The samples.
        base_model: What it is trained on.
        training: How.

    Returns:
        Its name, as ``--verifier`` takes it.

    Raises:
        InputError: The samples teach nothing.
        InterruptedRun: The user stopped it, and its state was written.
    """
    from optscale_predictor.backends.verifiers.trained_config import TRAINED_VERIFIER_FILE
    from optscale_predictor.backends.verifiers.training.train_verifier import train_verifier
    from optscale_predictor.backends.verifiers.verifier_files import load_verifier_config
    from optscale_predictor.pools.labelled_pools import read_labelled

    settings = training.settings
    if (output / TRAINED_VERIFIER_FILE).is_file():
        if _changed(pool) > output.stat().st_mtime:
            _LOG.warning(
                f"{output}: kept, though its pool has grown since: the pools were scored by it; remove it and them"
            )
    else:
        labelled = read_labelled([pool], max(training.samples, settings.held_out_samples), settings.seed)
        train_verifier(labelled, base_model, output, settings)
    figures = load_verifier_config(output).metrics
    shown = {"AUC within a question": "auc_within", "AUC": "auc"}
    told = ", ".join(f"{name} {figures[key]:.2f}" for name, key in shown.items() if key in figures)
    _LOG.info(f"held-out questions: {told}")
    return str(output)


def combined_verifier(output: Path, pool: Pool, columns: tuple[str, ...]) -> str:
    """Several scores of a pool as one, by coefficients fitted to its labels.

    Args:
        output: The folder of the combination.
        pool: Labelled, with all of the scores.
        columns: The scores.

    Returns:
        Its name, as ``--verifier`` takes it.

    Raises:
        InputError: There are too few labelled questions, or all samples are right, or all are wrong.
    """
    from optscale_predictor.questions.near_duplicates import group_near_duplicates
    from optscale_predictor.replays.fitting.combine_scores import combine_scores
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.stats.ranking import auc_within

    recorded, parts = RecordedSamples.with_parts(pool, columns)
    group = np.asarray(group_near_duplicates([question.text for question in pool.questions]))
    found = combine_scores(parts, recorded.correct, group)
    described = tuple(pool.scores[column] for column in columns)
    ScoreCombination(columns, described, found.slopes, found.intercept).save(output)
    question = np.repeat(np.arange(len(parts)), parts.shape[1])
    right = recorded.correct.ravel() == 1
    told = [
        f"{name} {auc_within(scores.ravel(), right, question).auc:.2f}"
        for name, scores in [*zip(columns, np.moveaxis(parts, -1, 0), strict=True), ("together", found.held_out)]
    ]
    _LOG.info(f"AUC within a training question: {', '.join(told)}")
    return f"{COMBINED}{output}"


def trained_predictor(output: Path, pool: Pool, targets: Path, settings: Mapping[str, Any]) -> None:
    """A predictor trained on a pool's targets; one that is there is kept while pool and settings are what they were.

    Args:
        output: Its folder.
        pool: What the targets were computed from.
        targets: The file.
        settings: Of :func:`train_predictor`.

    Raises:
        InterruptedRun: The user stopped it, and its state was written.
    """
    from optscale_predictor._support.training_loop.last_checkpoint import LAST
    from optscale_predictor.predictor.training.train_command import train_predictor

    state = named_beside(output, f"{output.name}_training")
    made_of = json.dumps(
        {"pool": _shards(pool), "scores": pool.scores, "settings": dict(settings)},
        indent=2,
        sort_keys=True,
        default=asdict,
    )
    record = state / "made_of.json"
    if not record.is_file() or record.read_text(encoding="utf-8") != made_of:
        for stale in (state, output):
            shutil.rmtree(stale, ignore_errors=True)
        state.mkdir(parents=True)
        write_text(made_of, record)
    elif output.is_dir() and not (state / LAST).exists():
        return
    train_predictor(targets, output, **settings, resumable=True)


def _shards(pool: Pool) -> list[tuple[str, int, int]]:
    """Name, size and time (nanoseconds) of each shard."""
    return [(shard.name, shard.stat().st_size, shard.stat().st_mtime_ns) for shard in pool.shards()]


def _changed(pool: Pool) -> float:
    """When the pool was last written to, in seconds."""
    return max(shard.stat().st_mtime for shard in pool.shards())
