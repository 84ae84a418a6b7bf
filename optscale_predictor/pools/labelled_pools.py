"""Samples of pools with their labels: what a verifier is trained on.

A label is the pool's column ``correct``: whether the sample's answer equals the gold answer, found when the sample was
written. Texts are most of a pool, so the samples are chosen by their labels' columns first, and only their texts read.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from optscale_predictor._support.arrays import Ints
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.training.labelled_samples import LabelledSamples
from optscale_predictor.errors import InputError
from optscale_predictor.pools.pool import Pool
from optscale_predictor.questions.answers import has_ended
from optscale_predictor.questions.near_duplicates import group_near_duplicates


def read_labelled(pools: Sequence[Pool], most: int, seed: int = 0) -> LabelledSamples:
    """The labelled samples of some pools, as one.

    Blank samples are left out: no verifier is asked about them. So are those whose label is not known.

    Args:
        pools: The pools; their generators read the same prompt.
        most: Samples of a question in a pool, chosen at random where there are more, >= 1.
        seed: Which ones.

    Raises:
        InputError: No pool is named, none of a pool's samples is labelled, or prompts differ.
    """
    if not pools:
        raise InputError("no pools named")
    prompt, chat = _prompt_of(pools)
    columns = [name for name in pools[0].scores if all(name in pool.scores for pool in pools)]
    scores: dict[str, list[float]] = {name: [] for name in columns}
    items: list[Answered] = []
    question: list[int] = []
    correct: list[bool] = []
    facts = []
    first = 0
    for pool in pools:
        rows = _chosen_rows(pool, most, seed, columns)
        before = len(items)
        for number, row in zip(pool.question_numbers(rows).to_pylist(), rows.to_pylist(), strict=True):
            item = Answered(pool.questions[number], row["text"], has_ended(row["finish_reason"]))
            if item.text.strip():
                items.append(item)
                question.append(first + number)
                correct.append(row["correct"])
                for column in columns:
                    scores[column].append(np.nan if row[column] is None else row[column])
        facts.append(_facts(pool, len(items) - before, len({*question[before:]}), correct[before:]))
        first += len(pool.questions)
    group = group_near_duplicates([one.text for pool in pools for one in pool.questions])
    name = ", ".join(pool.name for pool in pools)
    numbers, labels = np.array(question, np.int64), np.array(correct, np.bool_)
    others = {column: np.array(values, np.float64) for column, values in scores.items()}
    return LabelledSamples(name, items, numbers, labels, np.asarray(group), prompt, chat, {"pools": facts}, others)


def _chosen_rows(pool: Pool, most: int, seed: int, scores: Sequence[str]) -> pa.Table:
    """Rows with text, label and scores, at most so many of each question, in the pool's order."""
    table = pool.read(["correct"])
    numbers = pool.question_numbers(table).to_numpy()
    known = np.flatnonzero(table["correct"].is_valid().to_numpy())
    if not len(known):
        raise InputError(f"{pool.name}: no sample is labelled: its questions have no gold answers")
    chosen = known[_at_most(numbers[known], most, seed)]
    keys = pa.array(_keys(numbers[chosen], table["sample_index"].to_numpy()[chosen]))
    parts = []
    for part in pool.tables(["question_id", "sample_index", "text", "correct", "finish_reason", *scores]):
        there = _keys(pool.question_numbers(part).to_numpy(), part["sample_index"].to_numpy())
        wanted = pc.and_(pc.is_in(pa.array(there), value_set=keys), part["text"].is_valid())
        parts.append(part.filter(wanted))
    rows = pa.concat_tables(parts)
    # By question and index, so that the order does not depend on how the pool's shards were cut.
    order = np.argsort(_keys(pool.question_numbers(rows).to_numpy(), rows["sample_index"].to_numpy()))
    return rows.take(order)


def _keys(numbers: Int[Ints, " rows"], index: Int[Ints, " rows"]) -> Int[Ints, " rows"]:
    return np.asarray(numbers.astype(np.int64) << 32 | index.astype(np.int64))


def _at_most(numbers: Int[Ints, " rows"], most: int, seed: int) -> Int[Ints, " some"]:
    """Indices of at most so many rows of each question, at random."""
    order = np.random.default_rng([seed, 5]).permutation(len(numbers))
    order = order[np.argsort(numbers[order], kind="stable")]
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    return np.sort(order[rank < most])


def _prompt_of(pools: Sequence[Pool]) -> tuple[str, bool | None]:
    """The prompt that the generators read, and whether it was a user's turn; None where no pool says."""
    prompts = {pool.name: pool.manifest["settings"].get("prompt") or "{question}" for pool in pools}
    chats = {pool.name: pool.generator.get("chat") for pool in pools}
    for what, found in (("prompt", prompts), ("chat", chats)):
        names = list(found)
        for name in names[1:]:
            if found[name] != found[names[0]]:
                raise InputError(
                    f"{name}: its {what} is {str(found[name])[:60]!r}, that of {names[0]} {str(found[names[0]])[:60]!r}"
                )
    chat = chats[pools[0].name]
    return prompts[pools[0].name], chat if isinstance(chat, bool) else None


def _facts(pool: Pool, samples: int, questions: int, correct: Sequence[bool]) -> dict[str, object]:
    """What the card says of a pool: nothing of where it lies."""
    drawn = pool.generator
    known = {key: drawn[key] for key in ("model", "temperature", "top_p", "max_tokens") if drawn.get(key) is not None}
    share = round(float(np.mean(correct)), 4) if correct else 0.0
    return {
        "fingerprint": pool.manifest.get("fingerprint"),
        "generator": known,
        "questions": questions,
        "samples": samples,
        "right": share,
    }
