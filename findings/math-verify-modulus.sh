#!/usr/bin/env bash
# math-verify drops the modulus of a congruence.
#
# Versions: math-verify 0.9.0, latex2sympy2_extended 1.11.0, sympy 1.14.0.
# Seen: x congruent to 3 modulo 5 equals x congruent to 3 modulo 7.
# Expected: they are different sets of numbers.
# Here: a congruence equals only what is written alike.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'math-verify[antlr4-13-2]==0.9.0' 'latex2sympy2_extended==1.11.0' 'sympy==1.14.0'
"$folder/venv/bin/python" - <<'EOF'
from math_verify import parse, verify

seen = {}
for gold, answer in [(r"x \equiv 3 \pmod{5}", r"x \equiv 3 \pmod{7}")]:
    seen[gold, answer] = verify(parse(f"${gold}$"), parse(f"${answer}$"))
    print(f"gold {gold}, answer {answer}: {'equal' if seen[gold, answer] else 'not equal'}")
assert list(seen.values()) == [True], "math-verify behaves otherwise now"
EOF
