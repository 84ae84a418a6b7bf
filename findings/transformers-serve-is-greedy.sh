#!/usr/bin/env bash
# transformers serve decodes greedily whatever the temperature of a request, and answers n = 4 with one sample.
#
# Versions: transformers 5.24.0, torch 2.13.0.
# Seen: a model folder that sets no sampling of its own; eight requests with temperature 1 (or 2) and eight seeds give one
#   text, and the same with `generation_config` {"do_sample": true} give eight. n = 4 gives one choice and status 200;
#   the server's own log alone says that n is ignored.
# Expected: a temperature above 0 samples and n samples are listed, as in OpenAI's API, or the request is refused.
# Here: a warning names an engine whose first 32 requests each have equal samples, the documentation names the field
#   above, and a server that lists one sample is asked for one at a time.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'torch==2.13.0'
"$folder/venv/bin/pip" install -q 'transformers[serving]==5.24.0'
cd "$folder"
HF_HUB_OFFLINE=1 venv/bin/python - <<'EOF' 2> log || { tail -n 5 log; exit 1; }
import json
import socket
import subprocess
import time
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

pieces = Tokenizer(models.BPE())
pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
pieces.train_from_iterator(["one two three"], trainers.BpeTrainer(special_tokens=["</s>"], initial_alphabet=alphabet))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=pieces, eos_token="</s>", pad_token="</s>")
set_seed(1)
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
ends = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0}
LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), num_hidden_layers=2, **sizes, **ends)).save_pretrained("tiny")
tokenizer.save_pretrained("tiny")
with socket.socket() as free:
    free.bind(("localhost", 0))
    port = free.getsockname()[1]
server = subprocess.Popen(["venv/bin/transformers", "serve", "tiny", "--port", str(port), "--device", "cpu"])


def texts(**fields):
    body = {"model": "tiny", "prompt": "one two three", "max_tokens": 8, "top_p": 1.0, **fields}
    asked = Request(f"http://localhost:{port}/v1/completions", json.dumps(body).encode())
    asked.add_header("Content-Type", "application/json")
    with urlopen(asked) as reply:
        return [choice["text"] for choice in json.load(reply)["choices"]]


try:
    while True:
        try:
            texts()
            break
        except HTTPError:
            raise
        except URLError:
            assert server.poll() is None, "the server has ended"
            time.sleep(1)
    sampling = json.dumps({"do_sample": True, "max_new_tokens": 8})
    seen = []
    for fields in ({"temperature": 1.0}, {"temperature": 2.0}, {"temperature": 1.0, "generation_config": sampling}):
        seen.append(len({text for seed in range(8) for text in texts(seed=seed, **fields)}))
        print(f"{fields}: {seen[-1]} distinct texts of 8 seeds")
    seen.append(len(texts(n=4, temperature=1.0)))
    print(f"n = 4: {seen[-1]} listed")
finally:
    server.terminate()
    server.wait()
assert seen == [1, 1, 8, 1], "transformers serve behaves otherwise now"
EOF
