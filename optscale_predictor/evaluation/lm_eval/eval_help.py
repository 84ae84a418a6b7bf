"""What ``optscale eval --help`` says before lm-eval's own flags: policies, tasks, and the keys of ``--model_args``."""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

from optscale_predictor._support.text_files import read_text
from optscale_predictor.policies.describing import policy_lines

_WIDTH = 118

_EXAMPLES = """\
optscale eval --tasks optscale_arithmetic --limit 20 --output_path runs/first \\
    --policies "optscale:score_min=0.9 best_of_n:max_samples=8"
optscale eval --tasks optscale_questions --metadata '{"questions": "questions.jsonl"}' --output_path runs/mine \\
    --policies "optscale:score_min=0.9 best_of_n:max_samples=8" \\
    --model_args base_url=http://127.0.0.1:8000/v1 chat=true verifier=YOUR/REWARD-MODEL
optscale eval --config settings.yaml
optscale eval ls tasks"""


def help_sections(tasks: Path) -> Iterator[tuple[str, str]]:
    """Titles and texts, in the order in which they stand.

    Args:
        tasks: The folder of our tasks.
    """
    yield "examples", _EXAMPLES
    yield (
        "policies, as NAME or NAME:key=value,key=value; the defaults are shown",
        _entries((f"{one.name}:{one.settings}", one.summary) for one in policy_lines()),
    )
    yield "our tasks (lm-eval's own: optscale eval ls tasks)", _entries(_tasks(tasks))
    yield "--model_args of our model, as key=value; the primary policy's settings besides", _entries(_arguments())


def _tasks(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.yaml")):
        comment = [line.removeprefix("# ") for line in read_text(path).splitlines() if line.startswith("# ")]
        yield path.stem, " ".join(comment)


def _arguments() -> Iterator[tuple[str, str]]:
    # Reading them imports the engines' options, which the other sections need not wait for.
    from optscale_predictor.backends.option_flags import described_flags, option_help
    from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
    from optscale_predictor.evaluation.lm_eval.model_args import EvaluationOptions

    own = ((one.name, one.default, option_help(EvaluationOptions, one.name)) for one in fields(EvaluationOptions))
    for flag, default, text in (*own, *described_flags(GeneratorOptions()), *described_flags(VerifierOptions())):
        spelled = str(default).lower() if isinstance(default, bool) else str(default)
        yield flag, text if default in (None, "", ()) else f"{text} (default: {spelled})"


def _entries(rows: Iterable[tuple[str, str]]) -> str:
    """Each name on a line, what is said of it below."""
    lines = []
    for name, text in rows:
        indented = textwrap.fill(text, _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 4)
        lines += [name, *([indented] if text else [])]
    return "\n".join(lines)
