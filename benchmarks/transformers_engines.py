"""transformers' three ways to sample, side by side: plain ``generate``, our loop, and continuous batching.

    python benchmarks/transformers_engines.py                       # a GPU: a model of 0.2 billion random weights
    python benchmarks/transformers_engines.py --size small          # a CPU

Weights are random, so every token is about equally likely; as many of them end a sample as make its length about what
``--mean-tokens`` says, geometrically distributed and cut at four times that. Prompts have 20 to 200 tokens. The share
of the peak counts 2 x (weights that multiply) x (tokens read once a prompt, and written) against the fastest matrix
product of the same precision in the same run. Baseline: plain ``generate``, prompts padded to the longest of their
batch, until its last sample ends.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _model_arithmetic import multiplying_weights, peak_flops
from _ratios import print_ratios
from transformers import AutoModelForCausalLM

from optscale_predictor.backends.generators import Generator, Request, SamplingParams
from optscale_predictor.backends.generators.continuous_batching import (
    ContinuousBatchingGenerator,
    flash_attention_ready,
)
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator

#: hidden size, layers, heads, vocabulary
SIZES = {"tiny": (64, 2, 2, 512), "small": (256, 4, 4, 2048), "large": (1024, 12, 16, 32000)}


@dataclass(frozen=True)
class Measured:
    """What one way took: seconds, samples, tokens read and written."""

    seconds: float
    samples: int
    read: int
    written: int


def main() -> None:
    """Measures all three and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="large")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16, help="of each question")
    parser.add_argument("--mean-tokens", type=int, default=200, help="of a sample")
    parser.add_argument("--batch-size", type=int, default=256, help="samples at once")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder), *SIZES[flags.size], flags.mean_tokens)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        print(f"{torch.cuda.get_device_name() if device == 'cuda' else 'CPU'}, {flags}")
        print(f"flash attention for continuous batching: {flash_attention_ready()}")
        peak = peak_flops(device)
        requests = make_requests(flags.questions, flags.samples, SIZES[flags.size][3])
        weights = multiplying_weights(AutoModelForCausalLM.from_pretrained(folder))
        report(dict(measure_all(folder, requests, flags)), peak, weights)


def measure_all(folder: str, requests: list[Request], flags: argparse.Namespace) -> Iterator[tuple[str, Measured]]:
    """The three ways, each with a model of its own and warmed up."""
    sampling = SamplingParams(max_tokens=4 * flags.mean_tokens)
    loop = HuggingFaceGenerator(folder, sampling, flags.batch_size)
    plain = PlainGenerate(loop, flags.batch_size)
    yield "generate", measure(plain, requests)
    yield "loop", measure(loop.generate, requests, loop)
    del loop, plain
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    continuous = ContinuousBatchingGenerator(folder, sampling, flags.batch_size)
    yield "continuous", measure(continuous.generate, requests, continuous)


def measure(
    draw: Callable[[list[Request]], Any], requests: list[Request], generator: Generator | None = None
) -> Measured:
    """Time and tokens of ``draw``, after a warm-up of one request in eight."""
    list(draw(requests[::8]))
    before = generator.usage.prompt_tokens if generator else 0
    started = time.perf_counter()
    counts = [sample.num_tokens for _, samples in draw(requests) for sample in samples]
    seconds = time.perf_counter() - started
    prompts = sum(request.prompt.count(" ") + 1 for request in requests)
    read = generator.usage.prompt_tokens - before if generator else prompts
    return Measured(seconds, len(counts), read, sum(counts))


class PlainGenerate:
    """``model.generate`` as its documentation shows it, in batches of whole requests."""

    def __init__(self, loop: HuggingFaceGenerator, batch_size: int) -> None:
        self._loop, self._batch_size = loop, batch_size

    def __call__(self, requests: list[Request]) -> Iterator[tuple[Request, list[Any]]]:
        """As ``Generator.generate``."""
        count = requests[0].num_samples
        size = max(1, self._batch_size // count)
        for start in range(0, len(requests), size):
            chosen = requests[start : start + size]
            written = self._tokens(chosen, count)
            for place, request in enumerate(chosen):
                yield request, written[place * count : (place + 1) * count]

    @torch.inference_mode()
    def _tokens(self, requests: list[Request], count: int) -> list[Any]:
        model, transcriber = self._loop._model, self._loop._transcriber
        prompts = [transcriber.prompt(request) for request in requests]
        batch = self._loop._left_padded([prompt.tokens for prompt in prompts])
        output: torch.Tensor = model.generate(
            input_ids=batch.tokens,
            attention_mask=batch.mask,
            do_sample=True,
            top_k=0,
            num_return_sequences=count,
            max_new_tokens=self._loop.sampling.max_tokens,
            pad_token_id=0,
        )[:, batch.tokens.shape[1] :]
        ends = torch.isin(output, self._loop._ends)
        lengths = torch.where(ends.any(-1), ends.int().argmax(-1) + 1, output.shape[1]).tolist()
        rows = output.tolist()
        return [
            transcriber.sample(row[:length], length < len(row), 0, self._loop.sampling, prompts[place // count])
            for place, (row, length) in enumerate(zip(rows, lengths, strict=True))
        ]


def report(found: dict[str, Measured], peak: float, weights: int) -> None:
    """The table; ratios against ``generate``."""
    base = found["generate"].samples / found["generate"].seconds
    print(f"{weights / 1e6:.1f} million weights that multiply; peak {peak / 1e12:.2f} TFLOP/s by matrix product")
    print("| engine | seconds | samples/s | ratio | written tokens/s | tokens read | share of peak |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, one in found.items():
        rate = one.samples / one.seconds
        share = 2 * weights * (one.read + one.written) / one.seconds / peak
        print(
            f"| {name} | {one.seconds:.1f} | {rate:.1f} | {rate / base:.2f} | {one.written / one.seconds:.0f} "
            f"| {one.read} | {100 * share:.2f}% |"
        )
    rates = {name: one.samples / one.seconds / base for name, one in found.items() if name != "generate"}
    print_ratios("transformers' generate", {f"seconds a sample, {name}": rate for name, rate in rates.items()})


def make_requests(questions: int, samples: int, vocabulary: int) -> list[Request]:
    """Prompts of 20 to 200 tokens."""
    rng = torch.Generator().manual_seed(0)
    requests = []
    for index in range(questions):
        length = int(torch.randint(20, 201, (1,), generator=rng))
        words = torch.randint(3, vocabulary, (length,), generator=rng).tolist()
        requests.append(Request(str(index), " ".join(f"w{word}" for word in words), samples))
    return requests


def make_model(folder: Path, hidden: int, layers: int, heads: int, vocabulary: int, mean_tokens: int) -> None:
    """A Llama of random weights, a tokenizer of words, and as many end tokens as make samples so long."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    ends = list(range(1, 1 + max(1, vocabulary // mean_tokens)))
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=ends,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(WordLevel({f"w{index}": index for index in range(vocabulary)}, unk_token="w0"))
    words.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="w0", unk_token="w0").save_pretrained(folder)


if __name__ == "__main__":
    main()
