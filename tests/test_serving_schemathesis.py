"""Schemathesis over the server's own description: what it makes of the document is taken or refused as that says."""

import subprocess
import sys
from pathlib import Path

import pytest
from served_optscale import plain, scaler_of, served, written_generator

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",  # its opposite cannot hold: what no schema can say is a 400
    "unsupported_method",
    "ignored_auth",
)
#: A client whose own time limit allows no sample is told 504.
SETTINGS = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 504]\n'
EXAMPLES = 200  # an operation


@pytest.mark.full
def test_the_server_is_what_it_says_it_is(tmp_path):
    program = Path(sys.executable).with_name("st")
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    command = [str(program), "run", "--max-examples", str(EXAMPLES), "--checks", ",".join(CHECKS), "--seed", "0"]
    with (
        written_generator() as generator,
        served(scaler_of(generator.url), conversations=True, timeout=30.0, api_key="a-key") as server,
    ):
        command += ["-H", "Authorization: Bearer a-key", f"{server.url}/openapi.json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        server.wait_until_idle()
        assert server.application.handler._session.budget.samples > 0


def test_a_method_that_a_path_does_not_have_is_told_which_it_has():
    with written_generator() as generator, served(scaler_of(generator.url)) as server, plain() as client:
        asked = {path: client.request("DELETE", f"{server.url}{path}") for path in ("/v1/completions", "/health")}
    assert {path: (reply.status_code, reply.headers.get("Allow")) for path, reply in asked.items()} == {
        "/v1/completions": (405, "POST"),
        "/health": (405, "GET,HEAD"),
    }
