#!/usr/bin/env bash
# its-hub's Best-of-N asks for its samples one request at a time, and takes a sample that was cut off for a whole one.
#
# Versions: its-hub 1.2.0.
# Seen: BestOfN with a budget of 8 sends eight requests, none with "n"; its usage counts the prompt eight times. A sample
#   whose finish_reason is "length" is scored and chosen as any other, and nothing of what is returned says so.
# Expected: one request with n = 8, whose prompt is read and counted once, as OpenAI's API has it; or a sign that the
#   chosen sample is not whole.
# Here: benchmarks/peers.py counts requests and tokens at the server, and not from what a side tells of itself.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'its-hub[lm]==1.2.0'
"$folder/venv/bin/python" - <<'EOF_PYTHON' 2> "$folder/log" || { tail -n 5 "$folder/log"; exit 1; }
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from its_hub import AbstractOutcomeRewardModel, BestOfN, OpenAICompatibleLanguageModel

asked = []


class Server(BaseHTTPRequestHandler):
    """Answers every request with one sample of five tokens, the third of them cut off."""

    def do_POST(self):
        asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        number = len(asked)
        message = {"role": "assistant", "content": f"sample {number}"}
        choice = {"index": 0, "message": message, "finish_reason": "length" if number == 3 else "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        reply = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


class LikesTheThird(AbstractOutcomeRewardModel):
    def score(self, messages, **_):
        raise NotImplementedError

    async def ascore(self, messages, orchestrator=None, **_):
        return [float(one[-1].content == "sample 3") for one in messages]


async def best(url):
    async with OpenAICompatibleLanguageModel(url, "none", "any", temperature=1.0) as model:
        return await BestOfN(LikesTheThird()).ainfer(model, "one two three", 8, return_response_only=False)


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
found = asyncio.run(best(f"http://127.0.0.1:{server.server_port}/v1"))
print(f"{len(asked)} requests, {sum('n' in one for one in asked)} of them with n; usage {found.usage}; chosen {found.the_one}")
as_seen = len(asked) == 8 and not any("n" in one for one in asked)
as_seen = as_seen and (found.usage.prompt_tokens, found.usage.completion_tokens) == (80, 40)
as_seen = as_seen and found.the_one["content"] == "sample 3" and "length" not in json.dumps(found.the_one)
assert as_seen, "its-hub behaves otherwise now"
EOF_PYTHON
