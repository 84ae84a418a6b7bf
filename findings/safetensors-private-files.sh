#!/usr/bin/env bash
# safetensors writes files that only their owner can read, whatever the umask: a checkpoint in a shared folder opens for nobody else.
#
# Versions: safetensors 0.8.0, numpy 2.4.2 (save_file of safetensors.numpy; that of safetensors.torch is the same writer).
# Seen: under umask 022 a file has mode 0600, where one that Python opens beside it has 0644.
# Expected: 0644, as umask 022 says and as every other file of a checkpoint has (config.json, tokenizer.json).
# Here: weights get the mode that any new file would have, wherever a checkpoint is written.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'safetensors==0.8.0' 'numpy==2.4.2'
umask 022
"$folder/venv/bin/python" - "$folder" <<'EOF'
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

weights, other = Path(sys.argv[1], "model.safetensors"), Path(sys.argv[1], "config.json")
save_file({"weight": np.zeros(3)}, weights)
other.write_text("{}")
modes = [path.stat().st_mode & 0o777 for path in (weights, other)]
print(f"weights {modes[0]:04o}, another file {modes[1]:04o}")
if modes != [0o600, 0o644]:
    print("safetensors behaves otherwise now")
    sys.exit(1)
EOF
