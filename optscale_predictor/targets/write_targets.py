"""Targets on the disk: the Parquet file, and beside it the dataset card and the page of histograms.

The two lie under names that a folder may use for something else, and a card is there to be completed by hand. So
neither replaces a file that ``optscale targets`` did not write, nor a card that was edited since.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path

from optscale_predictor._support.atomic_files import write_text
from optscale_predictor.errors import InputError
from optscale_predictor.pages.cards import require_license
from optscale_predictor.pools import Pool
from optscale_predictor.targets.dataset_card import render_card
from optscale_predictor.targets.histogram_page import MARK, render_page
from optscale_predictor.targets.pool_scores import read_pool_scores
from optscale_predictor.targets.splitting import TRAIN, VALIDATION, SplitRule
from optscale_predictor.targets.summary import Summary, summarise
from optscale_predictor.targets.target_table import require_parquet, tabulate, write_targets

CARD, PAGE = "README.md", "histograms.html"

_SIGNATURE = re.compile(r"\n<!-- optscale targets: sha256 of what stands above: ([0-9a-f]{64}) -->\n\Z")


@dataclass(frozen=True)
class WrittenDataset:
    """What was written.

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
) -> WrittenDataset:
    """Derives a pool's targets and writes them, with their card and page.

    Args:
        pool: Every question has samples, and every sample a score or a refusal.
        output: The targets' file, ``.parquet``; card and page lie beside it.
        rule: How questions are split.
        column: The score.
        card: Whether to write card and page.
        license: For the card, as the hub names it; without one the card leaves a place for it.

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
    pool_scores = read_pool_scores(pool, column)
    targets = tabulate(pool_scores, rule)
    summary = summarise(pool_scores, targets)
    write_targets(targets, output)
    if card:
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
