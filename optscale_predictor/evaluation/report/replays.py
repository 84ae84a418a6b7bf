"""A scored pool in place of a run: policies are replayed over it, in many orders of its samples.

What a replay of many settings found, as a Markdown table, JSON and one picture of accuracy against samples.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.report.pictures import Plotted, draw
from optscale_predictor.evaluation.report.read_runs import Cases, Run, Samples
from optscale_predictor.evaluation.report.report_tables import Table
from optscale_predictor.policies import Policy, PrefixMemo
from optscale_predictor.pools import Pool
from optscale_predictor.replay.recorded_samples import RecordedSamples
from optscale_predictor.replay.replaying import ReplayRow
from optscale_predictor.replay.run_policy import Outcomes, run_policy
from optscale_predictor.stats.estimators import Prior


def replay_pool(
    pool: Pool,
    policies: list[Policy],
    orders: int = 20,
    seed: int = 0,
    prior: Prior | None = None,
    predictor: str | None = None,
) -> Run:
    """What policies would have done on a pool: in the order recorded, and in ``orders`` - 1 random ones.

    Args:
        pool: The pool, scored.
        policies: The policies, the primary one first.
        orders: Orders of the samples, >= 1.
        seed: Of the random ones.
        prior: Given to the policies.
        predictor: What the prior is from.

    Raises:
        InputError: The pool is not scored, or a policy lacks the prior that it needs.
    """
    if orders < 1:
        raise InputError(f"orders must be >= 1, got {orders}")
    for policy in policies:
        if policy.needs_prior and prior is None:
            raise InputError(f"policy {policy.name!r} needs a prior: give a predictor, or a constant prior")
    recorded = RecordedSamples.from_pool(pool)
    parts: dict[str, list[Cases]] = {str(policy): [] for policy in policies}
    ids = np.array([question.id for question in pool.questions], object)
    for number, rng in enumerate(np.random.default_rng(seed).spawn(orders)):
        one = recorded.reorder(rng) if number else recorded
        memo = PrefixMemo(one.num_questions, one.depth)
        for policy in policies:
            outcomes = run_policy(policy, one, prior, traced=False, memo=memo)
            parts[str(policy)].append(_cases(policy, ids, one, outcomes))
    settings, samples = pool.manifest["settings"], Samples.of(pool)
    shown = {policy: _with_answers(found[0], samples) for policy, found in parts.items()}
    return Run(
        name=pool.name,
        cases={policy: Cases.concatenate(found) for policy, found in parts.items()},
        shown=shown,
        samples=samples,
        questions={question.id: question for question in pool.questions},
        task=pool.name,
        generator=settings.get("generator") or {},
        verifier=pool.scores.get("score"),
        predictor=predictor,
        seed=None,
    )


def _cases(policy: Policy, ids: NDArray[np.object_], recorded: RecordedSamples, outcomes: Outcomes) -> Cases:
    row = np.arange(recorded.num_questions)
    target = getattr(policy, "score_min", np.nan)
    return Cases(
        ids,
        recorded.correct[row, outcomes.chosen],
        recorded.scores[row, outcomes.chosen],
        np.where(np.isnan(target), np.nan, outcomes.best >= target),
        outcomes.count.astype(np.float64),
        outcomes.tokens,
        outcomes.reason,
        # Which sample it is, until the order recorded says what it answered.
        outcomes.chosen.astype(object),
    )


def _with_answers(cases: Cases, samples: Samples) -> Cases:
    starts = np.array([samples.place[question][0] for question in cases.question.tolist()], np.int64)
    return replace(cases, answer=samples.answer[starts + cases.answer.astype(np.int64)])


_HEADER = ("policy", "settings", "accuracy", "samples", "tokens", "best score", "hit rate")


def markdown_table(rows: Sequence[ReplayRow]) -> str:
    """One line a row: mean ± bootstrap standard error over questions and orders."""
    return Table("", _HEADER, [_cells(row) for row in rows]).markdown()


def write_replay(rows: Sequence[ReplayRow], folder: Path, title: str) -> None:
    """Writes ``table.md``, ``table.json`` and ``curve.png`` into ``folder``, which is made where needed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown_table(rows) + "\n", encoding="utf-8")
    content = json.dumps([row.as_dict() for row in rows], indent=2)
    (folder / "table.json").write_text(content + "\n", encoding="utf-8")
    draw_rows(rows, folder / "curve.png", title)


def draw_rows(rows: Sequence[ReplayRow], path: Path, title: str) -> None:
    """Draws accuracy against mean samples a question, one curve a label, bars of one standard error.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    curves = []
    for label in dict.fromkeys(row.label for row in rows):
        curve = sorted((row for row in rows if row.label == label), key=lambda row: row.samples.mean)
        error = np.array([row.accuracy.error for row in curve])
        x, y = [row.samples.mean for row in curve], [row.accuracy.mean for row in curve]
        curves.append(Plotted(label, x, y, np.stack([error, error])))
    draw(curves, None, ("samples a question (mean)", "accuracy"), title, [path])


def _cells(row: ReplayRow) -> tuple[str, ...]:
    _, _, settings = row.policy.partition(":")
    return (
        row.label,
        settings.replace(",", ", "),
        f"{row.accuracy.mean:.3f} ± {row.accuracy.error:.3f}",
        f"{row.samples.mean:.2f} ± {row.samples.error:.2f}",
        f"{row.tokens.mean:.0f} ± {row.tokens.error:.0f}",
        f"{row.score.mean:.3f}",
        "" if np.isnan(row.hit.mean) else f"{row.hit.mean:.3f}",
    )
