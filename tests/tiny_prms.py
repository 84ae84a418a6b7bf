"""Process reward models of the published architectures and label layouts, of random weights and two layers.

Their tokenizers are trained here on a few sentences, hold the tokens that the published ones hold, and share nothing
else with them: ids differ, so a test that passes proves that ids are looked up.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForTokenClassification,
)

CONTEXT = 256
_SENTENCES = [
    "What is 7 + 5? First we add 7 and 5.",
    "7 + 5 = 12 and 12 - 4 = 8, so the answer is 12.",
    "There are 16 eggs a day; she eats three and sells the rest for $2 each. ки\nSo she earns 18 ки",
    "Step 1: 3 * (2 + 4) = 18 ки\nStep 2: the answer is \\boxed{18} ки",
]

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def byte_level(
    special: list[str], template: str | None, vocab_size: int = 400, **names: str
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, as Qwen's and Llama 3's are."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(_SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made, additional_special_tokens=special, clean_up_tokenization_spaces=False, **names
    )
    tokenizer.chat_template = template
    return tokenizer


def qwen_tokenizer(marker: bool = True) -> PreTrainedTokenizerFast:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + (["<extra_0>"] if marker else [])
    return byte_level(special, CHATML, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def llama_tokenizer(template: str | None = LLAMA3) -> PreTrainedTokenizerFast:
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    return byte_level(special, template, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    """Words with their space before them, as in Mistral's, `` ки`` among them; a start token is added."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    # SentencePiece has no piece across a line's end.
    lines = pre_tokenizers.Split("\n", behavior="isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([lines, pre_tokenizers.Metaspace(prepend_scheme="first")])
    made.decoder = decoders.Metaspace(prepend_scheme="first")
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=260, special_tokens=special, show_progress=False)
    made.train_from_iterator([*_SENTENCES, "+ - + - ки ки книжки"] * 3, trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def _sizes(tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,  # heads of 32: the smallest that vLLM has on a CPU
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.2,  # scores that differ: at 0.02 they would all be near one half
    }


def _save(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, folder: Path) -> str:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def make_qwen(folder: Path, scale: float = 1.0) -> str:
    """Qwen2.5-Math-PRM's: a backbone, ``score.0`` and ``score.2``, its architecture's name and remote code's map."""
    torch.manual_seed(1)
    tokenizer = qwen_tokenizer()
    config = Qwen2Config(**_sizes(tokenizer))
    _save(Qwen2ForCausalLM(config), tokenizer, folder)
    width = config.hidden_size
    head = {"score.0.weight": torch.randn(width, width) * 0.2, "score.0.bias": torch.randn(width)}
    head |= {"score.2.weight": torch.randn(2, width) * 0.2 * scale, "score.2.bias": torch.randn(2)}
    edit_tensors(folder, head)
    remote = {"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig"}
    remote |= {"AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel"}
    edit_config(folder, architectures=["Qwen2ForProcessRewardModel"], auto_map=remote)
    return str(folder)


def make_token_classifier(folder: Path, labels: int = 2, marker: bool = True) -> str:
    """A token classifier of transformers' own; with one label what a server makes of Skywork's."""
    torch.manual_seed(2)
    tokenizer = qwen_tokenizer(marker)
    model = Qwen2ForTokenClassification(Qwen2Config(**_sizes(tokenizer), num_labels=labels))
    torch.nn.init.normal_(model.score.bias)
    return _save(model, tokenizer, folder)


def make_math_shepherd(folder: Path) -> str:
    torch.manual_seed(3)
    tokenizer = mistral_tokenizer()
    return _save(MistralForCausalLM(MistralConfig(**_sizes(tokenizer), sliding_window=None)), tokenizer, folder)


def make_rlhflow(folder: Path) -> str:
    torch.manual_seed(4)
    tokenizer = llama_tokenizer()
    return _save(LlamaForCausalLM(LlamaConfig(**_sizes(tokenizer))), tokenizer, folder)


def make_skywork(folder: Path) -> str:
    """Skywork-o1-Open-PRM's: a causal language model, and ``v_head.summary`` beside it."""
    torch.manual_seed(5)
    tokenizer = qwen_tokenizer(marker=False)
    config = Qwen2Config(**_sizes(tokenizer))
    _save(Qwen2ForCausalLM(config), tokenizer, folder)
    head = {"v_head.summary.weight": torch.randn(1, config.hidden_size) * 0.2, "v_head.summary.bias": torch.randn(1)}
    edit_tensors(folder, head)
    edit_config(folder, architectures=["Qwen2ForPrmModel"])
    return str(folder)


def make_reward_model(folder: Path) -> str:
    """A Bradley-Terry model: one label for the whole conversation."""
    torch.manual_seed(6)
    tokenizer = llama_tokenizer()
    tokenizer.pad_token = "<|eot_id|>"
    config = LlamaConfig(**_sizes(tokenizer), num_labels=1, pad_token_id=tokenizer.pad_token_id)
    return _save(LlamaForSequenceClassification(config), tokenizer, folder)


def edit_tensors(folder: Path, new: dict[str, torch.Tensor], drop: str = "nothing") -> None:
    """Adds tensors to a model's file, and drops those whose names start with ``drop``."""
    file = Path(folder) / "model.safetensors"
    kept = {key: tensor for key, tensor in load_file(file).items() if not key.startswith(drop)}
    save_file({**kept, **new}, file, metadata={"format": "pt"})


def edit_config(folder: Path, **fields: object) -> None:
    file = Path(folder) / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
