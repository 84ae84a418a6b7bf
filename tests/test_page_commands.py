"""Commands that pages show: each `optscale VERB` is read by the verb's own parser, and its policies can be made."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from optscale_predictor.cli.main import with_underscores
from optscale_predictor.cli.verb_flags import gather_list, verb_arguments
from optscale_predictor.cli.verbs import POOL_VERBS, VERBS
from optscale_predictor.policies import parse_policy

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"```(?:bash|console)\n(.*?)```", re.DOTALL)


def commands_of(text: str) -> Iterator[list[str]]:
    """The words of every command in a page's blocks, comments and continuations resolved."""
    for block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=";&|>")
            lexer.whitespace_split, lexer.commenters = True, "#"
            words = list(lexer) if line.lstrip("$ ").startswith("optscale ") else []
            end = next((at for at, word in enumerate(words) if set(word) <= set(";&|>")), len(words))
            if end:
                yield words[1:end]


FOUND = [(page, words) for page in PAGES for words in commands_of(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "words"), FOUND, ids=[f"{page.stem} {' '.join(words)[:60]}" for page, words in FOUND])
def test_a_command_is_one_that_there_is(page: Path, words: list[str]) -> None:
    if "..." in words:
        pytest.skip("a command with dots in place of what the text around it is about")
    depth = 2 if words[0] == "pool" else 1
    name, rest = " ".join(words[:depth]), with_underscores(words[depth:])
    verb = {**VERBS, **{f"pool {name}": verb for name, verb in POOL_VERBS.items()}}[name]
    flags = dict(pairwise(rest))
    for policy in flags.get("--policies", "").split() if "POLICY" not in flags.get("--policies", "") else ():
        if "path=" not in policy and "calibration=" not in policy and policy != "...":
            parse_policy(policy)  # those that name a folder read it
    if not verb.passed_on:
        verb_arguments(verb.load(), name, rest if verb.lists is None else gather_list(rest, verb.lists))


def test_commands_were_found() -> None:
    assert {page.stem for page, _ in FOUND} >= {"README", "tutorial", "evaluation", "predictor", "serving"}
    assert len(FOUND) > 60


def test_the_readmes_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Two questions, an easy one second; with a prior and a cap nobody needs more than the cap."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(block, {"__name__": "readme"})
    lines = capsys.readouterr().out.splitlines()
    without, within = ([float(word) for word in re.findall(r"\d+\.|inf", line)] for line in lines)
    assert without[0] > without[1] >= 1 and len(within) == 2 and max(within) <= 64
