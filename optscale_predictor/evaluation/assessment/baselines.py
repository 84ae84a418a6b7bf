"""Baselines of an assessment: predictions of a question's scores without training a language model.

They are the training mean, least squares on a question's level and subject, and ridge regressions on TF-IDF features or
on the frozen embeddings of a base model. Every baseline is fitted on the training questions alone. Its settings are
chosen by out-of-fold predictions of the training questions. Near-duplicates share a fold, because a fit that has seen
a question's near-duplicate knows more than it would know of a new question. The same out-of-fold predictions tell how
much each baseline is to be trusted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from optscale_predictor._support.arrays import Bools, Floats, Ints
from optscale_predictor.errors import MissingExtraError
from optscale_predictor.evaluation.assessment.scored_questions import ScoredQuestions
from optscale_predictor.questions.near_duplicates import group_near_duplicates

FOLDS = 5
RIDGES = np.geomspace(0.1, 1000.0, 13)  # ridge strengths that are tried
_BATCH = 64  # questions that are embedded at a time
_EDGES = 0.02  # share of training questions beyond each bound of what a baseline may predict
_LEAST = 1e-4  # distance of predictions from moments that no scores in [0, 1] have
MEAN, LABELS, WORDS_AND_LABELS, WORDS, CHARACTERS, EMBEDDINGS, AVERAGE, AVERAGE_WITH_LABELS = (
    "training mean",
    "level and subject",
    "TF-IDF ridge, words, level and subject",
    "TF-IDF ridge, words",
    "TF-IDF ridge, characters",
    "ridge on frozen embeddings",
    "average of word and embedding ridges",
    "the same, with level and subject",
)


@dataclass(frozen=True)
class Baseline:
    """A baseline's predictions.

    Attributes:
        name: What it is called.
        out_of_fold: Mean and standard deviation of each training question's scores, predicted without it.
        held_out: Those of each held-out question.
    """

    name: str
    out_of_fold: Float[Floats, "train 2"]
    held_out: Float[Floats, "held_out 2"]


def fit_baselines(
    train: ScoredQuestions,
    held_out: ScoredQuestions,
    embeddings: tuple[Float[Floats, "train width"], Float[Floats, "held_out width"]] | None,
    seed: int = 0,
) -> list[Baseline]:
    """All baselines that the questions allow; moments are such as scores in [0, 1] can have.

    Args:
        train: Training questions.
        held_out: Held-out questions.
        embeddings: Of both; None leaves out the baselines on them.
        seed: Of the folds.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    folds = grouped_folds(train.texts, FOLDS, seed)
    found = [_constant(train, held_out, folds)]
    labels = _label_columns(train, held_out) if _known(train) and _known(held_out) else None
    words, characters = _text_features(train.texts, held_out.texts)
    if labels is not None:
        found.append(_least_squares(labels, train.moments, folds))
        both = tuple(_side_by_side(text, label) for text, label in zip(words, labels, strict=True))
        found.append(_ridge(WORDS_AND_LABELS, both, train.moments, folds))
    found.append(_ridge(WORDS, words, train.moments, folds))
    found.append(_ridge(CHARACTERS, characters, train.moments, folds))
    if embeddings is not None:
        found.append(_ridge(EMBEDDINGS, _standardised(*embeddings), train.moments, folds))
        found.append(_average(AVERAGE, [one for one in found if one.name in (WORDS, EMBEDDINGS)]))
        if labels is not None:
            parts = [one for one in found if one.name in (WORDS_AND_LABELS, EMBEDDINGS)]
            found.append(_average(AVERAGE_WITH_LABELS, parts))
    return [_possible(one, train.moments) for one in found]


def embed(base_model: str, texts: Sequence[str], max_length: int = 256) -> Float[Floats, "texts width"]:
    """Mean of the last layer over each text's tokens, scaled to unit length.

    Args:
        base_model: A folder, a hub id, ``embedded:NAME`` or ``package:NAME``.
        texts: The texts; an empty one has one padding token.
        max_length: Tokens of a text that are read, >= 1.

    Raises:
        InputError: There is no such model.
    """
    import torch

    from optscale_predictor.predictor.model.backbone import load_base

    model, tokenizer = load_base(base_model)
    model.eval()
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    tokens = [one or [padding] for one in tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]]
    order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
    found = np.empty((len(tokens), model.config.hidden_size))
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            length = len(tokens[batch[-1]])
            rows = torch.tensor([tokens[index] + [padding] * (length - len(tokens[index])) for index in batch])
            mask = torch.tensor([[1] * len(tokens[index]) + [0] * (length - len(tokens[index])) for index in batch])
            hidden = model(input_ids=rows, attention_mask=mask).last_hidden_state.float() * mask[..., None]
            mean = hidden.sum(1) / mask.sum(1, keepdim=True)
            found[batch] = torch.nn.functional.normalize(mean).numpy()
    return found


def grouped_folds(texts: Sequence[str], num_folds: int, seed: int) -> Int[Ints, " texts"]:
    """The fold of each text; near-duplicates share one, and folds are about equally large.

    Args:
        texts: The texts.
        num_folds: Folds, >= 1.
        seed: Of the order in which groups of one size are shared out.
    """
    groups = group_near_duplicates(texts, same_numbers=False)
    sizes = np.bincount(groups)
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    fold_of, filled = np.empty(len(sizes), np.int64), np.zeros(num_folds, np.int64)
    # Largest first: a template filled in a thousand times must not come last and on top of a full fold.
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return fold_of[groups]


def _out_of_fold(folds: Ints, predict: Callable[[Bools, Bools], Floats]) -> Floats:
    """Predictions of all training questions; ``predict`` gets masks of those to fit and of those to predict."""
    found = np.empty(0)
    for fold in np.unique(folds):
        part = predict(folds != fold, folds == fold)
        if not found.size:
            found = np.empty((len(folds), *part.shape[1:]))
        found[folds == fold] = part
    return found


def _constant(train: ScoredQuestions, held_out: ScoredQuestions, folds: Ints) -> Baseline:
    moments = train.moments
    others = _out_of_fold(folds, lambda fit, new: np.tile(moments[fit].mean(0), (int(new.sum()), 1)))
    return Baseline(MEAN, others, np.tile(moments.mean(0), (len(held_out), 1)))


def _known(questions: ScoredQuestions) -> bool:
    return any(questions.labels)


def _label_columns(train: ScoredQuestions, held_out: ScoredQuestions) -> tuple[Floats, Floats]:
    """A constant and one column a label of both sides; one that no training question has counts for nothing."""
    names = sorted({pair for labels in train.labels for pair in labels.items()})

    def columns(questions: ScoredQuestions) -> Floats:
        return np.array([[1.0, *(float(one in labels.items()) for one in names)] for labels in questions.labels])

    return columns(train), columns(held_out)


def _least_squares(columns: tuple[Floats, Floats], moments: Floats, folds: Ints) -> Baseline:
    """Least squares on labels."""
    known, new = columns

    def predict(fit: Bools, at: Floats) -> Floats:
        return np.asarray(at @ np.linalg.lstsq(known[fit], moments[fit], rcond=None)[0])

    everything = np.ones(len(moments), np.bool_)
    others = _out_of_fold(folds, lambda fit, left: predict(fit, known[left]))
    return Baseline(LABELS, others, predict(everything, new))


def _text_features(train: Sequence[str], held_out: Sequence[str]) -> list[tuple[Any, Any]]:
    """TF-IDF features of both sides, by words and pairs of words and by runs of two to five characters."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise MissingExtraError("scikit-learn", "baselines") from None
    # Any run of word characters, single letters and digits included, or a text of those alone would have no words.
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+|[^\w\s]")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=50_000)
    return [(one.fit_transform(train), one.transform(held_out)) for one in (words, characters)]


def _side_by_side(text: Any, labels: Floats) -> Any:
    """Features of the words, and labels beside them at a weight that a ridge can make use of."""
    from scipy.sparse import csr_matrix, hstack

    return hstack([text, csr_matrix(0.5 * labels)]).tocsr()


def _standardised(train: Floats, held_out: Floats) -> tuple[Floats, Floats]:
    """Features of mean 0 and variance 1 over the training questions: a few of a decoder's dwarf all others."""
    scale = np.maximum(train.std(0), 1e-9) * np.sqrt(train.shape[1])
    return (train - train.mean(0)) / scale, (held_out - train.mean(0)) / scale


def _ridge(name: str, features: tuple[Any, Any], moments: Floats, folds: Ints) -> Baseline:
    """Ridge regression; mean and standard deviation each with the strength that predicts best out of fold."""
    from sklearn.linear_model import Ridge

    known, new = features

    def predict(fit: Bools, left: Bools) -> Floats:
        fits = [Ridge(alpha=ridge).fit(known[fit], moments[fit]) for ridge in RIDGES]
        return np.stack([one.predict(known[left]) for one in fits], 1)

    others = _out_of_fold(folds, predict)  # [train, ridges, 2]
    # Mean and deviation each have a best ridge of their own: what is noise to the one tells of the other.
    best = ((others - moments[:, None]) ** 2).mean(0).argmin(0)
    final = Ridge(alpha=RIDGES[best]).fit(known, moments)
    return Baseline(name, np.stack([others[:, best[0], 0], others[:, best[1], 1]], -1), final.predict(new))


def _average(name: str, parts: Sequence[Baseline]) -> Baseline:
    out_of_fold = np.mean([one.out_of_fold for one in parts], 0)
    return Baseline(name, out_of_fold, np.mean([one.held_out for one in parts], 0))


def _possible(baseline: Baseline, training: Floats) -> Baseline:
    """The predictions, none beyond what nearly all training questions have: least squares knows no bounds.

    A regression that errs a little next to the edge of what is possible would claim certainty, and its likelihood would
    be that of its one worst prediction.
    """
    low, high = np.quantile(training, [_EDGES, 1 - _EDGES], axis=0)

    def inside(moments: Floats) -> Floats:
        mean = np.clip(np.clip(moments[:, 0], low[0], high[0]), _LEAST, 1 - _LEAST)
        std = np.maximum(np.clip(moments[:, 1], low[1], high[1]), _LEAST)
        return np.stack([mean, np.minimum(std, np.sqrt(mean * (1 - mean)) * (1 - _LEAST))], -1)

    return Baseline(baseline.name, inside(baseline.out_of_fold), inside(baseline.held_out))
