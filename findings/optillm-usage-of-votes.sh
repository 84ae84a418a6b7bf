#!/usr/bin/env bash
# optillm's proxy asks with settings of its own, whatever a request says, and its usage leaves out what it threw away.
#
# Versions: optillm 0.4.0.
# Seen: a request for self_consistency with temperature 0, a seed, a stop and n = 3 becomes 15 requests at temperature 1
#   without seed, stop or n: five for each of three answers. Samples that were cut off are left out of the vote and of
#   usage.completion_tokens, though they were paid for: 15 samples of 8 tokens, 3 of them cut off, are told as 96. The
#   usage has no prompt tokens and no total, and the user's words reach the model with "User: " before them.
# Expected: a request's settings are kept, or refused; the usage counts every token, as OpenAI's API has it.
# Here: benchmarks/peers.py counts requests and tokens at the server, and its chat template takes "User: " away again.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps 'optillm==0.4.0'  # what else it names (torch, spacy, gradio) other approaches use
"$folder/venv/bin/pip" install -q 'aiohttp==3.14.5' 'cerebras_cloud_sdk==1.91.0' 'flask==3.1.2' 'math-verify==0.9.0' \
    'networkx==3.6.1' 'numpy==2.4.6' 'openai==3.57.0' 'pyyaml==6.0.4' 'requests==2.34.2' 'sympy==1.14.0' 'z3-solver==4.15.4.0'
cd "$folder"
venv/bin/python - <<'EOF_PYTHON' 2> log || { tail -n 5 log; exit 1; }
import json
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

asked = []


class Server(BaseHTTPRequestHandler):
    """Answers every request with one sample of eight tokens; of every five, the fifth is cut off."""

    def do_POST(self):
        asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        message = {"role": "assistant", "content": "6"}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if len(asked) % 5 else "length"}
        usage = {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18}
        body = {"id": "one", "object": "chat.completion", "created": 0, "model": "any", "choices": [choice], "usage": usage}
        reply = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
command = ["venv/bin/python", "-c", "from optillm import main; main()", "--port", str(port)]
command += ["--base-url", f"http://127.0.0.1:{server.server_port}/v1"]
proxy = subprocess.Popen(command, env={"OPENAI_API_KEY": "none", "PATH": "/usr/bin:/bin"})
body = {"model": "self_consistency-any", "messages": [{"role": "user", "content": "one two three"}], "max_tokens": 8}
request = Request(
    f"http://127.0.0.1:{port}/v1/chat/completions",
    json.dumps({**body, "temperature": 0.0, "seed": 7, "stop": ["."], "n": 3}).encode(),
    {"Content-Type": "application/json"},
)
try:
    while True:
        try:
            with urlopen(request) as reply:
                told = json.load(reply)
            break
        except HTTPError:
            raise
        except URLError:
            assert proxy.poll() is None, "the proxy has ended"
            time.sleep(1)
finally:
    proxy.terminate()
    proxy.wait()
seen = {key: {json.dumps(one.get(key)) for one in asked} for key in ("temperature", "seed", "stop", "n")}
words = {one["messages"][-1]["content"] for one in asked}
print(f"{len(asked)} requests, each with {seen}; the user's words as {words}; usage {told['usage']}")
as_seen = len(asked) == 15 and seen == {"temperature": {"1"}, "seed": {"null"}, "stop": {"null"}, "n": {"null"}}
as_seen = as_seen and words == {"User: one two three"} and told["usage"]["completion_tokens"] == 96
assert as_seen and "prompt_tokens" not in told["usage"], "optillm behaves otherwise now"
EOF_PYTHON
