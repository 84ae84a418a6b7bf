"""Generation and scoring over Ray, on this machine's two cores: complete, counted, the same as in process; and killed.

Everything here starts real actors, so all of it is in the full tier.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.embedded.train_generator import make_tokenizer
from optscale_predictor.errors import EngineError, InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.preparation.ray.cluster import RayOptions, StageResources, ray_session
from optscale_predictor.pools.preparation.ray.ray_backends import RayGenerator
from optscale_predictor.pools.preparation.ray.ray_preparation import generate_pool_with_ray, score_pool_with_ray
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.questions.arithmetic import make_questions

# Ray warns of its own settings.
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\..*")]

QUESTIONS = make_questions(20, 0, "test")
SPEC = GeneratorOptions("embedded:generator", SamplingParams(max_tokens=160), engine="transformers")
SMALL = RayOptions(StageResources(batch_samples=48), StageResources(batch_samples=64))
JUDGE = VerifierOptions("embedded:verifier")


JUDGES = """
import os
import time

def of_lengths(question, text):
    return 0.5 if len(text) % 2 else 2.0

def deadly(question, text):
    os._exit(1)

scored = 0

def held(question, text):
    # Scores 3,000 samples, and the others once the file GO is there.
    global scored
    scored += 1
    while scored > 3000 and not os.path.exists(os.environ["GO"]):
        time.sleep(0.05)
    return 0.5
"""


def judges_folder(folder: Path) -> Path:
    (folder / "judges_of_tests.py").write_text(JUDGES)
    return folder


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """One small cluster for the tests that share it; its workers find the module ``judges_of_tests``."""
    folder = judges_folder(tmp_path_factory.mktemp("judges"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "local")
        patch.setenv("PYTHONPATH", str(folder))
        with ray_session([SMALL.generation, SMALL.scoring]) as connected:
            yield connected


@pytest.fixture(scope="module")
def scored(ray: object, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """A pool generated and scored in one pipeline."""
    folder = tmp_path_factory.mktemp("ray") / "pool"
    return generate_pool_with_ray(folder, QUESTIONS, SPEC, 24, SMALL, JUDGE, progress=False, shard_samples=100)


def actors(stage: str) -> list[psutil.Process]:
    """The processes of a stage's actors."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if line.startswith("ray::") and f"{stage}Stage" in line:
            found.append(process)
    return found


def keys(pool: Pool) -> list[tuple[str, int]]:
    rows = pool.read(["question_id", "sample_index"])
    return list(zip(rows["question_id"].to_pylist(), rows["sample_index"].to_pylist(), strict=True))


def test_every_sample_is_there_once_with_its_score_and_its_tokens(scored: Pool) -> None:
    assert keys(scored) == [(question.id, index) for question in QUESTIONS for index in range(24)]
    assert list(validate_pool(scored.folder)) == []
    tokenizer, rows = make_tokenizer(), scored.read().to_pylist()
    texts = {question.id: question.text for question in QUESTIONS}
    for row in rows:
        written = len(tokenizer(row["text"])["input_ids"])
        assert row["num_tokens"] == written + (row["finish_reason"] == "stop")
        assert 0 <= row["score"] <= 1
        assert row["refusal"] is None
        assert row["verifier_tokens"] == len(tokenizer(texts[row["question_id"]] + row["text"])["input_ids"]) + 1
    assert scored.scores["score"] == {**JUDGE.build().describe()}
    assert scored.manifest["settings"]["generator"] == {**SPEC.build().describe(), "stop": []}


def test_pass_rates_and_scores_are_those_of_one_process(scored: Pool, tmp_path: Path) -> None:
    alone = generate_pool(tmp_path / "alone", QUESTIONS, SPEC.build(), 24, progress=False)
    score_pool(alone.folder, JUDGE.build(), progress=False)
    for column in ("correct", "num_tokens", "score"):
        ours, theirs = (
            np.array(pool.read([column])[column].to_pylist(), float).reshape(len(QUESTIONS), 24)
            for pool in (scored, Pool(alone.folder))
        )
        # Within questions: they differ far more from one another than samples of one.
        spread = np.sqrt((ours.var(-1, ddof=1) + theirs.var(-1, ddof=1)).mean() / 24 / len(QUESTIONS))
        assert abs(ours.mean() - theirs.mean()) < 4 * spread


def test_a_rerun_draws_what_is_missing_and_changes_no_row(scored: Pool, ray: object, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in scored.shards()}
    more = generate_pool_with_ray(scored.folder, QUESTIONS, SPEC, 32, SMALL, JUDGE, progress=False)
    assert {path.name: path.read_bytes() for path in more.shards() if path.name in before} == before
    assert keys(more) == [(question.id, index) for question in QUESTIONS for index in range(32)]
    assert more.unscored() == 0


def test_scoring_alone_gives_the_scores_of_one_process(ray: object, tmp_path: Path) -> None:
    made = generate_pool(tmp_path / "pool", QUESTIONS, SPEC.build(), 16, progress=False, shard_samples=100)
    score_pool_with_ray(made.folder, JUDGE, SMALL, column="score_ray", progress=False)
    both = score_pool(made.folder, JUDGE.build(), "score_alone", progress=False)
    rows = both.read(["score_ray", "score_alone", "verifier_tokens_ray", "verifier_tokens_alone"])
    # Padding differs with the batch, and with it the last digits.
    np.testing.assert_allclose(rows["score_ray"].to_numpy(), rows["score_alone"].to_numpy(), rtol=1e-4, atol=1e-6)
    assert rows["verifier_tokens_ray"] == rows["verifier_tokens_alone"]
    assert both.scores["score_ray"] == both.scores["score_alone"]
    assert list(validate_pool(both.folder)) == []


def test_refusals_come_back_with_their_samples(ray: object, tmp_path: Path) -> None:
    made = generate_pool(tmp_path / "pool", QUESTIONS, SPEC.build(), 4, progress=False)
    scored = score_pool_with_ray(
        made.folder, VerifierOptions("python:judges_of_tests:of_lengths"), SMALL, progress=False
    )
    rows = scored.read(["text", "score", "refusal"]).to_pylist()
    assert 0 < sum(row["score"] is None for row in rows) < len(rows)
    for row in rows:
        if len(row["text"]) % 2:
            assert (row["score"], row["refusal"]) == (0.5, None)
        else:
            assert row["score"] is None and "2.0, not in [0, 1]" in row["refusal"]
    assert scored.unscored() == 0


def make_reward_model(folder: Path) -> str:
    """A sequence classifier whose logits are far from [0, 1]."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=18,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=512,
            num_labels=1,
            pad_token_id=0,
            initializer_range=1.0,
        )
        LlamaForSequenceClassification(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)


def test_a_map_of_unbounded_rewards_is_fitted_once_and_kept(ray: object, tmp_path: Path) -> None:
    """An empty pool: samples are drawn first, the map is fitted on them, and what follows is scored with it."""
    judge = VerifierOptions(make_reward_model(tmp_path / "model"))
    some = QUESTIONS[:8]
    made = generate_pool_with_ray(tmp_path / "pool", some, SPEC, 4, SMALL, judge, progress=False)
    assert made.unscored() == 0
    fitted = made.scores["score"]["score_map"]
    assert fitted["fitted"] in ("labels", "quartiles") and fitted["samples"] == 32
    more = generate_pool_with_ray(made.folder, some, SPEC, 8, SMALL, judge, progress=False)
    assert more.unscored() == 0 and more.scores["score"]["score_map"] == fitted
    alone = score_pool(more.folder, judge.build(), "score_alone", progress=False)
    assert alone.counts() == {question.id: 8 for question in some}
    scores = np.array(alone.read(["score"])["score"].to_pylist())
    assert scores.std() > 0.05


@pytest.mark.parametrize("stage", ["Generation", "Scoring"])
def test_a_killed_actor_costs_nothing(stage: str, ray: object, tmp_path: Path) -> None:
    """The actor is killed once samples come, Ray restarts it, and every sample is there, once."""
    requests = [Request(one.id, one.text, 16, first) for one in QUESTIONS for first in (0, 16)]
    generator = RayGenerator(SPEC, SMALL, QUESTIONS, JUDGE, {"score": {}})
    seen: list[tuple[str, int]] = []
    killed = 0
    for request, samples in generator.generate(requests):
        assert len(samples) == 16
        assert all(dict(sample.columns)["score"] is not None for sample in samples)
        seen.append((request.question_id, request.first_index))
        if len(seen) > 6 and not killed:
            (victim,) = actors(stage)
            killed = victim.pid
            victim.kill()
    assert killed
    assert sorted(seen) == sorted((one.question_id, one.first_index) for one in requests)


def test_an_actor_that_dies_again_and_again_ends_the_run_in_one_line(ray: object, tmp_path: Path) -> None:
    """A verifier that kills its own process: what the pool holds stays."""
    made = generate_pool(tmp_path / "pool", QUESTIONS[:2], SPEC.build(), 4, progress=False)
    before = made.read()
    options = RayOptions(SMALL.generation, SMALL.scoring, restarts=1)
    with pytest.raises(EngineError, match="died more than 1 times") as raised:
        score_pool_with_ray(made.folder, VerifierOptions("python:judges_of_tests:deadly"), options, progress=False)
    assert "\n" not in str(raised.value)
    assert Pool(made.folder).read().equals(before)


def test_what_cannot_be_used_is_one_line(ray: object, tmp_path: Path) -> None:
    missing = GeneratorOptions("embedded:nothing", SPEC.sampling, engine="transformers")
    with pytest.raises(InputError, match=r"model 'embedded:nothing': none of that name is embedded") as raised:
        generate_pool_with_ray(tmp_path / "one", QUESTIONS, missing, 2, SMALL, progress=False)
    assert "\n" not in str(raised.value)
    long = [*QUESTIONS[:1], QUESTIONS[1].__class__("long", "1+" * 300)]
    with pytest.raises(InputError, match="question 'long': its prompt has 600 tokens"):
        generate_pool_with_ray(tmp_path / "two", long, SPEC, 2, SMALL, progress=False)
    with pytest.raises(InputError, match="embedded:none"):
        score_pool_with_ray(tmp_path / "two", VerifierOptions("embedded:none"), SMALL, progress=False)


def test_samples_are_to_the_letter_those_of_the_same_batches_in_process(ray: object) -> None:
    requests = [Request(one.id, one.text, 16) for one in QUESTIONS]
    over_ray = dict(RayGenerator(SPEC, SMALL).generate(requests))
    generator, size = SPEC.build(), SMALL.generation.batch_samples // 16
    parts = (generator.generate(requests[start : start + size]) for start in range(0, len(requests), size))
    assert over_ray == {request: samples for part in parts for request, samples in part}


def test_leaving_stops_the_actors(ray: object) -> None:
    requests = [Request(one.id, one.text, 16) for one in QUESTIONS]
    left = RayGenerator(SPEC, SMALL).generate(requests)
    next(left)
    assert actors("Generation")
    left.close()  # type: ignore[attr-defined]
    while actors("Generation"):  # if they do not stop, the test does not end
        time.sleep(0.2)


def run_cli(folder: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "optscale_predictor", "generate", str(folder), "--questions", "embedded:test:150"]
    command += ["--num_samples", "32", "--max_tokens", "160", "--ray.generation.batch_samples", "64"]
    return [*command, *more]


def test_ctrl_c_keeps_what_was_committed_and_stops_everything(tmp_path: Path) -> None:
    """The verifier waits in the middle of the work, so that the signal finds it there however fast the machine is."""
    environment = {**os.environ, "RAY_ADDRESS": "local", "OMP_NUM_THREADS": "1", "GO": str(tmp_path / "go")}
    environment["PYTHONPATH"] = os.pathsep.join([str(judges_folder(tmp_path)), os.environ.get("PYTHONPATH", "")])
    # Small batches: those before the one that waits are committed.
    batches = ("--ray.scoring.batch_samples", "64")
    command = run_cli(tmp_path / "pool", "--verifier", "python:judges_of_tests:held", *batches)
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Tests that a shell runs in the background ignore Ctrl-C, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not list((tmp_path / "pool").glob("samples-*")):
        assert process.poll() is None
        time.sleep(0.2)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "interrupted; what was committed is kept" in output
    assert "Traceback" not in output
    psutil.wait_procs(family)  # if one of them does not stop, the test does not end
    drawn = len(keys(Pool(tmp_path / "pool")))
    assert 0 < drawn < 150 * 32
    assert list(validate_pool(tmp_path / "pool")) == []
    (tmp_path / "go").touch()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    done = Pool(tmp_path / "pool")
    assert len(keys(done)) == len(set(keys(done))) == 150 * 32 and done.unscored() == 0


def test_more_than_the_machine_has_is_refused(tmp_path: Path) -> None:
    environment = {**os.environ, "RAY_ADDRESS": "local"}
    command = run_cli(tmp_path / "pool", "--verifier", "embedded:verifier", "--ray.generation.gpus", "1")
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr.strip().splitlines()[-1] == (
        "optscale: error: the stages need 1 GPUs, the cluster has 0; ask for fewer actors, or fewer GPUs each"
    )
    assert not (tmp_path / "pool").exists()
