"""Likelihood verifiers: what they read, independent of the batch; the map they fit; what they refuse."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from transformers import AutoModelForCausalLM

from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.verifiers import Answered, require_scores
from optscale_predictor.backends.verifiers.length_batches import CPU_BATCH_TOKENS, batch_tokens
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier, fit_score_map
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import Question

ITEMS = [
    Answered(Question("a", "7+5="), "\n7+5=12\n#### 12"),
    Answered(Question("b", "7+5="), "\n7+5=13\n#### 13"),
    Answered(Question("c", "23+4+58="), "\n23+4=27\n27+58=85\n#### 85"),
    Answered(Question("d", "9+9="), ""),
]


@pytest.fixture(scope="module")
def verifier():
    return LikelihoodVerifier("embedded:verifier")


def test_features_are_the_models_own_log_probabilities(verifier):
    model = load_pretrained(AutoModelForCausalLM, "embedded:verifier", "cpu").eval()
    tokenizer = make_tokenizer()
    for item, found in zip(ITEMS, verifier.features(ITEMS), strict=True):
        tokens = torch.tensor([tokenizer(item.question.text + item.text)["input_ids"] + [tokenizer.eos_token_id]])
        with torch.inference_mode():
            chance = torch.log_softmax(model(input_ids=tokens).logits[0], -1)
        each = [float(chance[place - 1, tokens[0, place]]) for place in range(len(item.question.text), tokens.shape[1])]
        assert found == pytest.approx([min(each), sum(each)], abs=1e-4)


def test_a_score_does_not_depend_on_its_batch(verifier):
    alone = [verifier.score([item]).values[0] for item in ITEMS]
    assert verifier.score(ITEMS).values == pytest.approx(alone, abs=1e-5)


def test_what_is_read_at_once_on_a_cpu_stays_in_its_cache(verifier, monkeypatch):
    sizes, read = [], verifier._read
    monkeypatch.setattr(verifier, "_read", lambda *rows: (sizes.append(_padded(*rows)), read(*rows))[1])
    items = [Answered(Question("q", f"{number}+5="), "1" * (1 + 7 * number % 90)) for number in range(100)]
    together = verifier.score(items).values
    assert max(sizes) <= CPU_BATCH_TOKENS < sum(sizes) and len(sizes) < len(items) / 4
    assert together == pytest.approx([verifier.score([item]).values[0] for item in items], abs=1e-5)
    assert batch_tokens(torch.device("cpu")) < batch_tokens(torch.device("cuda"))


def _padded(asked, written):
    """Tokens that a batch holds, padding included."""
    return len(asked) * max(len(one) + len(two) for one, two in zip(asked, written, strict=True))


def test_a_wrong_sum_scores_below_the_right_one(verifier):
    right, wrong = verifier.score(ITEMS[:2]).values
    assert right > wrong + 0.3


def test_long_nonsense_scores_low(verifier):
    nonsense = [Answered(Question("q", "How many eggs?"), text) for text in ("0" * 400, "+1" * 200, "#= " * 100)]
    assert np.all(verifier.score(nonsense).values < 0.1)


def test_the_map_recovers_what_made_the_labels():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50_000, 2))
    correct = rng.random(50_000) < expit(0.5 + features @ np.array([2.0, 1.0]))
    fitted = fit_score_map(features, correct)
    assert (fitted.intercept, fitted.lowest, fitted.total) == pytest.approx((0.5, 2.0, 1.0), abs=0.1)


def test_what_cannot_be_read_is_refused(verifier, tmp_path):
    huge = [Answered(Question("huge", "1+1="), "9" * 600), ITEMS[0]]
    scored = verifier.score(huge)
    assert list(scored.refusals) == [0] and "context is 512" in scored.refusals[0]
    assert np.isnan(scored.values[0]) and scored.values[1] == pytest.approx(verifier.score(ITEMS[:1]).values[0])
    with pytest.raises(InputError, match=r"'huge'.*context is 512"):
        require_scores(scored, huge)
    with pytest.raises(InputError, match=r"score_map.json: cannot read it: No such file"):
        LikelihoodVerifier("embedded:generator")
