"""The verb that fits stopping and the confidence in answers to labelled pools."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor._support.extras import require_extras
from optscale_predictor._support.messages import last_line
from optscale_predictor._support.number_checks import require_seed
from optscale_predictor._support.outputs import require_once
from optscale_predictor.backends.verifiers.combined import COMBINED, COMBINED_FILE, ScoreCombination
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor._support.arrays import Ints
    from optscale_predictor.policies.fitted.stopping_model import FittedStopping
    from optscale_predictor.pools import Pool
    from optscale_predictor.predictor.model.config import ScoreSource
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.stats.estimators import Prior


def fit_policy(
    pools: list[str],
    output: str = "policy",
    scores: str = "score",
    predictor: str | None = None,
    seed: int = 0,
    source: str | None = None,
    allow_source_mismatch: bool = False,
) -> None:
    """Fit when to stop and which answer to trust to labelled pools; prints what it does on held-out questions.

    Args:
        pools: Folders of scored pools of one generator and verifier, whose questions have gold answers.
        output: Folder for the fitted policy, which fitted:path=FOLDER and the selection confidence:FOLDER read.
        scores: The pools' column of scores, `score` or `score_NAME`; or several, separated by commas: then a
            combination of their verifiers is fitted as well, which runs as the verifier `combined:FOLDER`; or
            `combined:FOLDER` for one that was fitted before.
        predictor: Predictor checkpoint whose priors the policy is to use; it then needs that predictor wherever it
            runs. It must not have learnt from these questions.
        seed: Seed of orders and folds, >= 0.
        source: Name of one of the predictor's score sources; by default the one that matches the pools.
        allow_source_mismatch: Whether pools may differ in generator or verifier, and from the predictor's.
    """
    from optscale_predictor.cli.replay_command import make_prior
    from optscale_predictor.policies.fitted.model_files import save_fitted
    from optscale_predictor.pools import open_pool
    from optscale_predictor.questions.near_duplicates import group_near_duplicates
    from optscale_predictor.replays.fitting.fit_policy import fit_policy as fit
    from optscale_predictor.replays.recorded_samples import RecordedSamples

    if not pools:
        raise InputError("no pools named")
    require_once(pools, "pool")
    require_extras("lightgbm")
    require_seed(seed)
    columns = tuple(dict.fromkeys(filter(None, (name.strip() for name in scores.split(",")))))
    if not columns:
        raise InputError("no scores named")
    opened = [open_pool(pool, columns[0] if len(columns) == 1 else "score") for pool in pools]
    group = np.asarray(group_near_duplicates([question.text for pool in opened for question in pool.questions]))
    combination = None
    if len(columns) == 1:
        if columns[0].startswith(COMBINED):  # one that there is already: the policy keeps it with it
            combination = ScoreCombination.load(columns[0].removeprefix(COMBINED))
        parts = [RecordedSamples.from_pool(pool) for pool in opened]
        depth = min(part.depth for part in parts)
        recorded = RecordedSamples.concatenate([part.first(depth) for part in parts])
    else:
        opened, recorded, combination = _combine(opened, columns, group, seed, allow_source_mismatch)
    made_by = _common_source(opened, allow_source_mismatch)
    priors = [make_prior(pool, predictor, None, source, allow_source_mismatch) for pool in opened]
    with _output_folder(Path(output)):
        model = fit(recorded, group, _join(priors), made_by.as_dict(), seed, progress=True)
        if combination is None:
            (Path(output) / COMBINED_FILE).unlink(missing_ok=True)  # of an earlier fit of several scores
        else:
            combination.save(output)
        save_fitted(model, output)
    _print_figures(model)
    with_verifier = "" if combination is None else f", with the verifier {COMBINED}{output}"
    print(f"{output}: use it as fitted:path={output}{with_verifier}")


def _print_figures(model: "FittedStopping") -> None:
    """What the rules did on held-out questions, and how well the confidence in answers is calibrated."""
    from optscale_predictor.pages.markdown import table

    curve = model.held_out
    header = ["price of 1,000 tokens", "rule", "accuracy", "tokens", "samples"]
    rows = []
    for price, shape in zip(model.prices, model.shapes, strict=True):
        at = int(np.argmin(np.abs(np.log(curve.price / price))))
        figures = (f"{curve.accuracy[at]:.3f}", f"{curve.tokens[at]:,.0f}", f"{curve.samples[at]:.2f}")
        rows.append([f"{1000 * price:.3g}", shape, *figures])
    print("\nOn held-out questions, by the price of a token:\n")
    print(table(header, rows, aligned=True))
    print(f"\nconfidence: calibration error {model.facts['calibration_error']:.3f}, Brier {model.facts['brier']:.3f}")
    if all(shape == "fixed" for shape in model.shapes):
        print(
            "too few labelled questions to stop by what was drawn: the rule is a fixed number of samples at every price"
        )


@contextmanager
def _output_folder(folder: Path) -> Iterator[None]:
    """Makes the folder before minutes of fitting, and not after; where the fit fails, takes away what it made.

    A fit cannot be continued, so an interrupted one ends with a line of its own.
    """
    made = not folder.exists()
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    done = False
    try:
        yield
        done = True
    except KeyboardInterrupt:
        last_line("interrupted; nothing was fitted, and nothing was written")
        raise SystemExit(130) from None
    finally:
        if made and not done and not any(folder.iterdir()):
            folder.rmdir()


def _combine(
    pools: "list[Pool]", columns: tuple[str, ...], group: "Ints", seed: int, allow_source_mismatch: bool
) -> "tuple[list[Pool], RecordedSamples, ScoreCombination]":
    """Fits a combination of several scores; prints what it is worth.

    Returns:
        The pools with the combination as their score; their samples, each with its score from a combination that was
        not fitted to its question; and the combination, fitted to all.
    """
    from optscale_predictor.pools import ScoredPool
    from optscale_predictor.replays.fitting.combine_scores import combine_scores
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.stats.ranking import describe_ranking

    for column in columns:
        _common_source(pools, allow_source_mismatch, column)
    read = [RecordedSamples.with_parts(pool, columns) for pool in pools]
    depth = min(recorded.depth for recorded, _ in read)
    recorded = RecordedSamples.concatenate([one.first(depth) for one, _ in read])
    parts = np.concatenate([scores[:, :depth] for _, scores in read])
    found = combine_scores(parts, recorded.correct, group, seed)
    described = tuple(pools[0].scores[column] for column in columns)
    combination = ScoreCombination(columns, described, found.slopes, found.intercept)
    rows = [*zip(columns, np.moveaxis(parts, -1, 0), found.slopes, strict=True), ("together", found.held_out, None)]
    print("What each score tells, on held-out questions where it was fitted (AUC: how often right is above wrong):\n")
    for name, scores, slope in rows:
        coefficient = "" if slope is None else f", coefficient {slope:.2f}"
        print(f"  {name}: {describe_ranking(scores, recorded.correct)}{coefficient}")
    print()
    return [ScoredPool(pool.name, combination) for pool in pools], replace(recorded, scores=found.held_out), combination


def _common_source(pools: "list[Pool]", allow_source_mismatch: bool, column: str = "score") -> "ScoreSource":
    from optscale_predictor.predictor.provenance import first_difference, source_of_pool

    sources = [source_of_pool(pool.manifest, column) for pool in pools]
    for pool, made_by in zip(pools[1:], sources[1:], strict=True):
        difference = first_difference(sources[0], made_by)
        if difference is not None and not allow_source_mismatch:
            raise InputError(f"{pool.folder}: made by another source than {pools[0].folder}: {difference}")
    return sources[0]


def _join(priors: "list[Prior | None]") -> "Prior | None":
    from optscale_predictor.stats.estimators import Prior

    known = [prior for prior in priors if prior is not None]
    if not known:
        return None
    parts = ([np.atleast_1d(getattr(prior, name)) for prior in known] for name in ("mean", "std", "strength"))
    return Prior(*(np.concatenate(part) for part in parts))
