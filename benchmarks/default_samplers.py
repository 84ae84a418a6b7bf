"""The same prompts by transformers in process and by llama.cpp's server: equal samplers, then the server's own.

    python benchmarks/default_samplers.py --program llama-server --model FILE.gguf --questions svamp.jsonl

Three ways to draw at temperature 1: this package's loop in process (the baseline), llama.cpp's server as this package
asks it (its own samplers off), and the server with the filters that it has where it is told nothing (top-k 40, min-p
0.05). For each: tokens a sample, share of samples that ended by themselves, share of a question's texts that are
distinct, and how likely the model itself, read by transformers, finds a token of the samples, as mean log-probability:
filters cut off what is unlikely, so filtered samples are likelier than the model is. Standard errors are of sampling,
within questions.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _llama_cpp import serving

from optscale_predictor.backends.generators import Generator, Request, SamplingParams, ServerOptions
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.generators.openai_server import OpenAIServerGenerator
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.questions.question import read_questions

PROMPT = "Question: {}\nAnswer:"
FILTERS = {"top_k": 40, "min_p": 0.05}


def main() -> None:
    """Draws in each way and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--program", required=True, help="llama-server, or the Python of an environment with xllamacpp")
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--questions", required=True, help="JSON lines")
    parser.add_argument("--num_questions", type=int, default=4)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--max_tokens", type=int, default=24)
    flags = parser.parse_args()
    asked = [PROMPT.format(question.text) for question in read_questions(flags.questions)[: flags.num_questions]]
    sampling = SamplingParams(max_tokens=flags.max_tokens, stop=("\n",))
    scorer = Likelihood(flags.model)
    baseline = measured(HuggingFaceGenerator(flags.model, sampling, device="cpu"), asked, flags.samples, scorer)
    report("transformers in process", baseline, baseline)
    with tempfile.TemporaryDirectory() as folder, serving(flags.program, Path(folder), flags.model, 8, 256) as address:
        for name, extra in (("llama.cpp, filters off", {}), ("llama.cpp, its own filters", FILTERS)):
            generator = OpenAIServerGenerator(
                f"{address}/v1", None, sampling, concurrency=8, options=ServerOptions(extra_body=extra)
            )
            report(name, measured(generator, asked, flags.samples, scorer), baseline)


class Likelihood:
    """How likely a model finds what was drawn.

    Args:
        model: GGUF file.
    """

    def __init__(self, model: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._tokenizer = load_pretrained(AutoTokenizer, model)
        self._model = load_pretrained(AutoModelForCausalLM, model, "cpu").eval()

    @torch.inference_mode()
    def __call__(self, prompt: str, text: str) -> float:
        """Mean log-probability of a text's tokens after a prompt; NaN where it has none."""
        before = self._tokenizer(prompt)["input_ids"]
        after = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if not after:
            return float("nan")
        logits = self._model(input_ids=torch.tensor([before + after])).logits[0, len(before) - 1 : -1]
        return float(torch.log_softmax(logits, -1)[range(len(after)), after].mean())


@dataclass(frozen=True)
class Measured:
    """Of each sample [questions, samples]: tokens, whether it ended, log-probability; distinct texts a question."""

    tokens: np.ndarray
    ended: np.ndarray
    logprob: np.ndarray
    distinct: np.ndarray


def measured(generator: Generator, prompts: Sequence[str], samples: int, scorer: Likelihood) -> Measured:
    """Draws and looks at what came."""
    drawn = dict(generator.generate([Request(str(place), prompt, samples) for place, prompt in enumerate(prompts)]))
    found = {int(request.question_id): texts for request, texts in drawn.items()}
    rows = [found[place] for place in range(len(prompts))]
    return Measured(
        np.array([[one.num_tokens for one in row] for row in rows], float),
        np.array([[one.finish_reason == "stop" for one in row] for row in rows], float),
        np.array([[scorer(prompt, one.text) for one in row] for prompt, row in zip(prompts, rows, strict=True)]),
        np.array([len({one.text for one in row}) / samples for row in rows]),
    )


def report(name: str, found: Measured, baseline: Measured) -> None:
    """One line: means with standard errors, and how many standard errors each is from the baseline's."""
    parts = [f"distinct {found.distinct.mean():.2f}"]
    for what in ("tokens", "ended", "logprob"):
        (mean, error), (other, its) = (mean_and_error(getattr(one, what)) for one in (found, baseline))
        parts.append(f"{what} {mean:.3f} ± {error:.3f} ({(mean - other) / np.hypot(error, its):+.1f})")
    print(f"{name}: {', '.join(parts)}", flush=True)


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Over questions, with the standard error of sampling within them; NaN is left out."""
    per_question = np.nanvar(values, axis=1, ddof=1) / np.sum(~np.isnan(values), axis=1)
    return float(np.nanmean(values, axis=1).mean()), float(per_question.sum() ** 0.5 / len(values))


if __name__ == "__main__":
    main()
