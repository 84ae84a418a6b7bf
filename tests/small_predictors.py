"""Small untrained predictors whose LoRA updates and heads all say something, for tests of what becomes of them."""

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from optscale_predictor import OptScalePredictor
from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.heads.gaussian_process import head_sizes
from optscale_predictor.predictor.model.config import PredictorConfig

DECODER = "embedded:generator"
QUESTIONS = ["1+2=", "12+34+56+78=", "9+9=", "10+20+30+40+50+60="]


def write_encoder(folder, seed=0):
    """A BERT of random weights in a folder; returns the folder's name."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789+="]
    (folder / "vocab.txt").write_text("\n".join([*words, *(f"##{word}" for word in words[5:])]))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=2 * len(words), **sizes)).save_pretrained(folder)
    return str(folder)


def make_predictor(base=DECODER, lora=None, **settings):
    """A predictor of which every part was moved from where it starts."""
    torch.manual_seed(0)
    predictor = OptScalePredictor.from_base(PredictorConfig(base, **settings), lora or LoraSettings(rank=4))
    for name, weight in predictor.named_parameters():
        if "lora_B" in name or name.startswith("poolings"):
            torch.nn.init.normal_(weight, std=0.1)
    return predictor.eval()


def make_gaussian_process(base=DECODER, **settings):
    """One whose head holds questions as anchors."""
    asked = [f"{number}+{number % 7}=" for number in range(30)]
    plain = make_predictor(base)
    tokens = plain.tokenize(asked)
    sizes = head_sizes(tokens, 96, num_labels=1)
    predictor = make_predictor(base, head="gaussian_process", head_sizes=sizes, labels=["subject"], **settings)
    head = predictor.head
    head.hold_texts(tokens, [0] * len(asked), torch.tensor([[number % 3] for number in range(30)], dtype=torch.int32))
    with torch.no_grad():
        head.projection.normal_(std=0.01)
        head.anchors.copy_(head.project(predictor.pool(tokens)))
        head.coefficients.normal_(std=0.1)
        head.offset.copy_(torch.tensor([0.5, 0.2, 0.0]))
    return predictor


def priors(predictor, questions=QUESTIONS, source=None):
    """What it predicts, [3, questions]."""
    prior = predictor.predict(questions, source or predictor.config.sources[0].name)
    return torch.tensor([prior.mean.tolist(), prior.std.tolist(), prior.strength.tolist()], dtype=torch.float64)


def refusal_of(capsys, *arguments):
    """The one line with which the command line refuses; transformers' bars of loading weights are left out."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    error = capsys.readouterr().err
    said = [line for line in error.splitlines() if line.strip() and "Loading weights" not in line]
    assert stopped.value.code == 2 and len(said) == 1 and said[0].startswith("optscale: error: "), error
    return said[0].removeprefix("optscale: error: ")


def load_from(folder, **options):
    return OptScalePredictor.from_pretrained(str(folder), **options)


def refusal_to_load(folder, **options):
    """The one line with which loading is refused."""
    with pytest.raises(InputError) as raised:
        load_from(folder, **options)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 700
    return str(raised.value)
