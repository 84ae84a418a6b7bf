"""``optscale serve`` with the clients that people have: inspect_ai, the ``openai`` package of npm, lm-eval.

Each is the real one, installed where it is not: in the full tier alone, which may use a package registry.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from served_optscale import command, plain

from optscale_predictor.evaluation.lm_eval.eval_flags import TASKS

ROOT = Path(__file__).parents[1]
INSPECT, NPM_OPENAI = ("inspect_ai==0.3.285", "openai==3.54.0"), "openai@6.10.0"
MODEL = "embedded:generator"
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def address():
    """A real server with the embedded world."""
    with command("--port", "0", "--score_min", "0.8", "--max_tokens", "160", "--max_samples", "4") as (_, url):
        yield url


class Counted:
    """What a server counts while a block runs."""

    def __init__(self, address):
        self._address = address

    def __enter__(self):
        self._before = self._read()
        return self

    def __exit__(self, *_):
        after = self._read()
        self.answered, self.other, self.tokens = (now - before for now, before in zip(after, self._before, strict=True))

    def _read(self):
        with plain() as client:
            page = client.get(f"{self._address}/metrics").text
        found = {
            (one.name, *one.labels.values()): one.value
            for all in text_string_to_metric_families(page)
            for one in all.samples
        }
        outcomes = {name[1]: value for name, value in found.items() if name[0] == "optscale_requests_total"}
        return outcomes.pop("answered"), sum(outcomes.values()), found[("optscale_tokens_total",)]


def run(words, folder, **environment):
    """Runs a command to its end; what it printed."""
    variables = {**os.environ, **environment}
    ran = subprocess.run([str(word) for word in words], cwd=folder, env=variables, capture_output=True, text=True)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
    return ran.stdout


def test_inspect_ai_with_the_solver_of_the_examples(address, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    there = tmp_path / "env" / "bin"
    run([there / "python", "-m", "pip", "install", "-q", *INSPECT], tmp_path)
    task = (
        "eval",
        f"{ROOT / 'examples' / 'inspect_solver.py'}@sums",
        "--model",
        "none",
        "-T",
        f"base_url={address}/v1",
    )
    with Counted(address) as counted:
        run(
            [there / "inspect", *task, "--display", "plain", "--log-format", "json", "--log-dir", "log"],
            tmp_path,
            PYTHONPATH="",
        )
    (log,) = (json.loads(path.read_text()) for path in (tmp_path / "log").glob("*.json"))
    values = [sample["scores"]["last_number"] for sample in log["samples"]]
    assert (log["status"], len(values), counted.answered, counted.other) == ("success", 6, 6, 0)
    assert sum(one["value"]["tokens"] for one in values) == counted.tokens
    for one, sample in zip(values, log["samples"], strict=True):
        assert 1 <= one["value"]["samples"] <= 4 and one["metadata"]["stop_reason"]
        assert one["value"]["right"] == (one["answer"] == sample["target"])


SCRIPT = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const messages = [{ role: "user", content: "12+34=" }];
const optscale = { policy: "best_of_n:max_samples=3" };
const whole = await client.chat.completions.create({ model, messages, stop: [], optscale });
let text = "", usage = null;
for await (const part of await client.chat.completions.create(
    { model, messages, stream: true, stream_options: { include_usage: true } })) {
  text += part.choices[0]?.delta?.content ?? "";
  usage = part.usage ?? usage;
}
const plain = await client.completions.create({ model, prompt: "7+5=", stop: ["####"] });
let refused = null;
try { await client.chat.completions.create({ model: "none", messages }); }
catch (error) { refused = [error.constructor.name, error.status]; }
console.log(JSON.stringify({ model, whole, text, usage, plain, refused }));
"""


def test_the_openai_client_of_npm(address, tmp_path):
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm and node, "the full tier needs Node.js"
    run([npm, "install", "--silent", "--prefix", tmp_path, NPM_OPENAI], tmp_path)
    (tmp_path / "client.mjs").write_text(SCRIPT)
    with Counted(address) as counted:
        said = json.loads(run([node, "client.mjs", address], tmp_path))
    whole, plain_reply = said["whole"], said["plain"]
    assert (said["model"], said["refused"]) == (MODEL, ["NotFoundError", 404])
    assert whole["usage"]["samples"] == 3 and whole["optscale"]["policy"].startswith("best_of_n:max_samples=3")
    assert said["text"] and said["usage"]["chosen_tokens"] <= said["usage"]["completion_tokens"]
    assert "####" not in plain_reply["choices"][0]["text"]
    spent = (reply["usage"]["completion_tokens"] for reply in (whole, said, plain_reply))
    assert (counted.answered, counted.other, counted.tokens) == (3, 1, sum(spent))


def test_lm_eval_as_a_client(address, tmp_path):
    """As it asks by itself: with temperature 0 and an empty list of stop strings."""
    connection = f"base_url={address}/v1/chat/completions,model={MODEL},num_concurrent=4,max_retries=1"
    words = ("--model", "local-chat-completions", "--model_args", connection, "--apply_chat_template", "--limit", "6")
    tasks = ("--tasks", "optscale_arithmetic", "--include_path", TASKS)
    with Counted(address) as counted:
        run([sys.executable, "-m", "lm_eval", "run", *words, *tasks, "--output_path", "out", "--log_samples"], tmp_path)
    (results,) = (tmp_path / "out").rglob("results_*.json")
    (samples,) = (tmp_path / "out").rglob("samples_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert (len(rows), counted.answered, counted.other) == (6, 6, 0)
    assert all(row["resps"][0][0].strip() for row in rows)
    assert json.loads(results.read_text())["results"]["optscale_arithmetic"]
