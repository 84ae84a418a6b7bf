"""Small sound files of every kind that ``optscale`` reads, made by its own commands: what the corpus damages.

One folder holds them all; a case works on a copy of those that its command names.
"""

import json
import shutil
from pathlib import Path

from fitted_policies import made_up
from fuzz_inputs import LOG, PUBLISHED, RUBRIC
from hostile_damage import gguf_header
from paper_pools import write_layout
from recorded_runs import record_run, sums_pool
from solved_sums import write_sums
from two_scores import MADE, scored_pool

from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.cli.main import main
from optscale_predictor.policies.fitted.model_files import save_fitted
from optscale_predictor.predictor.training.train_command import main as train

_TRAINING = """seed_everything: 0
trainer: {max_epochs: 1, accelerator: cpu}
model: {output: out, base_model: "embedded:generator", pooling: mean, learning_rate: 2.0e-3}
data: {path: TARGETS, batch_size: 8}
"""


def make_world(folder: Path) -> Path:
    """Writes everything; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _texts(folder)
    drawn = ["generate", folder / "pool", "--questions", "embedded:train:16", "--num_samples", 4, "--max_tokens", 160]
    _run(*drawn, "--shard_samples", 32)
    shutil.copytree(folder / "pool", folder / "unscored")
    _run("score", folder / "pool", "--verifier", "embedded:verifier")
    shutil.copytree(folder / "pool", folder / "other")  # of the same settings and other samples
    _run("targets", folder / "pool", "--output", folder / "targets" / "targets.parquet", "--validation_share", 0.3)
    (folder / "train.yaml").write_text(_TRAINING.replace("TARGETS", str(folder / "targets" / "targets.parquet")))
    train(["fit", "--config", str(folder / "train.yaml"), "--model.output", str(folder / "predictor")])
    (folder / "train.yaml").write_text(_TRAINING.replace("TARGETS", "targets/targets.parquet"))
    pool = ("train-verifier", folder / "pool", "--epochs", 1, "--validation_share", 0.4, "--samples", 2)
    _run(*pool, "--output", folder / "verifier")
    _run("train-generator", folder / "solved.jsonl", "--epochs", 1, "--output", folder / "generator")
    _run("calibrate", folder / "pool", folder / "map.json")
    shutil.copytree(resolve_model("embedded:generator"), folder / "model")
    shutil.copytree(resolve_model("embedded:verifier"), folder / "likelihood")
    save_fitted(made_up(), folder / "fitted")
    MADE.save(folder / "combined")
    scored_pool(folder / "two_scores")
    record_run(folder / "run", sums_pool(folder / "sums", questions=8))
    write_layout(folder / "layout", questions=6, depth=4)
    shutil.rmtree(folder / "predictor_training", ignore_errors=True)
    return folder


def _run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


def _texts(folder: Path) -> None:
    asked = [{"id": f"q{number}", "question": f"{number}+1=", "answer": str(number + 1)} for number in range(6)]
    _lines(folder / "questions.jsonl", asked)
    rows = "".join(f"q{number},{number}+2=,{number + 2}\n" for number in range(6))
    (folder / "questions.csv").write_text(f"id,question,answer\n{rows}")
    write_sums(folder / "solved.jsonl", 20)
    (folder / "prompt.txt").write_text("{question}")
    (folder / "rubric.txt").write_bytes(RUBRIC)
    samples = [
        {**one, "question_id": one["id"], "gold": one["answer"], "text": f"#### {place}", "score": 0.5, "num_tokens": 3}
        for one in asked
        for place in range(2)
    ]
    _lines(folder / "samples.jsonl", [{key: row[key] for key in row if key not in ("id", "answer")} for row in samples])
    _lines(folder / "log.jsonl", [LOG])
    (folder / "published.json").write_text(json.dumps([PUBLISHED]))
    (folder / "header.gguf").write_bytes(gguf_header([(b"general.name", 8, b"\4\0\0\0\0\0\0\0tiny")]))
    flags = {"questions": "questions.jsonl", "num_samples": 2, "max_tokens": 8, "seed": 3, "server": {"timeout": 5.0}}
    (folder / "flags.yaml").write_text(json.dumps(flags))
    pool = {"pool": "prepared", "questions": "questions.jsonl", "num_samples": 2, "max_tokens": 8}
    steps = {"generate": pool, "score": {"pool": "prepared"}}
    (folder / "recipe.yaml").write_text(json.dumps(steps))
    settings = {"tasks": ["optscale_questions"], "metadata": {"questions": "questions.jsonl"}, "limit": 2}
    settings["model_args"] = {"policy": "best_of_n", "max_samples": 2, "max_tokens": 8}
    (folder / "eval.yaml").write_text(json.dumps(settings))


def _lines(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
