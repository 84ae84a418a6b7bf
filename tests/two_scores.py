"""Two verifiers whose scores a text spells out, pools of both, and a combination of them."""

import numpy as np
from scipy.special import expit, logit
from synthetic_pool import SETTINGS, questions_of, rows_of

from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.combined import ScoreCombination
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.question import Question

FIRST, SECOND = ({"adapter": "function", "function": f"two_scores:{name}"} for name in ("first", "second"))
COLUMNS = ("score", "score_second")
MADE = ScoreCombination(COLUMNS, (FIRST, SECOND), (0.8, 1.5), -0.4)


def first(question, text):
    """A score that the text spells out."""
    return float(text.split()[0])


def second(question, text):
    """Another one."""
    return float(text.split()[1])


def two_scores(questions=300, samples=8, seed=0, slopes=(0.8, 1.5), intercept=-0.4):
    """Scores, and answers that are right with the probability that a combination of these coefficients gives."""
    rng = np.random.default_rng(seed)
    scores = expit(rng.normal(0, 1.2, (questions, samples, 2)))
    chance = expit(intercept + logit(scores) @ np.array(slopes))
    return scores, (rng.random((questions, samples)) < chance).astype(float)


def scored_pool(folder, questions=24, samples=6, seed=0, refused_by_second=()):
    scores, correct = two_scores(questions, samples, seed)
    texts = [[f"{one:.6f} {other:.6f}" for one, other in own] for own in scores]
    scores = np.array([[[float(part) for part in text.split()] for text in own] for own in texts])
    rng = np.random.default_rng(seed)
    names = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 40)) for _ in range(questions)]
    rows = rows_of(
        scores[..., 0].tolist(),
        text=texts,
        correct=correct.astype(bool).tolist(),
        answer=np.where(correct, "1", rng.integers(2, 9, correct.shape).astype(str)).tolist(),
        score_second=scores[..., 1].tolist(),
        verifier_tokens_second=np.full(correct.shape, 3).tolist(),
        refusal_second=[[None] * samples] * questions,
    )
    for row in rows:
        if (row["question_id"], row["sample_index"]) in refused_by_second:
            row |= {"score_second": None, "refusal_second": "it looked away"}
    made = dict(zip(COLUMNS, (FIRST, SECOND), strict=True))
    with PoolWriter(folder, questions_of(names), SETTINGS, 64, scores=made) as writer:
        writer.append_rows(rows)
    return Pool(folder)


def answered(*texts):
    return [Answered(Question(f"{number}", "What?", "1"), text) for number, text in enumerate(texts)]
