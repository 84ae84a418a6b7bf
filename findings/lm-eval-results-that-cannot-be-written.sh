#!/usr/bin/env bash
# lm-eval's run ends well, with exit code 0, though its results could not be written.
#
# Version: lm_eval 0.4.13, EvaluationTracker (what --output_path and --log_samples use).
# Seen: where the output folder cannot be made (a file stands in its path), save_results_aggregated and
#   save_results_samples log a warning and return, so hours of samples end in nothing, and a script goes on.
# Expected: an error, before anything is drawn or at the latest then, and an exit code that says so.
# Here: `optscale eval` tries every output before it draws, and ends with exit code 2 where results were not written.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'lm_eval==0.4.13'
touch "$folder/file"
"$folder/venv/bin/python" - "$folder/file/results" <<'EOF' 2> "$folder/log" || { tail -n 5 "$folder/log"; exit 1; }
import logging
import sys
from pathlib import Path

from lm_eval.loggers import EvaluationTracker

said = []
logging.getLogger().addHandler(type("Kept", (logging.Handler,), {"emit": lambda _, record: said.append(record)})())
tracker = EvaluationTracker(output_path=sys.argv[1])
tracker.general_config_tracker.model_name_sanitized = "model"
tracker.save_results_aggregated(results={"results": {"task": {"acc": 1.0}}}, samples={"task": []})
tracker.save_results_samples(task_name="task", samples=[{"doc_id": 0}])
lines = [record for record in said if "Could not save" in record.getMessage()]
print(f"both returned; {len(lines)} lines in the log, the highest level {max(one.levelname for one in lines)}")
assert len(lines) == 2 and all(one.levelno == logging.WARNING for one in lines), "lm-eval behaves otherwise now"
assert not Path(sys.argv[1]).exists()
EOF
