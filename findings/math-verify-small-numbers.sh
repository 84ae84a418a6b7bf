#!/usr/bin/env bash
# math-verify compares numbers after rounding to six decimal places, so small ones are all equal.
#
# Versions: math-verify 0.9.0, latex2sympy2_extended 1.11.0, sympy 1.14.0.
# Seen: 1.6e-19 and 1.6e-18, written as products with powers of ten, are equal; so are 1/3 and 0.3333333.
# Expected: a relative comparison: these differ by a factor of ten.
# Here: numbers are compared exactly, others to 45 digits.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'math-verify[antlr4-13-2]==0.9.0' 'latex2sympy2_extended==1.11.0' 'sympy==1.14.0'
"$folder/venv/bin/python" - <<'EOF'
from math_verify import parse, verify

seen = {}
for gold, answer in [(r"1.6 \times 10^{-19}", r"1.6 \times 10^{-18}"), (r"\frac{1}{3}", "0.3333333")]:
    seen[gold, answer] = verify(parse(f"${gold}$"), parse(f"${answer}$"))
    print(f"gold {gold}, answer {answer}: {'equal' if seen[gold, answer] else 'not equal'}")
assert list(seen.values()) == [True, True], "math-verify behaves otherwise now"
EOF
