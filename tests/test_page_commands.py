"""Commands that pages show: each `optscale VERB` is read by the verb's own parser, and its policies can be made."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from optscale_predictor._support.messages import SPELLINGS
from optscale_predictor.cli.main import with_underscores
from optscale_predictor.cli.verb_flags import gather_list, verb_arguments, verb_parser
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


#: Flags of other programs that the guides speak of: lm-eval's, which `optscale eval` passes on, and those of others.
LM_EVAL = (
    "apply_chat_template fewshot_as_multiturn gen_kwargs log_samples metadata model_args num_fewshot output_path "
    "record system_file system_instruction tasks use_cache wandb_args"
)
FOREIGN = {
    *LM_EVAL.split(),
    "block_size",
    "context_shift",
    "ctx_size",
    "parallel",
    "nproc_per_node",
    "ckpt_path",
    "version",
}
LIGHTNING = ("data", "model", "trainer", "early_stopping")  # `optscale train`, whose parser LightningCLI makes
CODE, SHOWN = re.compile(r"`([^`]+)`"), re.compile(r"(?<![\w-])--([A-Za-z][\w.-]*[\w])")


def flags_in_prose() -> Iterator[tuple[str, str]]:
    """The flags that guides name in their sentences, each with its page; not those of scripts."""
    for page in (page for page in PAGES if page.stem != "CONTRIBUTING"):  # which speaks of scripts
        prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for code in CODE.findall(prose):
            for flag in SHOWN.findall("" if re.search(r"\.(py|sh)\b|^make ", code) else code):
                yield page.name, flag.replace("-", "_")


def known_flags() -> set[str]:
    """Every flag of every verb, and the groups that some have: ``server`` of ``server.send_seed``."""
    verbs = {**VERBS, **{f"pool {name}": verb for name, verb in POOL_VERBS.items()}}
    parsers = [verb_parser(verb.load(), name) for name, verb in verbs.items() if not verb.passed_on]
    flags = {flag.lstrip("-").replace("-", "_") for one in parsers for flag in one._option_string_actions}
    flags |= {flag.partition(".")[0] for flag in flags} | {flag.lstrip("-") for flag in SPELLINGS}
    return flags


def test_a_flag_in_a_sentence_is_one_that_there_is() -> None:
    known = known_flags() | FOREIGN
    unknown = {
        (page, flag) for page, flag in flags_in_prose() if flag not in known and flag.partition(".")[0] not in LIGHTNING
    }
    assert not unknown
