"""Prepares a predictor's training data: sample, score, targets, as one YAML file says.

    python data_prep/prepare.py data_prep/arithmetic.yaml

Each section of the file holds the flags of one verb of ``optscale``; a rerun continues where the last one stopped.
"""

import sys

import yaml

from optscale_predictor.cli import main

STEPS = ("generate", "score", "targets")


def prepare(config: str) -> None:
    """Runs the steps that the file has a section for, in their order."""
    try:
        with open(config, encoding="utf-8") as file:
            sections = yaml.safe_load(file)
    except (OSError, yaml.YAMLError) as error:
        sys.exit(_fail(f"{config}: cannot read it: {error}"))
    if not isinstance(sections, dict) or not sections or sections.keys() - set(STEPS):
        sys.exit(_fail(f"{config}: expected sections {', '.join(STEPS)}"))
    for step in STEPS:
        if step in sections:
            settings = dict(sections[step])
            flags = (part for key, value in settings.items() if key != "pool" for part in (f"--{key}", str(value)))
            main([step, str(settings.get("pool", "")), *flags])


def _fail(message: str) -> int:
    print(f"prepare: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(_fail("usage: python data_prep/prepare.py CONFIG.yaml"))
    prepare(sys.argv[1])
