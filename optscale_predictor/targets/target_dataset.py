"""Targets on the disk: the Parquet file, and beside it a dataset card and the page of histograms.

The card says what made the targets, what their columns mean and what they amount to, with the hub's metadata at its
top. Card and page lie under names that a folder may use for something else, and a card is there to be completed by
hand. So neither replaces a file that ``optscale targets`` did not write, nor a card that was edited since.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path

import pyarrow as pa

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor._support.outputs import require_file
from optscale_predictor._support.version import __version__
from optscale_predictor.errors import InputError
from optscale_predictor.pages.cards import front_matter, require_license, size_category
from optscale_predictor.pages.markdown import bullets, code, escape, flat, settings_table, table
from optscale_predictor.pages.templating import environment
from optscale_predictor.pools import Pool
from optscale_predictor.targets.histogram_charts import counts_with_shares
from optscale_predictor.targets.histogram_page import MARK, render_page
from optscale_predictor.targets.pool_scores import PoolScores, read_pool_scores
from optscale_predictor.targets.splitting import TRAIN, VALIDATION, SplitRule
from optscale_predictor.targets.summary import Summary, summarise
from optscale_predictor.targets.target_table import MEANING, require_parquet, tabulate, write_targets

CARD, PAGE = "README.md", "histograms.html"

#: Stands in the card's snippet where the dataset's folder or hub id goes.
PLACEHOLDER = "FOLDER_OR_HUB_ID"

_SIGNATURE = re.compile(r"\n<!-- optscale targets: sha256 of what stands above: ([0-9a-f]{64}) -->\n\Z")

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class WrittenDataset:
    """What :func:`write_dataset` wrote.

    Attributes:
        files: The files.
        summary: Of the pool and its targets.
        note: Something the user should know of the split; may be empty.
    """

    files: list[Path]
    summary: Summary
    note: str


def write_dataset(
    pool: Pool,
    output: str | Path,
    rule: SplitRule | None = None,
    column: str = "score",
    card: bool = True,
    license: str | None = None,
    progress: bool = False,
) -> WrittenDataset:
    """Derives a pool's targets and writes them, with their card and page.

    Args:
        pool: Every question has samples, and every sample a score or a refusal.
        output: The targets' file, ``.parquet``; card and page lie beside it.
        rule: How questions are split.
        column: The score.
        card: Whether to write card and page.
        license: For the card, as the hub names it; without one the card leaves a place for it.
        progress: Whether to show how far reading and splitting are.

    Raises:
        InputError: The pool's samples are not all scored, a file cannot be written, or card or page would replace
            something else.
    """
    output, rule = Path(output), rule or SplitRule()
    require_parquet(output)
    require_license(license)
    beside = [output.parent / CARD, output.parent / PAGE] if card else []
    for path in beside:
        _require_replaceable(path, output.name)
    require_file(output)
    pool_scores = read_pool_scores(pool, column, progress)
    targets = tabulate(pool_scores, rule, progress)
    summary = summarise(pool_scores, targets)
    write_targets(targets, output)
    if card:
        # The file first: where one of these fails, what a predictor learns from is there all the same.
        write_text(_signed(render_card(pool_scores, targets, rule, output.name, license, summary)), beside[0])
        write_text(render_page(pool_scores, targets, summary), beside[1])
    return WrittenDataset([output, *beside], summary, _note(summary, rule))


def _signed(text: str) -> str:
    digest = sha256(text.encode()).hexdigest()
    return f"{text}\n<!-- optscale targets: sha256 of what stands above: {digest} -->\n"


def _require_replaceable(path: Path, targets: str) -> None:
    """Raises ``InputError`` where a file is not as ``optscale targets`` left it, or a card is that of other targets."""
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    signature = _SIGNATURE.search(text)
    ours = f'<meta name="generator" content="{MARK}">' in text
    if path.name == CARD:
        ours = signature is not None and sha256(text[: signature.start()].encode()).hexdigest() == signature[1]
        ours = ours and f" --data.path {targets}` trains" in text
    if not ours:
        raise InputError(
            f"{path}: is there, and not as optscale targets wrote it for {targets}; give --output a folder of its own, "
            "move the file away, or say --card false"
        )


def _note(summary: Summary, rule: SplitRule) -> str:
    """A split far off its share means that many questions count as near-duplicates of one another."""
    share, count = rule.validation_share, summary.sides.get(TRAIN, 0) + summary.sides.get(VALIDATION, 0)
    apart = abs(summary.sides.get(VALIDATION, 0) - share * count)
    if apart <= 3 * sqrt(share * (1 - share) * count):
        return ""
    cure = "raise --near_duplicates" if rule.same_numbers else "try --same_numbers true, or raise --near_duplicates"
    return f"the split is far from the share of {share} that was asked for: questions resemble one another; {cure}"


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
    require_license(license)
    summary = summary or summarise(pool_scores, targets)
    manifest = pool_scores.pool.manifest
    template = environment(_TEMPLATES).get_template("card.md.jinja")
    title = f"Score targets of {pool_scores.name}"
    return template.render(
        front_matter=_front_matter(title, license, targets.num_rows, file),
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
        placeholder=PLACEHOLDER,
        auc=summary.auc,
        auc_within=summary.auc_within,
        lost=summary.unscored_questions,
        refused=summary.refused,
        escape=escape,
        settings_table=settings_table,
        table=table,
        bullets=bullets,
    )


def _front_matter(title: str, license: str | None, rows: int, file: str) -> str:
    """The hub's metadata, by which ``load_dataset`` finds the file."""
    from huggingface_hub import DatasetCardData

    metadata = DatasetCardData(
        pretty_name=title,
        license=license,
        task_categories=["text-classification"],
        task_ids=["text-scoring"],
        tags=["optscale", "best-of-n", "test-time-compute", "reward-model"],
        size_categories=[size_category(rows)],
        configs=[{"config_name": "default", "data_files": [{"split": "targets", "path": file}]}],
    )
    needed = None if license else "the questions, and the generator's and verifier's terms,"
    return front_matter(metadata, needed)


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
    measured = {name: f"{value:.4f}" for name, value in numbers.items() if value is not None}
    if summary.family is not None:
        measured["family of distributions that held-out scores follow best"] = f"`{summary.family.name}`"
    return measured
