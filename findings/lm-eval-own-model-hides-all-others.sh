#!/usr/bin/env bash
# lm-eval forgets all of its models where a model of one's own is registered before its own are imported.
#
# Version: lm_eval 0.4.13.
# Seen: after `@register_model("mine")` get_model knows "mine" and nothing else: "hf" and "local-completions" raise
#   ValueError ("no model for this name found! Supported model names: mine"). It imports its own models only while none
#   is registered. After `import lm_eval.models` and the same decorator all are known.
# Expected: one more model, whatever the order.
# Here: lm_eval.models is imported before ours is registered.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'lm_eval==0.4.13'
cat > "$folder/known.py" <<'EOF'
import sys

from lm_eval.api.model import LM
from lm_eval.api.registry import get_model, register_model

if "--own-first" not in sys.argv:
    import lm_eval.models  # noqa: F401


@register_model("mine")
class Mine(LM):
    pass


known = []
for name in ("mine", "local-completions", "dummy"):
    try:
        get_model(name)
        known.append(name)
    except ValueError as error:
        assert "Supported model names: mine" in str(error)
print(" ".join(known))
EOF
first=$("$folder/venv/bin/python" "$folder/known.py" --own-first)
last=$("$folder/venv/bin/python" "$folder/known.py")
printf 'own model registered first: %s\nown model registered last: %s\n' "$first" "$last"
[ "$first" = mine ] && [ "$last" = 'mine local-completions dummy' ] || { echo 'lm-eval behaves otherwise now'; exit 1; }
