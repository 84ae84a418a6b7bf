"""An example or two of each verb, for its help; a test holds that every one is read by the verb's own parser."""

from collections.abc import Mapping

#: Commands by verb, without ``optscale`` and the verb in front.
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "demo": ("--output demo", "--world smollm2 --output runs/smollm2"),
    "generate": (
        "runs/pool --questions questions.jsonl --num_samples 16 --base_url http://127.0.0.1:8000/v1 --chat true",
        "runs/pool --questions embedded:train:200 --num_samples 8",
    ),
    "score": ("runs/pool --verifier YOUR/REWARD-MODEL", "runs/pool --verifier math_verify --column score_right"),
    "targets": ("runs/pool --output runs/targets/targets.parquet",),
    "pool info": ("runs/pool",),
    "pool validate": ("runs/pool", "runs/pool --repair true"),
    "pool merge": ("runs/machine_1 runs/machine_2 --output runs/pool",),
    "pool export": ("runs/pool samples.jsonl.gz",),
    "pool import": ("runs/pool samples_*.jsonl --format lm_eval",),
    "pool push": ("runs/pool name/samples --private true",),
    "predict": ("runs/predictor questions.jsonl --output priors.jsonl",),
    "assess": ("runs/predictor runs/targets/targets.parquet --pool runs/pool --output runs/predictor",),
    "calibrate": ("runs/pool map.json --diagram reliability.png",),
    "fit-policy": ("runs/pool --output runs/policy", "runs/a runs/b --scores score,score_prm --output runs/policy"),
    "train-verifier": ("runs/pool --model YOUR/MODEL --output runs/verifier",),
    "train-generator": ("questions.jsonl --model YOUR/MODEL --output runs/generator",),
    "merge-generator": ("runs/generator runs/merged",),
    "answer": (
        '"12+34=" --score_min 0.9',
        "questions.jsonl --base_url http://127.0.0.1:8000/v1 --chat true --verifier YOUR/REWARD-MODEL "
        "--output answers.jsonl",
    ),
    "replay": ('runs/pool --policies "best_of_n:max_samples=8 optscale:score_min=0.9" --output runs/replay',),
    "tune": ("runs/pool --output runs/tuned",),
    "paper-table": ("pools --output runs/paper_table",),
    "report": (
        "runs/mine/records/optscale_questions --output runs/mine/report",
        'runs/pool --policies "optscale:score_min=0.9 best_of_n:max_samples=8"',
    ),
    "serve": (
        "--port 8080",
        "--base_url http://127.0.0.1:8000/v1 --chat true --verifier YOUR/REWARD-MODEL --port 8080",
    ),
    "publish": (
        "runs/predictor --hub name/predictor --license mit",
        "verifier --hub name/verifier --license mit",
    ),
}
