"""Process reward models as they are loaded, found by name, recorded and used; a wrong one is refused at once."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_prms
import torch
from prm_recipes import CASES, ITEMS, STEPS, SUM, by_hand_qwen_tokens, numbers, softmax
from safetensors.torch import load_file

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.process_reward_model import ProcessRewardModel
from optscale_predictor.backends.verifiers.process_verifier import StepSettings
from optscale_predictor.backends.verifiers.published_layouts import LAYOUTS
from optscale_predictor.backends.verifiers.reward_model import RewardModel
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import Question, format_questions


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, (make, _, _) in CASES.items()}


def test_a_model_in_several_files(folders: dict[str, str], tmp_path: Path) -> None:
    whole = Path(folders["skywork"])
    tensors = load_file(whole / "model.safetensors")
    for file in whole.iterdir():
        if file.name != "model.safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    index = {}
    for number, part in enumerate((list(tensors)[::2], list(tensors)[1::2])):
        name = f"model-0000{number + 1}-of-00002.safetensors"
        tiny_prms.save_file({key: tensors[key] for key in part}, tmp_path / name, metadata={"format": "pt"})
        index |= dict.fromkeys(part, name)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    found = ProcessRewardModel(str(tmp_path), device="cpu").score(ITEMS).values
    np.testing.assert_array_equal(found, ProcessRewardModel(str(whole), device="cpu").score(ITEMS).values)


# What is wrong with a model is found when it is loaded.


def test_tokenizers_without_the_tokens_are_refused() -> None:
    plain = tiny_prms.qwen_tokenizer(marker=False)
    with pytest.raises(InputError, match=r"'qwen' needs '<extra_0>' to be one token.*it reads it as \['<', "):
        LAYOUTS["qwen"](plain, "tiny")
    with pytest.raises(InputError, match="needs ' ки' to be one token"):
        LAYOUTS["math_shepherd"](tiny_prms.byte_level([], None, vocab_size=256), "tiny")
    with pytest.raises(InputError, match="needs a chat template, its tokenizer has none"):
        LAYOUTS["rlhflow"](tiny_prms.llama_tokenizer(None), "tiny")
    with pytest.raises(InputError, match=r"gives '\+' a token of its own"):
        LAYOUTS["rlhflow"](tiny_prms.llama_tokenizer(tiny_prms.LLAMA3.replace("| trim", "| upper")), "tiny")
    with pytest.raises(InputError, match="its chat template fails"):
        LAYOUTS["rlhflow"](tiny_prms.llama_tokenizer("{{ raise_exception('users only') }}"), "tiny")


def test_unknown_tokens_are_no_markers() -> None:
    from optscale_predictor.embedded.train_generator import make_tokenizer

    with pytest.raises(InputError, match="'math_shepherd' needs ' ки'"):
        LAYOUTS["math_shepherd"](make_tokenizer(), "tiny")


def test_heads_that_are_missing_or_wrong_are_refused(tmp_path: Path) -> None:
    width = torch.zeros(64)
    spoil: dict[str, Callable[[Path], object]] = {
        "score.2.weight \\[3, 64\\]": lambda folder: tiny_prms.edit_tensors(
            folder, {"score.2.weight": torch.zeros(3, 64), "score.2.bias": torch.zeros(3)}
        ),
        "none of them": lambda folder: tiny_prms.edit_tensors(folder, {}, drop="score."),
        "score.1.weight": lambda folder: tiny_prms.edit_tensors(folder, {"score.1.weight": width}),
        "layers.1.mlp.up_proj.weight": lambda folder: tiny_prms.edit_tensors(folder, {}, drop="model.layers.1.mlp.up"),
        "expected the head v_head": lambda folder: tiny_prms.edit_config(folder, architectures=["Qwen2ForPrmModel"]),
        "score.weight": lambda folder: tiny_prms.edit_config(folder, architectures=["Qwen2ForTokenClassification"]),
    }
    for index, (says, spoiled) in enumerate(spoil.items()):
        folder = tmp_path / str(index)
        tiny_prms.make_qwen(folder)
        spoiled(folder)
        with pytest.raises(InputError, match=says):
            ProcessRewardModel(str(folder), device="cpu")


def test_other_heads_are_refused(folders: dict[str, str], tmp_path: Path) -> None:
    tiny_prms.make_token_classifier(tmp_path / "three", labels=3)
    with pytest.raises(InputError, match="2 labels, got 3"):
        ProcessRewardModel(str(tmp_path / "three"), StepSettings("qwen"), device="cpu")
    tiny_prms.make_skywork(tmp_path / "value")
    tiny_prms.edit_tensors(tmp_path / "value", {}, drop="v_head.summary.bias")
    with pytest.raises(InputError, match=r"v_head.summary.bias"):
        ProcessRewardModel(str(tmp_path / "value"), device="cpu")
    tiny_prms.make_rlhflow(tmp_path / "headless")
    tiny_prms.edit_tensors(tmp_path / "headless", {}, drop="lm_head")
    with pytest.raises(InputError, match=r"lm_head.weight"):
        ProcessRewardModel(str(tmp_path / "headless"), StepSettings("rlhflow"), device="cpu")
    with pytest.raises(InputError, match=r"score.weight, which LlamaForSequenceClassification needs"):
        RewardModel(folders["rlhflow"], device="cpu")  # a language model, whose head would be random


def test_a_score_that_is_no_number_is_refused(folders: dict[str, str], tmp_path: Path) -> None:
    tiny_prms.make_skywork(tmp_path)
    tiny_prms.edit_tensors(tmp_path, {"v_head.summary.bias": torch.tensor([math.nan])})
    scores = ProcessRewardModel(str(tmp_path), device="cpu").score(ITEMS[:2])
    assert scores.refusals == {0: "its score is nan, not in [0, 1]", 1: "its score is nan, not in [0, 1]"}


REMOTE = """
from pathlib import Path
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

Path({ran!r}).touch()

class TinyConfig(PretrainedConfig):
    model_type = "tiny_remote"

class TinyModel(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, 2)
        self.post_init()

    def forward(self, input_ids, attention_mask=None):
        return (self.embed(input_ids).cumsum(1),)
"""


def test_remote_code_runs_only_where_it_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder, ran = tmp_path / "tiny", tmp_path / "ran"
    tokenizer = tiny_prms.qwen_tokenizer()
    tokenizer.save_pretrained(folder)
    table = torch.randn(len(tokenizer), 2, generator=torch.Generator().manual_seed(0))
    tiny_prms.save_file({"embed.weight": table}, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "remote.py").write_text(REMOTE.format(ran=str(ran)))
    mapped = {"AutoConfig": "remote.TinyConfig", "AutoModel": "remote.TinyModel"}
    fields = {"model_type": "tiny_remote", "architectures": ["TinyForProcessRewardModel"], "auto_map": mapped}
    (folder / "config.json").write_text(json.dumps({**fields, "vocab_size": len(tokenizer)}))
    with pytest.raises(InputError):
        ProcessRewardModel(str(folder), device="cpu")
    assert not ran.exists()
    found = ProcessRewardModel(str(folder), device="cpu", trust_remote_code=True).step_scores(ITEMS[0])
    assert ran.exists()
    tokens = by_hand_qwen_tokens(tokenizer, SUM.text, STEPS[0])
    sums = numbers(table[tokens]).cumsum(0)
    marker = tokenizer.get_vocab()["<extra_0>"]
    np.testing.assert_allclose(
        found, [softmax(sums[at])[1] for at, token in enumerate(tokens) if token == marker], atol=1e-5
    )


# Found by name, recorded in the manifest, and used from the command line.


def test_a_verifier_is_what_its_config_says(folders: dict[str, str], tmp_path: Path) -> None:
    for name, layout in (("qwen", "qwen"), ("token_classifier", "qwen"), ("skywork", "skywork")):
        assert VerifierOptions(folders[name]).build().describe()["layout"] == layout
    assert isinstance(VerifierOptions(tiny_prms.make_reward_model(tmp_path / "reward")).build(), RewardModel)
    for folder in (folders["rlhflow"], "embedded:generator"):
        with pytest.raises(InputError, match=r"LlamaForCausalLM does not tell.*one of qwen, math_shepherd"):
            VerifierOptions(folder).build()
    unmarked = tiny_prms.make_token_classifier(tmp_path / "unmarked", marker=False)
    with pytest.raises(InputError, match="Qwen2ForTokenClassification does not tell"):
        VerifierOptions(unmarked).build()
    with pytest.raises(InputError, match=r"layout must be one of qwen.*got 'other'"):
        VerifierOptions(folders["rlhflow"], layout="other").build()


def test_settings_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'embedded:verifier': verifier_layout, verifier_aggregate and"):
        VerifierOptions("embedded:verifier", aggregate="min").build()
    with pytest.raises(InputError, match="takes no verifier_url"):
        VerifierOptions("embedded:verifier", url="http://127.0.0.1:9").build()
    with pytest.raises(InputError, match="are a process reward model's"):
        VerifierOptions(tiny_prms.make_reward_model(tmp_path), aggregate="min").build()


def test_how_it_was_read_is_in_the_manifest(
    folders: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions, pool = tmp_path / "questions.jsonl", str(tmp_path / "pool")
    questions.write_text(format_questions([Question("a", "7+5="), Question("b", "23+4=")]))
    main(["generate", pool, "--questions", str(questions), "--num_samples", "3", "--max_tokens", "40"])
    asked = ["score", pool, "--verifier", folders["rlhflow"], "--verifier_aggregate", "min"]
    with pytest.raises(SystemExit):
        main(asked)
    assert "does not tell how it reads steps" in capsys.readouterr().err
    main([*asked, "--verifier_layout", "rlhflow", "--verifier_separator", "\\n"])
    manifest = json.loads((Path(pool) / "manifest.json").read_text())
    described = manifest["scores"]["score"]
    assert (described["layout"], described["aggregate"], described["separator"]) == ("rlhflow", "min", "\n")
    with pytest.raises(SystemExit):
        main([*asked[:-1], "mean", "--verifier_layout", "rlhflow", "--verifier_separator", "\\n"])
    assert "'min'" in capsys.readouterr().err


def test_it_verifies_live(folders: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    live = ["answer", "7+5=", "--verifier", folders["rlhflow"], "--policy", "best_of_n:max_samples=3"]
    live += ["--verifier_layout", "rlhflow", "--verifier_aggregate", "last", "--verifier_separator", "\\n"]
    main([*live, "--max_tokens", "60", "--json_lines", "true"])
    answer = json.loads(capsys.readouterr().out)
    verifier = ProcessRewardModel(folders["rlhflow"], StepSettings("rlhflow", "last", "\n"), device="cpu")
    np.testing.assert_allclose(
        verifier.score([Answered(Question("0", "7+5="), answer["text"])]).values, answer["score"], atol=2e-6
    )
