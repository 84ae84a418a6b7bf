#!/usr/bin/env bash
# PEFT finds layer 3 of a model with a language head, and not of the same model without one (as AutoModel loads it).
#
# Versions: peft 0.21.2, transformers 5.24.0, torch 2.13.0.
# Seen: LoraConfig(target_modules=["q_proj", "v_proj"], layers_to_transform=[3]) tunes two modules of LlamaForCausalLM; on
#   LlamaModel get_peft_model raises ("Target modules {...} not found in the base model"): without layers_pattern a layer's
#   number is looked for behind two names at least, and "layers.3.self_attn.q_proj" has one. layers_pattern="layers" mends
#   it. "all-linear" goes with layers_to_transform in neither model: ValueError, since it is a string.
# Expected: the same layers of the same stack, also where predictors and reward models take a model without its head.
# Here: the linear modules of the top layers are looked up in the model and named to PEFT in full.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'torch==2.13.0'
"$folder/venv/bin/pip" install -q 'peft==0.21.2' 'transformers==5.24.0'
"$folder/venv/bin/python" - <<'EOF' 2> "$folder/log" || { tail -n 5 "$folder/log"; exit 1; }
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2}


def tuned(kind, **settings):
    model = kind(LlamaConfig(vocab_size=64, num_hidden_layers=4, **SIZES))
    try:
        adapted = get_peft_model(model, LoraConfig(r=2, layers_to_transform=[3], **settings))
    except ValueError as error:  # the base of PEFT's own
        return str(error).partition("{")[0].strip()
    return len([name for name, _ in adapted.named_modules() if name.endswith(".lora_A")])


listed = {"target_modules": ["q_proj", "v_proj"]}
seen = []
for settings in (listed, {**listed, "layers_pattern": "layers"}, {"target_modules": "all-linear"}):
    for kind in (LlamaForCausalLM, LlamaModel):
        seen.append(tuned(kind, **settings))
        print(f"{kind.__name__}, {settings}: {seen[-1]}")
refused = "`layers_to_transform` cannot be used when `target_modules` is a str."
assert seen == [2, "Target modules", 2, 2, refused, refused], "PEFT behaves otherwise now"
EOF
