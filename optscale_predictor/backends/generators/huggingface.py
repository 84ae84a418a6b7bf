"""Any transformers causal language model, in process.

A decoding loop of our own rather than ``generate()``: each prompt is read once for all its samples, and so is whatever
several of them have drawn alike; samples that have ended leave the batch, so a batch costs what its samples cost and
not its longest sample times its size; the model folder's ``generation_config.json`` says where samples end, and none of
its filters counts; and the random numbers come from a generator that belongs to the batch, so nothing global is seeded.
"""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import torch

from optscale_predictor._support.stop_signals import signals_deferred
from optscale_predictor.backends.adapters.generator_folder import describe_adapter
from optscale_predictor.backends.generators.engine_samplers import OFF, OTHER_SAMPLERS
from optscale_predictor.backends.generators.generator import Request, Sample, Usage
from optscale_predictor.backends.generators.prefix_sharing import PrefixBatch, draw_tokens
from optscale_predictor.backends.generators.request_seeds import request_seed
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.transcription import Prompt, TokenGenerator, Transcriber
from optscale_predictor.backends.growing_cache import growing
from optscale_predictor.backends.key_value_cache import cache_argument, cache_of, can_choose_rows
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.errors import EngineError, InputError


@dataclass
class _Row:
    """One sample in the making; it may have ``limit`` tokens."""

    request: int
    seed: int
    limit: int
    tokens: list[int] = field(default_factory=list)
    ended: bool = False
    logprobs: list[float] = field(default_factory=list)
    certainties: list[float] = field(default_factory=list)


class HuggingFaceGenerator(TokenGenerator):
    """Samples with a transformers model in this process.

    The same requests, in the same order and batches, give the same samples on the same machine.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        sampling: How samples are drawn.
        batch_size: Samples in one batch, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings.
        chat: Whether to put prompts into the tokenizer's chat template.

    Raises:
        InputError: There is no such model, or no chat template.
    """

    tells_self_certainty = True

    def __init__(
        self,
        model: str,
        sampling: SamplingParams,
        batch_size: int = 512,
        device: str = "auto",
        trust_remote_code: bool = False,
        chat: bool = False,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self.sampling, self.usage, self._batch_size = sampling, Usage(), batch_size
        self._model, self._transcriber = load_causal_model(model, device, trust_remote_code, chat)
        self._ends = torch.tensor(end_tokens(self._model), dtype=torch.long, device=self._model.device)
        taken = inspect.signature(self._model.forward).parameters
        self._interrupted = Event()  # shared by all that ``with_sampling`` gives
        self._takes_positions, self._takes_keep = "position_ids" in taken, "logits_to_keep" in taken
        self._cache_argument = cache_argument(taken)

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and sampling; JSON types, no secrets."""
        return describe_transformers(self._transcriber.model, self._transcriber.chat, self.sampling)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """Draws independent samples for each request; yields each request once, as it finishes.

        Batches hold samples of neighbouring prompt lengths.

        Raises:
            EngineError: It was interrupted.
            RequestRefusedError: Some prompts are empty or too long; raised when all others are done.
        """
        self._interrupted.clear()
        prompts, refusals = self._transcriber.prompts(requests)
        waiting: dict[int, list[_Row]] = {}
        batch: list[_Row] = []
        # The longest first: what does not fit into memory fails at once, and the time left is not told too short.
        for index in sorted(range(len(prompts)), key=lambda one: -len(prompts[one].tokens)):
            request = prompts[index].request
            seed = request_seed(self.sampling.seed, request)
            limit = self._transcriber.room(prompts[index], self.sampling)
            waiting[index] = [_Row(index, seed, limit) for _ in range(request.num_samples)]
            batch += waiting[index]
            # A request stays within one batch (unless it alone is larger), and is done when its batch is.
            if len(batch) >= self._batch_size:
                yield from self._drawn_together(batch, waiting, prompts)
                waiting, batch = {}, []
        yield from self._drawn_together(batch, waiting, prompts)
        refusals.tell()

    def _drawn_together(
        self, batch: list[_Row], waiting: dict[int, list[_Row]], prompts: list[Prompt]
    ) -> Iterator[tuple[Request, list[Sample]]]:
        self._run(batch, prompts)
        with signals_deferred():  # they are done: Ctrl-C waits until the last of them has been taken
            yield from self._finished(waiting, prompts)

    def _run(self, rows: list[_Row], prompts: list[Prompt]) -> None:
        rng = torch.Generator(self._model.device)
        for start in range(0, len(rows), self._batch_size):
            chunk = rows[start : start + self._batch_size]
            # A request larger than a batch goes on with its random numbers; seeded again it would repeat its samples.
            if start == 0 or chunk[0].request != rows[start - 1].request:
                rng.manual_seed(chunk[0].seed)
            self._decode(chunk, prompts, rng)

    @torch.inference_mode()
    def _decode(self, rows: list[_Row], prompts: list[Prompt], rng: torch.Generator) -> None:
        """Samples every row to its end."""
        asked = {request: index for index, request in enumerate(dict.fromkeys(row.request for row in rows))}
        batch = self._left_padded([prompts[one].tokens for one in asked])
        self.usage.prompt_tokens += int(batch.mask.sum())
        live, row_of = rows, self._indices([asked[row.request] for row in rows])
        logits = self._read(batch)
        while not self._interrupted.is_set():
            new = self._choose(logits, row_of, rng)
            if self.sampling.logprobs:
                _note_logprobs(live, logits, row_of, new)
            self.on_tokens(len(live))
            going = self._note(live, new)
            if not going:
                return
            if len(going) < len(live):
                live = [live[index] for index in going]
                row_of, new = row_of[going], new[going]
            row_of = batch.fork(row_of, new)
            logits = self._read(batch)
        raise EngineError(f"model {self._transcriber.model!r}: interrupted")

    def interrupt(self) -> None:
        """Ends a :meth:`generate` that is under way on another thread: the batch under way ends at its next token."""
        self._interrupted.set()

    def _read(self, batch: PrefixBatch) -> torch.Tensor:
        """Logits of the next token, [rows, vocabulary]; reads all that the cache does not hold yet."""
        unread = slice(None) if batch.cache is None else slice(-1, None)
        inputs: dict[str, Any] = {"input_ids": batch.tokens[:, unread], "attention_mask": batch.mask}
        if self._takes_positions:
            inputs["position_ids"] = (batch.mask.cumsum(-1) - 1).clamp(min=0)[:, unread]
        if self._takes_keep:
            inputs["logits_to_keep"] = 1
        if batch.cache is not None:
            inputs[self._cache_argument] = batch.cache
        output = self._model(**inputs, use_cache=True)
        if batch.cache is None:
            cache = cache_of(output)
            batch.cache = growing(cache) if can_choose_rows(cache) else None
        return output.logits[:, -1].float()  # type: ignore[no-any-return]

    def _left_padded(self, prompts: list[list[int]]) -> PrefixBatch:
        longest = max(map(len, prompts))
        tokens = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        return PrefixBatch(self._indices(tokens), self._indices(mask))

    def _indices(self, numbers: Any) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._model.device)

    def _choose(self, logits: torch.Tensor, row_of: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The next token of every sample, [samples]."""
        if self.sampling.temperature == 0:
            return logits.argmax(-1)[row_of]
        probability = torch.softmax(logits / self.sampling.temperature, -1)
        if self.sampling.top_p < 1:
            ordered, order = probability.sort(-1, descending=True)
            beyond = ordered.cumsum(-1) - ordered >= self.sampling.top_p
            beyond[..., 0] = False  # the most likely token is never beyond, however small top_p is as a float32
            probability = torch.zeros_like(probability).scatter(-1, order, ordered.masked_fill(beyond, 0.0))
        return draw_tokens(probability, row_of, rng)

    def _note(self, live: list[_Row], new: torch.Tensor) -> list[int]:
        """Adds each row's new token; returns which rows go on."""
        ended = torch.isin(new, self._ends).tolist()
        for row, token, end in zip(live, new.tolist(), ended, strict=True):
            row.tokens.append(token)
            row.ended = end or self._transcriber.has_stop(row.tokens, self.sampling)
        return [index for index, row in enumerate(live) if not row.ended and len(row.tokens) < row.limit]

    def _finished(
        self, waiting: dict[int, list[_Row]], prompts: list[Prompt]
    ) -> Iterator[tuple[Request, list[Sample]]]:
        write = self._transcriber.sample
        for index, rows in waiting.items():
            samples = [
                write(row.tokens, row.ended, row.seed, self.sampling, prompts[index], _summary(row)) for row in rows
            ]
            self.usage.note(samples)
            yield prompts[index].request, samples


def _note_logprobs(live: list[_Row], logits: torch.Tensor, row_of: torch.Tensor, new: torch.Tensor) -> None:
    """Adds the new tokens' log-probabilities, and KL(uniform || p) of what they were drawn from, at temperature 1."""
    logprobs = torch.log_softmax(logits, -1)
    chosen = logprobs[row_of, new].tolist()
    certainties = (-logprobs.mean(-1) - math.log(logprobs.shape[-1]))[row_of].tolist()
    for row, logprob, certainty in zip(live, chosen, certainties, strict=True):
        row.logprobs.append(logprob)
        row.certainties.append(certainty)


def _summary(row: _Row) -> LogprobSummary | None:
    return LogprobSummary.of_tokens(row.logprobs, row.certainties)


def load_causal_model(model: str, device: str, trust_remote_code: bool, chat: bool) -> tuple[Any, Transcriber]:
    """A causal language model, ready to run, and what turns its tokens into text.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings.
        chat: Whether prompts are put into the tokenizer's chat template.

    Raises:
        InputError: There is no such model, or no chat template.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
    loaded = load_pretrained(AutoModelForCausalLM, model, device, trust_remote_code).eval()
    context = int(getattr(loaded.config.get_text_config(), "max_position_embeddings", None) or 1 << 30)
    return loaded, Transcriber(model, tokenizer, chat, context)


def end_tokens(model: Any) -> list[int]:
    """The tokens that end a sample.

    Args:
        model: A causal language model; its ``generation_config`` is read from a file of its folder.

    Raises:
        InputError: The file names what is no token.
    """
    named = model.generation_config.eos_token_id
    ends = [] if named is None else named if isinstance(named, list | tuple) else [named]
    if not all(type(one) is int and -(2**63) <= one < 2**63 for one in ends):  # -1 stands for none in some
        what = f"model {model.name_or_path!r}: generation_config.json"
        raise InputError(f"{what}: 'eos_token_id' must be a token, or a list of tokens, got {named!r:.60}")
    return list(ends)


def describe_transformers(model: str, chat: bool, sampling: SamplingParams) -> Mapping[str, object]:
    """What a manifest records of a transformers model; how its samples are batched is left out: it changes nothing.

    Args:
        model: As the user names it.
        chat: Whether prompts are put into its chat template.
        sampling: How samples are drawn.
    """
    own = {"adapter": "transformers", "model": model, **describe_adapter(model), **find_source(model).description}
    return {**own, "chat": chat, **sampling.describe(), OTHER_SAMPLERS: OFF}
