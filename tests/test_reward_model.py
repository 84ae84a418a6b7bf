"""Reward models: scores in range that do not depend on the batch, bad models refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_prms import make_reward_model
from transformers import AutoTokenizer, LlamaForSequenceClassification

from optscale_predictor.backends.verifiers import Answered, require_scores
from optscale_predictor.backends.verifiers.reward_model import RewardModel
from optscale_predictor.embedded.train_generator import make_config, make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import Question

ITEMS = [
    Answered(Question("easy", "7+5="), "\n7+5=12\n#### 12"),
    Answered(Question("easy", "7+5="), "\n7+5=13\n#### 13"),
    Answered(Question("long", "23+4+58+61="), "\n23+4=27\n27+58=85\n85+61=146\n#### 146"),
    Answered(Question("short", "9+9="), ""),
    Answered(Question("foreign", "Wie viel ist 3+4?"), " Sieben."),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reward model of random weights."""
    made = tmp_path_factory.mktemp("reward_model")
    config = make_config(make_tokenizer())
    config.num_labels = 1
    torch.manual_seed(0)
    LlamaForSequenceClassification(config).save_pretrained(made)
    make_tokenizer().save_pretrained(made)
    return str(made)


@pytest.fixture(scope="module")
def verifier(folder: str) -> RewardModel:
    return RewardModel(folder, device="cpu")


def test_scores_lie_in_the_unit_interval(verifier: RewardModel) -> None:
    assert np.array_equal(require_scores(verifier.score(ITEMS), ITEMS), verifier.score(ITEMS).values)
    assert verifier.score([]).values.shape == (0,)


def test_a_score_does_not_depend_on_its_batch(verifier: RewardModel, folder: str) -> None:
    together = verifier.score(ITEMS).values
    np.testing.assert_allclose([verifier.score([item]).values[0] for item in ITEMS], together, atol=1e-5)
    np.testing.assert_allclose(verifier.score(ITEMS[::-1]).values[::-1], together, atol=1e-5)
    np.testing.assert_allclose(RewardModel(folder, 2, "cpu").score(ITEMS).values, together, atol=1e-5)


def test_a_text_longer_than_the_context_is_refused_by_name(verifier: RewardModel) -> None:
    with pytest.raises(InputError, match=r"'huge'.*512"):
        items = [*ITEMS, Answered(Question("huge", "1+1="), "9" * 600)]
        require_scores(verifier.score(items), items)


def test_bad_models_are_refused(tmp_path: Path) -> None:
    config = make_config(make_tokenizer())
    config.num_labels = 2
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="one label, got 2"):
        RewardModel(str(tmp_path))
    with pytest.raises(InputError, match="embedded:nothing"):
        RewardModel("embedded:nothing")
    with pytest.raises(InputError, match="batch_size"):
        RewardModel("embedded:generator", batch_size=0)


def test_the_config_says_what_pads(tmp_path: Path) -> None:
    folder = make_reward_model(tmp_path)
    alone = RewardModel(folder, device="cpu").rewards([ITEMS[0]])[0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = "!"  # another token than the config's: padded with it, the model would read the padding
    tokenizer.save_pretrained(folder)
    np.testing.assert_allclose(RewardModel(folder, device="cpu").rewards(ITEMS)[0][:1], alone, atol=1e-5)
