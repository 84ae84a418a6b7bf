"""Engines by name, and as plain data that a worker elsewhere can build them from."""

import pickle
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from optscale_predictor.backends.generators import Request, SamplingParams, ServerOptions, VLLMOptions
from optscale_predictor.backends.generators.continuous_batching import ContinuousBatchingGenerator
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.verifiers import RewardVerifier
from optscale_predictor.embedded.train_generator import make_config, make_tokenizer
from optscale_predictor.errors import InputError
from optscale_predictor.pools import PoolWriter
from optscale_predictor.pools.preparation.ray import ray_backends
from optscale_predictor.pools.preparation.ray.cluster import RayOptions, StageResources
from optscale_predictor.pools.preparation.ray.stages import REQUESTS, ScoringEngine
from optscale_predictor.predictor.provenance import first_difference, source_of_pool
from optscale_predictor.questions.question import Question


def test_auto_is_the_server_where_there_is_one_and_transformers_elsewhere() -> None:
    import torch

    assert GeneratorOptions(base_url="http://127.0.0.1:9/v1").choose_engine() == "server"
    assert GeneratorOptions(engine="server", base_url="http://127.0.0.1:9/v1").choose_engine() == "server"
    assert GeneratorOptions(engine="vllm").choose_engine() == "vllm"
    if not torch.cuda.is_available():
        assert GeneratorOptions().choose_engine() == "transformers"


@pytest.mark.parametrize(
    ("engine", "url", "says"),
    [
        ("sglang", None, "engine must be one of auto, transformers, continuous, vllm, server, got 'sglang'"),
        ("server", None, "engine 'server' needs a base_url"),
        ("vllm", "http://127.0.0.1:9/v1", "engine 'vllm' takes no base_url"),
    ],
)
def test_an_engine_that_cannot_be_is_named(engine: str, url: str | None, says: str) -> None:
    with pytest.raises(InputError) as raised:
        GeneratorOptions("embedded:generator", SamplingParams(), engine, url)
    assert str(raised.value) == says


@pytest.mark.parametrize(
    ("engine", "kind"),
    [("transformers", HuggingFaceGenerator), ("continuous", ContinuousBatchingGenerator)],
)
def test_a_specification_builds_its_engine_and_knows_its_description(engine: str, kind: type) -> None:
    spec = GeneratorOptions("embedded:generator", SamplingParams(stop=("####",), seed=3), engine=engine)
    built = pickle.loads(pickle.dumps(spec)).build()
    assert type(built) is kind
    assert built.describe() == spec.describe()


def test_the_descriptions_of_both_transformers_engines_are_one() -> None:
    """A pool begun on a CPU may be continued on a GPU."""
    one, other = (
        GeneratorOptions("embedded:generator", SamplingParams(), engine=engine)
        for engine in ("transformers", "continuous")
    )
    assert one.describe() == other.describe()
    assert one.describe() != GeneratorOptions("embedded:generator", SamplingParams(), chat=True).describe()
    vllm = GeneratorOptions("embedded:generator", SamplingParams(), engine="vllm", vllm=VLLMOptions(dtype="float32"))
    assert {"adapter": "vllm", "dtype": "float32"}.items() <= vllm.describe().items()
    assert GeneratorOptions().describe() == one.describe()  # the embedded generator, where none is named


def test_a_manifest_names_what_more_of_vllms_arguments_may_change_samples(tmp_path: Path) -> None:
    def described(**more: object) -> dict[str, Any]:
        options = VLLMOptions(more=more)
        return dict(GeneratorOptions("embedded:generator", SamplingParams(), engine="vllm", vllm=options).describe())

    plain, quantized = described(), described(quantization="fp8", max_num_seqs=8, hf_overrides={"a": [1]})
    assert "engine_arguments" not in plain and described(max_num_seqs=8, enable_prefix_caching=False) == plain
    assert quantized.pop("engine_arguments") == {"quantization": "fp8", "hf_overrides": {"a": [1]}}
    assert quantized == plain
    # A pool is not continued with others, and a predictor does not take one for the other.
    question = [Question("q", "1+1=")]
    with PoolWriter(tmp_path / "pool", question, {"generator": plain, "prompt": "{question}"}):
        pass
    with pytest.raises(InputError, match=r"engine_arguments\.quantization was None, now 'fp8'"):
        PoolWriter(tmp_path / "pool", question, {"generator": described(quantization="fp8"), "prompt": "{question}"})
    sources = [
        source_of_pool({"settings": {"generator": described(quantization=name)}, "scores": {}})
        for name in ("fp8", "awq")
    ]
    assert "engine_arguments" in (first_difference(*sources) or "")


@pytest.mark.parametrize("value", [date(2026, 11, 30), {1, 2}, float("nan"), b"x"])
def test_what_no_manifest_can_record_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"vllm.more must be of JSON types"):
        VLLMOptions(more={"seed": value})
    with pytest.raises(InputError, match="extra_body must be of JSON types"):
        ServerOptions(extra_body={"field": value})


def test_a_verifiers_specification_takes_a_map_along(tmp_path: Path) -> None:
    import torch
    from transformers import LlamaForSequenceClassification

    config = make_config(make_tokenizer())
    config.num_labels = 1
    with torch.random.fork_rng():
        LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    score_map = {"location": 1.5, "scale": 2.0, "fitted": "labels", "samples": 40}
    spec = ScoringEngine(VerifierOptions(str(tmp_path), batch_size=8), score_map)
    built = pickle.loads(pickle.dumps(spec)).build()
    assert isinstance(built, RewardVerifier)
    assert built.describe()["score_map"] == score_map


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"actors": 0}, "actors must be >= 1, got 0"),
        ({"actors": 3, "most_actors": 2}, r"most_actors must be >= actors \(3\), got 2"),
        ({"gpus": -1.0}, "cpus and gpus must be >= 0, got 1.0 and -1.0"),
        ({"cpus": float("nan")}, "cpus and gpus must be >= 0, got nan and 0.0"),
        ({"batch_samples": 0}, "batch_samples must be >= 1, got 0"),
    ],
)
def test_resources_out_of_range_are_named(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        StageResources(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="restarts must be >= 0, got -1"):
        RayOptions(restarts=-1)


def test_importing_the_commands_loads_no_engine() -> None:
    code = (
        "import sys, optscale_predictor.cli.main, optscale_predictor.cli.verbs; "
        "print([m for m in ('ray', 'vllm', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_ray_is_given_of_a_request_is_what_its_stages_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray, which the fast tier does not start."""
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(ray_backends, "run_stages", lambda rows, *_: sent.extend(rows) or [])
    generator = ray_backends.RayGenerator(GeneratorOptions("embedded:generator", SamplingParams()), RayOptions())
    assert list(generator.generate([Request("q", "1+1=", 3, 2)])) == []
    (row,) = sent
    read = {name: row[name] for name in REQUESTS.names if name in row}
    assert read == {"question_id": "q", "prompt": "1+1=", "num_samples": 3, "first_index": 2}
