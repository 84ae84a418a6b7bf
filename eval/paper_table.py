r"""The paper's table from its authors' files: imports their pools, then makes the table.

    git clone https://github.com/Albertwyk/OptScale; its README says where data/completions/ is to be had
    python eval/paper_table.py OptScale --output runs/paper

Further flags are those of ``optscale paper-table`` (``--chosen_on others``, ``--predictor``, ``--fitted``, ...).
Benchmarks whose files are missing are left out. A run that was interrupted while it imported goes on where it was.
"""

import argparse
import sys
from pathlib import Path

from optscale_predictor.cli.main import main

BENCHMARKS = {
    "math500": "math500_test",
    "gsm8k": "gsm8k_test",
    "aime24": "aime24",
    "aime25": "aime25",
    "amc23": "amc23",
}
KINDS = {"": ("parallel", "par"), "_sequential": ("sequential", "seq")}
GENERATOR, VERIFIER = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "Qwen/Qwen2.5-Math-PRM-7B"


def paper_table(repository: Path, output: Path, pair: str, rest: list[str]) -> None:
    """Imports every pool that is there, and makes the table of them."""
    data = repository / "data"
    for name, prompts in BENCHMARKS.items():
        for ending, (folder, short) in KINDS.items():
            file = data / "completions" / "r1_distill_qwen7b" / folder / f"scored_qwen7b_{short}_{name}_64.json"
            if not file.is_file():
                print(f"left out: there is no {file}", file=sys.stderr)
                continue
            made_by = ["--generator", GENERATOR, "--verifier", VERIFIER]
            questions = ["--questions", str(data / "test_prompts" / f"{prompts}.json"), "--pair", pair]
            pool = str(output / "pools" / f"{name}{ending}")
            main(["pool", "import", pool, str(file), "--format", "paper", *questions, *made_by])
    main(["paper-table", str(output / "pools"), "--output", str(output), *rest])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(allow_abbrev=False, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("repository", type=Path, help="a copy of the authors' repository, its data in place")
    parser.add_argument("--output", type=Path, default=Path("runs/paper"))
    parser.add_argument("--pair", default="text", help="how samples find their questions: text, or position")
    known, others = parser.parse_known_args()
    paper_table(known.repository, known.output, known.pair, others)
