"""The assessment of a predictor: does it know what baselines do not, does it know how sure to be, does it save samples?

Assessed on questions it was not trained on, with baselines fitted to those that it was.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.assessment.accuracy import MeanReliability, mean_reliability
from optscale_predictor.evaluation.assessment.assessment_settings import Settings
from optscale_predictor.evaluation.assessment.baseline_comparison import (
    AccuracyRow,
    baseline_priors,
    compare,
    constant_of,
)
from optscale_predictor.evaluation.assessment.baselines import Baseline, fit_baselines
from optscale_predictor.evaluation.assessment.interval_coverage import IntervalCoverage, measure_coverage
from optscale_predictor.evaluation.assessment.samples_saved import (
    CERTAIN,
    CONSTANT,
    NONE,
    PREDICTOR,
    TRUE,
    SamplesSaved,
    StrengthRow,
    compare_strengths,
    measure_savings,
)
from optscale_predictor.evaluation.assessment.scored_questions import ScoredQuestions, two_sides
from optscale_predictor.evaluation.assessment.simulated_runs import BETA, TRUNCATED_NORMAL, Runs, replayed, simulate
from optscale_predictor.pools import Pool
from optscale_predictor.stats.estimators import Prior

if TYPE_CHECKING:
    from optscale_predictor.predictor import OptScalePredictor
    from optscale_predictor.predictor.model.config import PredictorConfig

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assessment:
    """What was measured.

    Attributes:
        predictor: Name of the predictor; empty where only its predictions were given.
        targets: File of the targets; empty likewise.
        split: The split that was held out.
        questions: Held-out questions.
        training_questions: Questions that baselines were fitted to.
        base_model: The predictor's.
        notes: What a reader must know besides the numbers.
        accuracy: Baselines, then the predictor.
        calibration: Coverage of intervals, and where observed means fell.
        means: Predicted means against observed ones.
        savings: Samples at an equal hit rate, with each prior.
        strengths: The learned strength, then fixed ones.
    """

    predictor: str
    targets: str
    split: str
    questions: int
    training_questions: int
    base_model: str
    notes: tuple[str, ...]
    accuracy: tuple[AccuracyRow, ...]
    calibration: IntervalCoverage
    means: MeanReliability
    savings: tuple[SamplesSaved, ...]
    strengths: tuple[StrengthRow, ...]


def assess(
    predictor: "str | OptScalePredictor",
    targets: str | Path,
    split: str = "validation",
    pool: str | None = None,
    source: str | None = None,
    settings: Settings | None = None,
) -> Assessment:
    """Assesses a predictor on the held-out questions of a file of targets.

    Args:
        predictor: A checkpoint folder or hub id, or the predictor itself.
        targets: Parquet of ``optscale targets``, or JSON lines.
        split: The split that is held out; not ``train``.
        pool: Scored pool whose recorded samples are replayed for the savings; simulated scores by default.
        source: Whose scores, where the predictor has learnt several or the file has several.
        settings: Target scores, resamples and so on; the usual ones by default.

    Raises:
        InputError: Something given cannot be used, or a side has too few questions.
        MissingExtraError: scikit-learn is not installed.
    """
    from optscale_predictor.backends.adapters.base_model import folder_name
    from optscale_predictor.evaluation.assessment.scored_questions import of_source, provenance_notes, read_sides

    settings = settings or Settings()
    # What can be said at once is said before a model is loaded.
    opened = None if pool is None else Pool(pool)
    # The config alone: the weights of a large base take minutes.
    config = _config(predictor)
    rows = read_sides(targets, config)
    train, held_out, dropped = two_sides(
        of_source(rows, source, targets), split, str(targets), settings.assumed_samples
    )
    model = _load(predictor)
    _LOG.info(f"{len(train)} training questions, {len(held_out)} held out; the base model reads them all")
    embeddings = _embeddings(model.config, train, held_out)
    _LOG.info("baselines")
    baselines = fit_baselines(train, held_out, embeddings, settings.seed)
    _LOG.info("the predictor reads the held-out questions")
    bare = model.predict(held_out.texts, source)
    told = model.predict(held_out.texts, source, labels=held_out.labels) if config.labels else None
    found = assess_prior(told or bare, train, held_out, baselines, opened, settings, told and bare)
    notes = (*provenance_notes(rows, split, config), *_left_out(dropped, split, embeddings), *found.notes)
    # Names, not paths on this machine: the card shows them.
    called = predictor if isinstance(predictor, str) else ""
    called = Path(called).name if Path(called).is_dir() else called
    base = folder_name(config.base_model)
    return replace(found, predictor=called, targets=Path(targets).name, split=split, base_model=base, notes=notes)


def assess_prior(
    prior: Prior,
    train: ScoredQuestions,
    held_out: ScoredQuestions,
    baselines: Sequence[Baseline],
    pool: Pool | None = None,
    settings: Settings | None = None,
    without_labels: Prior | None = None,
) -> Assessment:
    """Assesses predictions, wherever they come from: those of several seeds can share their baselines.

    Args:
        prior: One a held-out question.
        train: Training questions.
        held_out: Held-out questions.
        baselines: Fitted to the training questions, as :func:`fit_baselines` gives them.
        pool: Scored pool whose recorded samples are replayed for the savings; simulated scores by default.
        settings: Target scores, resamples and so on; the usual ones by default.
        without_labels: Where the predictor was told labels, what it predicts without; for one row more.

    Raises:
        InputError: There are not as many predictions as questions, or the pool has none of them.
    """
    settings = settings or Settings()
    _LOG.info("accuracy, against baselines")
    priors = baseline_priors(baselines, train, settings)
    accuracy = compare(prior, priors, held_out, settings, without_labels)
    means = mean_reliability(prior, held_out.statistics)
    known, every, notes = _runs(held_out, pool, settings)
    part = held_out.take(known)
    scores = None if pool is None else every[0].scores[0]
    calibration = measure_coverage(prior.take(known), part.statistics, scores)
    savings: list[SamplesSaved] = []
    for runs in every:
        _LOG.info(f"samples saved: {runs.kind}")
        mine = prior.take(known)
        named: dict[str, Prior | None] = {NONE: None, CONSTANT: constant_of(priors), PREDICTOR: mine}
        named[TRUE] = Prior(runs.truth.mean, runs.truth.std, CERTAIN)
        savings += measure_savings(runs, named, settings)
    _LOG.info("the learned strength, against fixed ones")
    strengths = compare_strengths(every[0], prior.take(known), part.statistics, settings)
    if not held_out.counted:
        assumed = f"{settings.assumed_samples:g} are assumed"
        notes.append(f"The targets do not say how many samples are behind each question's moments; {assumed}.")
    results = tuple(accuracy), calibration, means, tuple(savings), tuple(strengths)
    return Assessment("", "", "", len(held_out), len(train), "", tuple(notes), *results)


def _config(predictor: "str | OptScalePredictor") -> "PredictorConfig":
    if not isinstance(predictor, str):
        return predictor.config
    from optscale_predictor.predictor.checkpoint.save_load import checkpoint_folder, load_config

    return load_config(checkpoint_folder(predictor))


def _load(predictor: "str | OptScalePredictor") -> "OptScalePredictor":
    from optscale_predictor.predictor import OptScalePredictor

    return OptScalePredictor.from_pretrained(predictor) if isinstance(predictor, str) else predictor


def _embeddings(
    config: "PredictorConfig", train: ScoredQuestions, held_out: ScoredQuestions
) -> tuple[Float[Floats, "train width"], Float[Floats, "held_out width"]] | None:
    """Both sides' embeddings by the base model; None where it was merged into the checkpoint and is not to be had."""
    from optscale_predictor.evaluation.assessment.baselines import embed

    try:
        both = embed(config.base_model, [*train.texts, *held_out.texts], config.max_length)
    except InputError:
        if config.merged:
            return None
        raise
    return both[: len(train)], both[len(train) :]


def _runs(held_out: ScoredQuestions, pool: Pool | None, settings: Settings) -> tuple[Ints, list[Runs], list[str]]:
    """Which questions samples are saved on, their runs, and what to say of them."""
    highest = max(settings.score_mins)
    if pool is not None:
        known, recorded = replayed(pool, held_out.texts, settings.max_samples, settings.seed, highest)
        depth = recorded.scores.shape[-1]
        notes = [
            f"Savings are on recorded samples of {len(known)} of the held-out questions, at most {depth} of each in "
            f"{recorded.num_orders} random orders."
        ]
        return known, [recorded], notes
    every = [
        simulate(kind, held_out.statistics, highest, settings.max_samples, settings.seed)
        for kind in (TRUNCATED_NORMAL, BETA)
    ]
    notes = [
        "Savings are on simulated scores, drawn from distributions with each held-out question's own moments; with a "
        "pool they are on its recorded samples."
    ]
    return np.arange(len(held_out)), every, notes


def _left_out(dropped: int, split: str, embeddings: tuple[Floats, Floats] | None) -> list[str]:
    notes = []
    if dropped:
        notes.append(f"{dropped} questions of split {split!r} are training questions too, and were left out.")
    if embeddings is None:
        notes.append("The base model is merged into the checkpoint and not to be had itself: no baseline embeds by it.")
    return notes
