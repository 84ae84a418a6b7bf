"""The verb that reports: what runs found, as a page, pictures and tables."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor._support.extras import pictures_drawn
from optscale_predictor._support.outputs import require_folder, require_once
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.evaluation.report import Run


def report(
    runs: list[str],
    output: str = "report",
    title: str | None = None,
    reference: str | None = None,
    policies: str = "optscale best_of_n self_consistency",
    selection: str | None = None,
    scores: str = "score",
    predictor: str | None = None,
    prior_pool: str | None = None,
    source: str | None = None,
    allow_source_mismatch: bool = False,
    num_orders: int = 20,
    seed: int = 0,
    prior: str | None = None,
) -> None:
    """Report on runs: one HTML page that needs nothing else, pictures, and tables in Markdown, LaTeX and JSON.

    Runs of the same policies with other seeds are shown together; runs of other policies on the same questions are
    compared. A scored pool may stand in place of a run: policies are replayed over it.

    Args:
        runs: Folders of run records, or of scored pools.
        output: Folder for report.html, table.md, table.tex, table.json and, with matplotlib, curve.png and tokens.png
            (both also .svg).
        title: Heading of the page; by default it is made from the name of the task.
        reference: Policy that savings are measured against, for example "best_of_n:max_samples=32"; by default the
            Best-of-N with the most samples, or, without a verifier, the self-consistency with the most.
        policies: For pools: policies separated by spaces, the first one primary.
        selection: For pools: how the answer is chosen among the samples: `best_score`, `majority`, `weighted_majority`,
            or `confidence:FOLDER` with the folder of a fitted policy; by default each policy's own rule.
        scores: For pools: which of a pool's scores: a column, `score` or `score_NAME`; or `combined:FOLDER`, what a
            combination of several makes of them.
        predictor: For pools: checkpoint whose priors the policies get.
        prior_pool: For pools: scored pool of other questions whose mean score distribution is the constant prior, where
            there is no predictor.
        source: For pools: name of one of the predictor's score sources; by default the one that matches the pool.
        allow_source_mismatch: For pools: whether predictor and fitted policies may have learnt from another generator,
            verifier or setting.
        num_orders: For pools: orders of the samples to replay, >= 1.
        seed: Seed of those orders and of the bootstrap.
        prior: For pools: `learnt`, or `learnt:block=8`, where each policy learns a prior from the pool's questions as
            it finishes them; in place of a predictor or a pool.
    """
    if not runs:
        raise InputError("name a run's folder, or several")
    require_once(runs, "run")
    for name in runs:
        _require_run(name)
    from optscale_predictor.policies import parse_policy

    if not [parse_policy(text) for text in policies.split()]:
        raise InputError("no policies named")
    require_folder(output)
    pictures = pictures_drawn()
    from optscale_predictor.evaluation.report import compare, write_report
    from optscale_predictor.evaluation.report.comparison_cautions import comparison_cautions
    from optscale_predictor.evaluation.report.formatting import (
        conclusion_against_reference,
        conclusion_at_equal_accuracy,
        conclusion_at_equal_tokens,
    )

    choice = ReplayChoice(policies, selection, scores, predictor, prior_pool, source, allow_source_mismatch, prior)
    found = [_read(name, choice, num_orders, seed) for name in runs]
    comparison = compare(found, reference, seed)
    named = title or f"{Path(found[0].task).name or found[0].task}: inference-time scaling compared"
    replayed = any(run.facts is None for run in found)
    given = {
        "title": title,
        "reference": reference,
        "policies": policies if replayed else None,
        "selection": selection if replayed else None,
        "scores": scores if replayed and scores != "score" else None,
        "predictor": predictor,
        "prior_pool": prior_pool,
        "source": source,
        "allow_source_mismatch": "true" if allow_source_mismatch else None,
        "num_orders": num_orders if replayed else None,
        "seed": seed,
        "prior": prior,
    }
    command = _command(runs, given)
    written = write_report(comparison, output, named, command, progress=True, pictures=pictures)
    said = (conclusion_at_equal_accuracy, conclusion_at_equal_tokens, conclusion_against_reference)
    sentences = filter(None, (sentence(comparison) for sentence in said))
    print("\n".join([*sentences, *comparison_cautions(comparison)]))
    print("\n".join(f"{path}" for path in written))


def _command(runs: list[str], given: Mapping[str, object]) -> str:
    """What was typed, with folders by their names: a page need not say where on a machine they lie."""
    from optscale_predictor.evaluation.report.read_runs import short_names

    folders = {name: Path(str(given[name])).name for name in ("predictor", "prior_pool") if given[name] is not None}
    for name in ("selection", "scores"):  # the path follows a word: confidence:FOLDER, combined:FOLDER
        word, colon, folder = str(given[name]).partition(":")
        if colon:
            folders[name] = f"{word}:{Path(folder).name}"
    options = [
        piece
        for name, value in {**given, **folders}.items()
        if value is not None
        for piece in (f"--{name}", str(value))
    ]
    return shlex.join(["optscale", "report", *short_names(runs), *options])


@dataclass(frozen=True)
class ReplayChoice:
    """What is replayed over pools, and where priors come from; the flags of the same names."""

    policies: str
    selection: str | None
    scores: str
    predictor: str | None
    prior_pool: str | None
    source: str | None
    allow_source_mismatch: bool
    prior: str | None


def _require_run(name: str) -> None:
    from optscale_predictor.pools.pool import is_hub_name

    folder = Path(name)
    if is_hub_name(name) or (folder / "run.json").is_file() or (folder / "manifest.json").is_file():
        return
    records = sorted({path.parent for depth in ("*", "records/*") for path in folder.glob(f"{depth}/run.json")})
    hint = f"; its records: {' '.join(map(str, records))}" if records else ""
    raise InputError(f"{name}: neither a run's record (no run.json) nor a pool (no manifest.json){hint}")


def _read(name: str, choice: ReplayChoice, num_orders: int, seed: int) -> "Run":
    from optscale_predictor.cli.replay_command import choose_prior
    from optscale_predictor.evaluation.report import read_record, replay_pool
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.policies.selection import require_selection
    from optscale_predictor.pools import open_pool
    from optscale_predictor.predictor.provenance import require_policy_source, require_selection_source, source_of_pool
    from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

    folder = Path(name)
    if (folder / "run.json").is_file():
        return read_record(folder, progress=True)
    rules = [parse_policy(text) for text in choice.policies.split()]
    selection = None if choice.selection is None else require_selection(choice.selection)
    pool = open_pool(name, choice.scores)
    drawn_by = source_of_pool(pool.manifest)
    for rule in rules:
        require_policy_source(rule, drawn_by, choice.allow_source_mismatch)
    require_selection_source(selection, drawn_by, choice.allow_source_mismatch)
    prior = choose_prior(
        pool, choice.predictor, choice.prior_pool, choice.source, choice.allow_source_mismatch, choice.prior
    )
    # As a record names it, with the default block.
    named = choice.predictor or choice.prior_pool or (str(prior) if isinstance(prior, LearntPrior) else None)
    return replay_pool(pool, rules, num_orders, seed, prior, named, selection, progress=True)
