"""What the embedded world's two models are worth: the figures of their model card.

    python benchmarks/embedded_world.py

100 test questions x 32 samples at temperature 1. A verifier is judged within questions: telling hard questions from
easy ones does not help to choose among one question's samples.
"""

import numpy as np
from sklearn.metrics import roc_auc_score

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.arithmetic import make_questions, terms_of

QUESTIONS, SAMPLES = 100, 32


def main() -> None:
    """Samples, scores, prints."""
    questions = {question.id: question for question in make_questions(QUESTIONS, 0, "test")}
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    drawn = list(generator.generate([Request(one.id, one.text, SAMPLES) for one in questions.values()]))
    items = [Answered(questions[request.question_id], sample.text) for request, samples in drawn for sample in samples]
    shape = QUESTIONS, SAMPLES
    right = np.array([extract_answer(item.text) == item.question.gold for item in items]).reshape(shape)
    scores = VerifierOptions("embedded:verifier").build().score(items).values.reshape(shape)
    terms = np.array([len(terms_of(questions[request.question_id].text)) for request, _ in drawn])
    mixed = [row for row in range(QUESTIONS) if 0 < right[row].mean() < 1]
    within = np.mean([roc_auc_score(right[row], scores[row]) for row in mixed])
    print("right by number of terms:", {int(k): round(float(right[terms == k].mean()), 2) for k in np.unique(terms)})
    print(f"AUC over all samples {roc_auc_score(right.ravel(), scores.ravel()):.3f}, within a question {within:.3f}")
    for number in (1, 2, 4, 8, 16, 32):
        best = right[np.arange(QUESTIONS), scores[:, :number].argmax(-1)].mean()
        print(f"best of {number}: {best:.2f}; baseline, one sample: {right[:, 0].mean():.2f}")
    print(f"any of {SAMPLES} right: {right.any(-1).mean():.2f}")
    print(
        f"right among scores below 0.1: {right[scores < 0.1].mean():.3f}; above 0.9: {right[scores > 0.9].mean():.3f}"
    )


if __name__ == "__main__":
    main()
