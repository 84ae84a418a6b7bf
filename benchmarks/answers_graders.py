r"""Graders that others publish, and ours, behind one call: is this the gold answer?

- ``ours``: the sample ends in ``\boxed{answer}``; read and judged by this package.
- ``math-verify``: ``verify(parse("$gold$"), parse("$answer$"))`` as its README says, in a process that is killed after
  a time limit (its own limits are off: they need a main thread, and some input outlasts them).
- ``hendrycks_math``: lm-eval's ``is_equiv``, on what its task takes for the answer.
- ``minerva_math``: lm-eval's ``normalize_final_answer`` and ``is_equiv``, on "The final answer is $answer$." It needs
  version 4.11 of antlr's runtime, which a folder may hold (``pip install --target FOLDER
  antlr4-python3-runtime==4.11.0``).
- ``gsm8k strict``, ``gsm8k flexible``: lm-eval's filters and exact match with the patterns of its task file.

As a program (``answers_graders.py NAME``) this is the process: one JSON line a pair in, one a verdict out.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from optscale_predictor.questions.answers import are_correct, extract_answer

Verdict = Callable[[str, str, bool], bool]
GRADERS = ("ours", "math-verify", "hendrycks_math", "minerva_math", "gsm8k strict", "gsm8k flexible")
PROCESSES = ("math-verify", "minerva_math")
CHUNK = 1000


class Sample(NamedTuple):
    """What a model printed, and the gold answer; ``whole``: all of its text, rather than an answer alone."""

    text: str
    gold: str
    whole: bool = False


class Unavailable(Exception):
    """A grader cannot run here, and why."""


def verdicts(name: str, samples: Sequence[Sample], seconds: float, antlr: str | None) -> Iterator[bool]:
    """One grader's verdict of each sample, in order."""
    if name == "ours":
        yield from ours(samples)
    elif name in PROCESSES:
        with Process(name, seconds, antlr) as process:
            yield from map(process.ask, samples)
            if process.time_outs:
                lost = f"{process.time_outs} pairs took more than {seconds:g} s or ended their process"
                print(f"{name}: {lost}", file=sys.stderr)
    else:
        grader = hendrycks_math() if name == "hendrycks_math" else gsm8k(name)
        yield from (grader(*sample) for sample in samples)


def ours(samples: Sequence[Sample]) -> Iterator[bool]:
    """This package's verdicts."""
    for start in range(0, len(samples), CHUNK):
        chunk = samples[start : start + CHUNK]
        texts = [sample.text if sample.whole else f"\\boxed{{{sample.text}}}" for sample in chunk]
        golds = [sample.gold for sample in chunk]
        yield from are_correct(list(zip(map(extract_answer, texts), golds, strict=True)))


class Process:
    """A grader in a process of its own, killed and replaced when a pair takes too long (which is then unequal)."""

    def __init__(self, name: str, seconds: float, antlr: str | None = None) -> None:
        self.time_outs = 0
        self._name, self._seconds, self._antlr = name, seconds, antlr
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Process":
        """Starts at the first question."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self._stop()

    def ask(self, sample: Sample) -> bool:
        """The verdict; False where the process did not answer in time."""
        process = self._started()
        timer = threading.Timer(self._seconds, process.kill)
        timer.start()
        try:
            print(json.dumps(sample), file=process.stdin, flush=True)
            answer = process.stdout.readline() if process.stdout else ""
        except OSError:
            answer = ""
        finally:
            timer.cancel()
        self.time_outs += not answer
        return answer.strip() == "true"

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        paths = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        if self._antlr and self._name == "minerva_math":
            paths.insert(0, self._antlr)
        command = [sys.executable, __file__, self._name]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        hello = self._process.stdout.readline().strip() if self._process.stdout else ""
        if hello != "ready":
            self._stop()
            raise Unavailable(hello or "its process ended before it was ready")
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def math_verify() -> Verdict:
    """math-verify alone, by its README."""
    from math_verify import parse, verify

    def judge(text: str, gold: str, whole: bool) -> bool:
        bare = text if whole or any(mark in text for mark in ("$", "\\(", "\\[")) else f"${text}$"
        target, answer = parse(f"${gold}$", parsing_timeout=None), parse(bare, parsing_timeout=None)
        return bool(verify(target, answer, timeout_seconds=None))

    return judge


def hendrycks_math() -> Verdict:
    """lm-eval's comparison of strings for MATH."""
    from lm_eval.tasks.hendrycks_math.utils import is_equiv

    def judge(text: str, gold: str, whole: bool) -> bool:
        begin, end = text.find("$"), text.rfind("$")
        return bool(is_equiv(text[begin + 1 : end] if begin < end else text, gold))

    return judge


def minerva_math() -> Verdict:
    """lm-eval's symbolic comparison for MATH."""
    found = version("antlr4-python3-runtime")
    if not found.startswith("4.11"):
        raise Unavailable(f"it needs antlr4-python3-runtime 4.11, here is {found}; give --antlr a folder with it")
    from lm_eval.tasks.minerva_math.utils import get_unnormalized_answer, is_equiv, normalize_final_answer

    def judge(text: str, gold: str, whole: bool) -> bool:
        stated = text if whole else f"Final Answer: The final answer is ${text}$. I hope it is correct."
        answer = normalize_final_answer(get_unnormalized_answer(stated))
        return bool(is_equiv(answer, normalize_final_answer(gold)))

    return judge


def gsm8k(name: str) -> Verdict:
    """lm-eval's filter and exact match for GSM8K, by its task file."""
    import lm_eval
    import yaml
    from lm_eval.api.metrics import exact_match_hf_evaluate
    from lm_eval.filters.extraction import RegexFilter

    task = yaml.safe_load((Path(lm_eval.__file__).parent / "tasks/gsm8k/gsm8k.yaml").read_text(encoding="utf-8"))
    label = {"gsm8k strict": "strict-match", "gsm8k flexible": "flexible-extract"}[name]
    settings: dict[str, Any] = next(each for each in task["filter_list"] if each["name"] == label)["filter"][0]
    pattern = RegexFilter(settings["regex_pattern"], settings.get("group_select", 0))
    metric = {key: task["metric_list"][0][key] for key in ("ignore_case", "ignore_punctuation", "regexes_to_ignore")}

    def judge(text: str, gold: str, whole: bool) -> bool:
        [[answer]] = pattern.apply([[text if whole else f"#### {text}"]], [{}])
        found = exact_match_hf_evaluate(predictions=[answer], references=[f"#### {gold}"], **metric)
        return bool(found["exact_match"] == 1)

    return judge


def _serve(name: str) -> None:
    """The process's side: says whether it can work, then judges; what a grader stumbles over is unequal to it."""
    try:
        grader = math_verify() if name == "math-verify" else minerva_math()
    except (Unavailable, ImportError, AssertionError) as error:
        print(" ".join(str(error).split()), flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            equal = grader(*json.loads(line))
        except Exception:  # third-party parsers raise what they like
            equal = False
        print("true" if equal else "false", flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
