#!/usr/bin/env bash
# datasets reads every configuration of a folder in the format of the first one that its card lists.
#
# Version: datasets 5.2.0.
# Seen: a card with the configurations `samples` (samples.parquet) and `questions` (questions.jsonl), each file valid.
#   With `samples` listed first, load_dataset(folder, "questions") raises ArrowInvalid ("Parquet magic bytes not found");
#   with `questions` first, "samples" raises DatasetGenerationError, its Parquet file having been read as JSON.
# Expected: each configuration in the format that its own file's name ends with.
# Here: a published pool's card lists its samples alone, so that they load; the questions are a file beside them.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'datasets==5.2.0'
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME=$folder/hf venv/bin/python - <<'EOF' 2> log || { tail -n 5 log; exit 1; }
import json
from pathlib import Path

import pyarrow
from datasets import load_dataset
from datasets.exceptions import DatasetGenerationError
from pyarrow import parquet

FILES = {"samples": "samples.parquet", "questions": "questions.jsonl"}
seen = {}
for listed in (["samples", "questions"], ["questions", "samples"]):
    published = Path(f"{listed[0]}-first")
    published.mkdir()
    parquet.write_table(pyarrow.table({"id": ["a", "a", "b"], "text": ["1", "2", "3"]}), published / FILES["samples"])
    lines = [json.dumps({"id": name, "question": "How many?"}) + "\n" for name in "ab"]
    (published / FILES["questions"]).write_text("".join(lines))
    card = "".join(f"- config_name: {name}\n  data_files: {FILES[name]}\n" for name in listed)
    (published / "README.md").write_text(f"---\nconfigs:\n{card}---\n")
    for name in listed:
        try:
            read = f"{load_dataset(str(published), name, split='train').num_rows} rows"
        except (pyarrow.ArrowInvalid, DatasetGenerationError) as error:
            read = type(error).__name__
        seen[listed[0], name] = read
        print(f"{listed[0]} listed first, {name}: {read}")
as_seen = ["3 rows", "ArrowInvalid", "2 rows", "DatasetGenerationError"]
assert list(seen.values()) == as_seen, "datasets behaves otherwise now"
EOF
