"""Pools of made-up numbers, written as any pool is: for tests of what is done with a pool's numbers."""

import numpy as np

from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question

SETTINGS = {"generator": {"adapter": "made_up", "model": "org/generator", "temperature": 0.7}, "prompt": "{question}"}
VERIFIER = {"adapter": "made_up", "model": "org/verifier", "aggregation": "min"}


def rows_of(scores, **columns):
    """Pool rows of a list of scores a question (None = refused); further columns are lists of lists alike."""
    return [
        {
            "question_id": f"q{question}",
            "sample_index": index,
            "text": f"answer {index:02}",  # equal ones would be scored once
            "num_tokens": 10 + index,
            "finish_reason": "stop",
            "score": score,
            "refusal": "its text is too long: 99 tokens" if score is None else None,
            "verifier_tokens": 7,
            **{name: values[question][index] for name, values in columns.items()},
        }
        for question, own in enumerate(scores)
        for index, score in enumerate(own)
    ]


def questions_of(texts):
    return [Question(f"q{number}", text, "1") for number, text in enumerate(texts)]


def write_pool(folder, scores, texts=None, rows=None, shard_samples=64, columns=("score",), **further):
    """A pool with these scores, and texts that resemble one another in nothing."""
    rng = np.random.default_rng(len(scores))
    texts = texts or ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 40)) for _ in scores]
    scored = {name: VERIFIER for name in columns}
    with PoolWriter(folder, questions_of(texts), SETTINGS, shard_samples, scores=scored) as writer:
        writer.append_rows(rows_of(scores, **further) if rows is None else rows)
    return Pool(folder)
