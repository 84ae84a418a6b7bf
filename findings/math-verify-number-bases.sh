#!/usr/bin/env bash
# math-verify drops the base of a numeral.
#
# Versions: math-verify 0.9.0, latex2sympy2_extended 1.11.0, sympy 1.14.0.
# Seen: 2516 in base 8 equals 2516 in base 9, and does not equal its own value, 1358 in base 10.
# Expected: the numerals differ, and 2516 in base 8 is 1358.
# Here: numerals are compared with their bases.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'math-verify[antlr4-13-2]==0.9.0' 'latex2sympy2_extended==1.11.0' 'sympy==1.14.0'
"$folder/venv/bin/python" - <<'EOF'
from math_verify import parse, verify

seen = {}
for gold, answer in [("2516_8", "2516_9"), ("2516_8", r"1358_{10}")]:
    seen[gold, answer] = verify(parse(f"${gold}$"), parse(f"${answer}$"))
    print(f"gold {gold}, answer {answer}: {'equal' if seen[gold, answer] else 'not equal'}")
assert list(seen.values()) == [True, False], "math-verify behaves otherwise now"
EOF
