"""The dataset card that lies beside targets: what made them, what their columns mean, what they amount to."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from optscale_predictor.pages.cards import front_matter, require_license, size_category
from optscale_predictor.pages.markdown import bullets, code, escape, flat, settings_table, table
from optscale_predictor.pages.templating import environment
from optscale_predictor.targets.histogram_charts import counts_with_shares
from optscale_predictor.targets.pool_scores import PoolScores
from optscale_predictor.targets.splitting import SplitRule
from optscale_predictor.targets.summary import Summary, summarise
from optscale_predictor.targets.target_table import MEANING

#: Stands in the card's snippet where the dataset's folder or hub id goes.
PLACE = "FOLDER_OR_HUB_ID"

_TEMPLATES = Path(__file__).parent / "templates"


def render_card(
    pool_scores: PoolScores,
    targets: pa.Table,
    rule: SplitRule,
    file: str,
    license: str | None = None,
    summary: Summary | None = None,
) -> str:
    """The card, as Markdown with the hub's metadata at its top.

    Args:
        pool_scores: The pool's scores.
        targets: Its targets.
        rule: How they were split.
        file: Name of the targets' file.
        license: As the hub names it (``mit``, ``cc-by-4.0``); without one the card leaves a place for it.
        summary: Of the two, if it is at hand.

    Raises:
        InputError: The licence is not a name that the hub could know.
    """
    from huggingface_hub import DatasetCardData

    from optscale_predictor._support.version import __version__

    require_license(license)
    summary = summary or summarise(pool_scores, targets)
    manifest = pool_scores.pool.manifest
    template = environment(_TEMPLATES).get_template("card.md.jinja")
    title = f"Score targets of {pool_scores.name}"
    metadata = DatasetCardData(
        pretty_name=title,
        license=license,
        task_categories=["text-classification"],
        task_ids=["text-scoring"],
        tags=["optscale", "best-of-n", "test-time-compute", "reward-model"],
        size_categories=[size_category(targets.num_rows)],
        configs=[{"config_name": "default", "data_files": [{"split": "targets", "path": file}]}],
    )
    needed = None if license else "the questions, and the generator's and verifier's terms,"
    return template.render(
        front_matter=front_matter(metadata, needed),
        title=title,
        file=file,
        version=__version__,
        fingerprint=manifest["fingerprint"],
        settings=flat(manifest["settings"]),
        column=pool_scores.column,
        verifier=flat(pool_scores.pool.scores[pool_scores.column]),
        collected=_collected(pool_scores, summary),
        measured=list(_measured(summary).items()),
        columns=[(f"`{name}`", meaning) for name, meaning in MEANING.items()],
        sides=summary.sides,
        rule=rule,
        place=PLACE,
        auc=summary.auc,
        auc_within=summary.auc_within,
        lost=summary.unscored_questions,
        refused=summary.refused,
        escape=escape,
        settings_table=settings_table,
        table=table,
        bullets=bullets,
    )


def _collected(pool_scores: PoolScores, summary: Summary) -> list[str]:
    """What was drawn and what it cost."""
    each = f"{summary.most:,}" if summary.fewest == summary.most else f"{summary.fewest:,} to {summary.most:,}"
    lines = [f"{summary.samples:,} scored samples of {summary.questions:,} questions, {each} each."]
    if summary.refused:
        lines.append(f"{summary.refused:,} samples refused by the verifier: {_shares(pool_scores.refusals)}.")
    if summary.generated_tokens is not None:
        lines.append(f"{summary.generated_tokens:,} tokens generated, {summary.mean_tokens:,.1f} a sample.")
    if summary.verifier_tokens:
        lines.append(f"{summary.verifier_tokens:,} tokens read and written by the verifier.")
    if pool_scores.finish_reasons:
        lines.append(f"Samples ended by: {_shares(pool_scores.finish_reasons)}.")
    if summary.judged:
        lines.append(f"{summary.judged:,} samples judged right or wrong against a gold answer.")
    return lines


def _shares(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code(name)} {number:,} ({share:.1%})" for name, number, share in counts_with_shares(counts)[:5])


def _measured(summary: Summary) -> dict[str, str]:
    """The numbers of the summary that say something of the targets, in words."""
    numbers = {
        "mean of the questions' mean scores": summary.mean,
        "standard deviation of the questions' mean scores": summary.mean_spread,
        "greatest R² of a prediction of `mean` (the rest of its variance is sampling error)": summary.mean_signal,
        "mean of the questions' standard deviations": summary.std,
        "standard deviation of these": summary.std_spread,
        "greatest R² of a prediction of `std`": summary.std_signal,
        "share of the scores' variance that lies within questions": summary.within,
        "mean pass rate": summary.pass_rate,
        "P(a right sample outscores a wrong one), all samples": summary.auc,
        "the same within a question, mean over questions": summary.auc_within,
    }
    return {name: f"{value:.4f}" for name, value in numbers.items() if value is not None}
