"""GGUF files: what is unpacked computes what the model computed that was written, once, and faults are one line."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.model_loading import load_pretrained, resolve_model
from optscale_predictor.errors import InputError

CONFIG = LlamaConfig(
    vocab_size=259,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    bos_token_id=256,
    eos_token_id=257,
)
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def name_in_file(name):
    whole = name.removesuffix(".weight")
    if whole in OUTER:
        return f"{OUTER[whole]}.weight"
    _, _, layer, part = whole.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def for_file(name, tensor):
    """The format's order of a head's rows: pairs that rotate together stand side by side (llama.cpp's converter)."""
    heads = {"q_proj": CONFIG.num_attention_heads, "k_proj": CONFIG.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return tensor
    rows, columns = tensor.shape
    return np.ascontiguousarray(
        tensor.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
    )


def bytes_as_letters():
    """The letters by which byte-level BPE writes the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def write_gguf(path, model):
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONFIG.max_position_embeddings)
    writer.add_embedding_length(CONFIG.hidden_size)
    writer.add_block_count(CONFIG.num_hidden_layers)
    writer.add_feed_forward_length(CONFIG.intermediate_size)
    writer.add_head_count(CONFIG.num_attention_heads)
    writer.add_head_count_kv(CONFIG.num_key_value_heads)
    writer.add_layer_norm_rms_eps(CONFIG.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(CONFIG.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*bytes_as_letters(), "<s>", "</s>", "12"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL])
    writer.add_token_merges(["1 2"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    for name, tensor in model.state_dict().items():
        writer.add_tensor(name_in_file(name), for_file(name, tensor.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(CONFIG).eval()


@pytest.fixture
def file(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_gguf(tmp_path / "tiny.gguf", model)
    return tmp_path / "tiny.gguf"


def test_what_is_unpacked_computes_what_was_written(model, file, capsys):
    unpacked = load_pretrained(AutoModelForCausalLM, str(file), "cpu")
    tokens = torch.randint(0, 256, (3, 20), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(unpacked(tokens).logits, model(tokens).logits, rtol=1e-4, atol=1e-4)
    tokenizer = load_pretrained(AutoTokenizer, str(file))
    assert tokenizer("a b")["input_ids"][-3:] == [bytes_as_letters().index(letter) for letter in "aĠb"]
    assert tokenizer.decode(tokenizer("12 + 30 = é")["input_ids"], skip_special_tokens=True) == "12 + 30 = é"
    assert capsys.readouterr().err.count("unpacking tiny.gguf") == 1  # once, though it was named twice


def test_it_is_a_folder_that_can_be_saved_trained_and_drawn_from(file, tmp_path):
    folder = Path(resolve_model(str(file)))
    assert folder.is_relative_to(tmp_path / "cache")
    assert {"model.safetensors", "config.json", "tokenizer.json", "gguf_source.json"} <= {
        one.name for one in folder.iterdir()
    }
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    load_pretrained(AutoModelForCausalLM, str(file), "cpu").save_pretrained(tmp_path / "again")
    generator = HuggingFaceGenerator(str(file), SamplingParams(max_tokens=5), device="cpu")
    ((_, samples),) = generator.generate([Request("q", "1+1=", 3)])
    assert [1 <= sample.num_tokens <= 5 for sample in samples] == [True] * 3


def test_a_changed_file_is_unpacked_anew_and_an_unfinished_folder_is_none(model, file, tmp_path):
    before = resolve_model(str(file))
    other = LlamaForCausalLM(CONFIG)
    write_gguf(file, other)
    after = resolve_model(str(file))
    assert before != after and resolve_model(str(file)) == after
    assert sorted(one.name for one in Path(after).parent.iterdir()) == sorted([Path(before).name, Path(after).name])


def test_a_package_that_holds_one_file(file, tmp_path, monkeypatch):
    package = tmp_path / "site" / "holds_gguf"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(InputError, match=r"no model.safetensors and no GGUF file in Python package 'holds_gguf'"):
        resolve_model("package:holds_gguf")
    (package / "model.gguf").write_bytes(file.read_bytes())
    assert Path(resolve_model("package:holds_gguf")).name.startswith("model-")
    (package / "other.gguf").write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="2 GGUF files in Python package"):
        resolve_model("package:holds_gguf")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no such format at all", b"GGUF\x03\0\0\0"])
def test_what_is_no_gguf_file_is_one_line_and_leaves_nothing(content, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(InputError, match=r"^model '.*bad.gguf': bad.gguf cannot be read: .+$") as raised:
        resolve_model(str(tmp_path / "bad.gguf"))
    assert "\n" not in str(raised.value)
    assert not list((tmp_path / "cache").rglob("*bad*"))
    with pytest.raises(InputError, match="no such file"):
        resolve_model(str(tmp_path / "none.gguf"))


def test_a_cache_that_cannot_be_written(file, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "taken"))
    with pytest.raises(InputError, match="cannot write"):
        resolve_model(str(file))
