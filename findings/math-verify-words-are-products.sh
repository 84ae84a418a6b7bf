#!/usr/bin/env bash
# math-verify reads a word in mathematics as a product of its letters, so anagrams are equal.
#
# Versions: math-verify 0.9.0, latex2sympy2_extended 1.11.0, sympy 1.14.0.
# Seen: "silent" equals "listen" and "CAB" equals "ABC"; inside \text{} they are not equal.
# Expected: words that differ are not equal.
# Here: words are compared as words before math-verify is asked.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'math-verify[antlr4-13-2]==0.9.0' 'latex2sympy2_extended==1.11.0' 'sympy==1.14.0'
"$folder/venv/bin/python" - <<'EOF'
from math_verify import parse, verify

seen = {}
for gold, answer in [("listen", "silent"), ("ABC", "CAB"), (r"\text{ABC}", r"\text{CAB}")]:
    seen[gold, answer] = verify(parse(f"${gold}$"), parse(f"${answer}$"))
    print(f"gold {gold}, answer {answer}: {'equal' if seen[gold, answer] else 'not equal'}")
assert list(seen.values()) == [True, True, False], "math-verify behaves otherwise now"
EOF
