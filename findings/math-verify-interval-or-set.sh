#!/usr/bin/env bash
# math-verify holds an open interval for equal to the set of its two ends.
#
# Versions: math-verify 0.9.0, latex2sympy2_extended 1.11.0, sympy 1.14.0.
# Seen: (1,2) equals \{1,2\}, in its strict mode, which is the default.
# Expected: neither the interval nor the point (1,2) is that set.
# Here: points, intervals and sets are kinds of their own.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'math-verify[antlr4-13-2]==0.9.0' 'latex2sympy2_extended==1.11.0' 'sympy==1.14.0'
"$folder/venv/bin/python" - <<'EOF'
from math_verify import parse, verify

seen = {}
for gold, answer in [("(1,2)", r"\{1,2\}")]:
    seen[gold, answer] = verify(parse(f"${gold}$"), parse(f"${answer}$"))
    print(f"gold {gold}, answer {answer}: {'equal' if seen[gold, answer] else 'not equal'}")
assert list(seen.values()) == [True], "math-verify behaves otherwise now"
EOF
