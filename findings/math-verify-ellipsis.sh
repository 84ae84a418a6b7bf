#!/usr/bin/env bash
# math-verify drops an ellipsis, so an endless list equals its first elements.
#
# Versions: math-verify 0.9.0, latex2sympy2_extended 1.11.0, sympy 1.14.0.
# Seen: "1,2,\ldots" equals "1,2", and "1,2,\ldots,10" equals "1,2,10".
# Expected: a list that goes on is another answer than one that ends.
# Here: what has an ellipsis in it equals only itself.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'math-verify[antlr4-13-2]==0.9.0' 'latex2sympy2_extended==1.11.0' 'sympy==1.14.0'
"$folder/venv/bin/python" - <<'EOF'
from math_verify import parse, verify

seen = {}
for gold, answer in [("1,2", r"1,2,\ldots"), ("1,2,10", r"1,2,\ldots,10")]:
    seen[gold, answer] = verify(parse(f"${gold}$"), parse(f"${answer}$"))
    print(f"gold {gold}, answer {answer}: {'equal' if seen[gold, answer] else 'not equal'}")
assert list(seen.values()) == [True, True], "math-verify behaves otherwise now"
EOF
