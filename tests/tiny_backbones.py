"""Backbones of random weights, of every kind that a predictor may stand on: encoders and decoders."""

import torch
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    LlamaConfig,
    LlamaModel,
    ModernBertConfig,
    ModernBertModel,
    Qwen2Config,
    Qwen2Model,
    RobertaConfig,
    RobertaModel,
)

_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789+="]
_WORDS += [f"##{word}" for word in _WORDS[5:]]

KINDS = ("bert", "roberta", "modernbert", "llama", "qwen2")


def _make(kind: str) -> torch.nn.Module:
    vocabulary = {"vocab_size": len(_WORDS)}
    ends = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    if kind == "bert":
        return BertModel(BertConfig(**vocabulary, **_SIZES))
    if kind == "roberta":
        return RobertaModel(RobertaConfig(**vocabulary, **_SIZES, **ends, max_position_embeddings=130))
    if kind == "modernbert":
        special = {"cls_token_id": 2, "sep_token_id": 3}
        return ModernBertModel(ModernBertConfig(**vocabulary, **_SIZES, **ends, **special, attn_implementation="sdpa"))
    if kind == "llama":
        return LlamaModel(LlamaConfig(**vocabulary, **_SIZES, **ends))
    return Qwen2Model(Qwen2Config(**vocabulary, **_SIZES, **ends, num_key_value_heads=2))


def save_backbone(folder, kind: str) -> str:
    """Writes model and tokenizer; returns the folder's name, which a config takes as base model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(_WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    _make(kind).save_pretrained(folder)
    return str(folder)
