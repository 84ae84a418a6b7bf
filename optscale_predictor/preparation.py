"""Data preparation: fill a pool with samples, then score them; both continue where they stopped."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from optscale_predictor.errors import InputError
from optscale_predictor.generators import Generator, Request
from optscale_predictor.pools import SCHEMA, Pool, PoolWriter, lock_pool, read_shard, update_manifest, write_shard
from optscale_predictor.prompts import PromptTemplate
from optscale_predictor.questions import Question
from optscale_predictor.verifiers import Answered, Verifier, require_scores


def generate_pool(
    folder: str | Path,
    questions: Sequence[Question],
    generator: Generator,
    num_samples: int,
    prompt: PromptTemplate | None = None,
    shard_samples: int = 512,
    progress: bool = True,
) -> Pool:
    """Draws samples until every question has ``num_samples``; what the pool already holds is not drawn again.

    Args:
        folder: The pool; made where it does not exist.
        questions: The pool's questions.
        generator: Draws samples.
        num_samples: Samples a question, >= 1.
        prompt: The prompt around a question; the bare question by default.
        shard_samples: Samples after which a shard is committed, >= 1: what a kill can cost.
        progress: Whether to show samples, rate and time left.

    Raises:
        InputError: The pool was made with other settings, or is being written by another process.
    """
    if num_samples < 1:
        raise InputError(f"num_samples must be >= 1, got {num_samples}")
    prompt = prompt or PromptTemplate()
    settings = {"generator": dict(generator.describe()), "prompt": prompt.text}
    with PoolWriter(folder, questions, settings, shard_samples) as writer:
        counts = writer.pool.counts()
        requests = [
            Request(question.id, prompt(question.text), num_samples - counts[question.id], counts[question.id])
            for question in questions
            if counts[question.id] < num_samples
        ]
        total = len(questions) * num_samples
        missing = sum(request.num_samples for request in requests)
        with tqdm(total=total, initial=total - missing, unit=" samples", desc="generate", disable=not progress) as bar:
            for request, samples in generator.generate(requests):
                writer.append(request.question_id, request.first_index, samples)
                bar.update(len(samples))
    return Pool(folder)


def score_pool(folder: str | Path, verifier: Verifier, progress: bool = True) -> Pool:
    """Scores every sample that has no score yet; generates nothing.

    Shard after shard is replaced by its scored self, so a kill costs at most the scores of one shard.

    Raises:
        InputError: The pool is being written by another process, or was partly scored by another verifier (rescoring
            would mix two scales).
    """
    pool = Pool(folder)
    texts = {question.id: question for question in pool.questions}
    with closing(lock_pool(pool.folder)):
        _require_verifier(pool, verifier)
        shards = pool.shards()
        unscored = sum(read_shard(shard, ["score"])["score"].null_count for shard in shards)
        with tqdm(total=unscored, unit=" samples", desc="score", disable=not progress) as bar:
            for shard in shards:
                table = read_shard(shard)
                missing = table["score"].null_count
                if missing:
                    write_shard(_scored(table, texts, verifier), shard)
                    bar.update(missing)
    return Pool(folder)


def _require_verifier(pool: Pool, verifier: Verifier) -> None:
    name = dict(verifier.describe())
    made = pool.manifest.get("verifier")
    if made is None:
        update_manifest(pool.folder, {"verifier": name})
    elif made != name:
        raise InputError(f"{pool.folder}: scored by {made}, not by {name}; score a copy of the pool instead")


def _scored(table: pa.Table, questions: dict[str, Question], verifier: Verifier) -> pa.Table:
    scores = table["score"].to_numpy(zero_copy_only=False).copy()
    rows = np.flatnonzero(np.isnan(scores))
    ids, texts = table["question_id"].to_pylist(), table["text"].to_pylist()
    items = [Answered(questions[ids[row]], texts[row]) for row in rows]
    scores[rows] = require_scores(verifier.score(items), items)
    place = SCHEMA.get_field_index("score")
    return table.set_column(place, SCHEMA.field("score"), pa.array(scores, pa.float64()))
