#!/usr/bin/env bash
# lm-eval's MATH tasks call an answer in \boxed{} wrong, though that is how MATH's own solutions mark theirs.
#
# Version: lm_eval 0.4.13, tasks hendrycks_math and hendrycks_math500 (one function judges both).
# Seen: with gold \boxed{4}, the replies "\boxed{4}", "$\boxed{4}$", "The answer is \boxed{4}." and "Since $x = 4$, it is
#   $4$." get exact_match 0; "$4$", "The answer is $4$." and "4" get 1. What lies between the first and the last dollar
#   sign is compared whole, else the whole reply; a box is looked for in the gold solution alone.
# Expected: the box is looked for in the reply as well, so that a gold solution given as a reply is right.
# Here: optscale_math500 has our own verdict beside this one, as `math_verify`, and the documentation prefers it.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'lm_eval==0.4.13'
"$folder/venv/bin/python" - <<'EOF' 2> "$folder/log" || { tail -n 5 "$folder/log"; exit 1; }
from lm_eval.tasks.hendrycks_math.utils import process_results

gold = r"Two and two make $\boxed{4}$."
wrong = [r"\boxed{4}", r"$\boxed{4}$", r"The answer is \boxed{4}.", "Since $x = 4$, it is $4$.", gold]
right = ["$4$", "The answer is $4$.", "4"]
seen = {reply: process_results({"solution": gold}, [reply])["exact_match"] for reply in wrong + right}
for reply, verdict in seen.items():
    print(f"exact_match {verdict}: {reply}")
assert list(seen.values()) == [0] * len(wrong) + [1] * len(right), "lm-eval behaves otherwise now"
EOF
