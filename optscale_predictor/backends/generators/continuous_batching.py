"""transformers with continuous batching: a sample's slot in the batch goes to the next one the moment it ends.

For a GPU. The cache is paged, so nothing is padded and nothing is held for samples that might have been longer; a
prompt is read once and forked for all its samples. It needs flash attention to be fast: without it every row attends,
masked, to the tokens of all rows, so at most ``MASKED_ROWS`` run at once, and the loop of
:mod:`~optscale_predictor.backends.generators.huggingface` is the better choice. On a CPU it runs too, for tests.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from math import ceil
from typing import Any

import torch

from optscale_predictor.backends.generators.generator import Request, Sample, Usage
from optscale_predictor.backends.generators.huggingface import describe_transformers, end_tokens, load_causal_model
from optscale_predictor.backends.generators.request_seeds import session_seed
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.transcription import Prompt, TokenGenerator
from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.errors import EngineError, InputError

MASKED_ROWS = 64  # samples at once where attention goes over all of them
_NEW_ENOUGH = tuple(map(int, version("transformers").split(".")[:2])) >= (5, 17)
_CPU_PAGE = 32  # tokens; on a GPU the engine knows best


@dataclass
class _Row:
    """One sample in the making; ``extra`` tokens were drawn after its stop string."""

    request: int
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    done: bool = False
    ended: bool = False
    extra: int = 0


class ContinuousBatchingGenerator(TokenGenerator):
    """Samples with a transformers model in this process, continuously batched.

    What is reproducible: the engine draws all samples of one call of :meth:`generate` from one stream of random
    numbers, seeded by the base seed and the call's requests (the seed that its samples record). The same call on the
    same machine gives the same samples again, as long as the cache has the same size and, on a GPU, the kernels add in
    the same order; with stop strings, not even then, because a stopped sample leaves when the other thread gets to
    it. While a call runs, torch's global random numbers are the engine's; they are put back when it ends.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        sampling: How samples are drawn.
        batch_size: Most samples at once, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings.
        chat: Whether to put prompts into the tokenizer's chat template.
        memory_share: Share of the GPU memory left over by the model that the cache takes, in (0, 1); a verifier in the
            same process needs the rest.

    Raises:
        InputError: There is no such model or chat template, or transformers is too old.
    """

    def __init__(
        self,
        model: str,
        sampling: SamplingParams,
        batch_size: int = 512,
        device: str = "auto",
        trust_remote_code: bool = False,
        chat: bool = False,
        memory_share: float = 0.8,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        if not 0 < memory_share < 1:
            raise InputError(f"memory_share must lie in (0, 1), got {memory_share}")
        require_continuous_batching()
        self.sampling, self.usage = sampling, Usage()
        loaded, self._transcriber = load_causal_model(model, device, trust_remote_code, chat)
        self._ends = set(end_tokens(loaded))
        self._engine = _Engine(loaded, batch_size, memory_share)

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and sampling; JSON types, no secrets."""
        return describe_transformers(self._transcriber.model, self._transcriber.chat, self.sampling)

    def check_sampling(self) -> None:
        """Sees whether it can sample as ``sampling`` says.

        Raises:
            InputError: Log-probabilities are asked for that would not be the model's own.
        """
        sampling = self.sampling
        if sampling.logprobs and sampling.temperature and (sampling.temperature != 1 or sampling.top_p < 1):
            only = "logprobs: continuous batching tells the model's own only at temperature 1 (or 0) and top_p 1"
            raise InputError(f"{only}; --engine transformers tells them at any")

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """Draws independent samples for each request; yields each request once, as it finishes.

        Leaving the iterator stops the engine.

        Raises:
            EngineError: The engine failed.
            InputError: Another iteration over it has not ended, or it cannot tell log-probabilities of such sampling.
            RequestRefusedError: Some prompts are empty or too long; raised when all others are done.
        """
        self.check_sampling()
        prompts, refusals = self._transcriber.prompts(requests)
        if prompts:
            yield from self._drawn(prompts)
        refusals.tell()

    def _drawn(self, prompts: list[Prompt]) -> Iterator[tuple[Request, list[Sample]]]:
        seed = session_seed(self.sampling.seed, [prompt.request for prompt in prompts])
        span = max(len(prompt.tokens) + self._transcriber.room(prompt, self.sampling) for prompt in prompts)
        rows: dict[str, _Row] = {}
        waiting = {index: prompt.request.num_samples for index, prompt in enumerate(prompts)}
        with self._engine.session(self.sampling, sorted(self._ends), span, seed) as manager:
            for index, prompt in enumerate(prompts):
                self._enqueue(manager, index, prompt, rows)
            manager.start()
            try:
                for index in self._finished(manager, rows, waiting):
                    self.usage.prompt_tokens += len(prompts[index].tokens)
                    samples = self._samples(rows, index, seed, prompts[index])
                    self.usage.note(samples)
                    yield prompts[index].request, samples
            finally:
                self._engine.stop(hard=bool(waiting))
                self._settle(manager, rows, waiting)

    def _enqueue(self, manager: Any, index: int, prompt: Prompt, rows: dict[str, _Row]) -> None:
        # A prompt is forked before its last token, so one of a single token is sent as often as it is asked.
        together, count = len(prompt.tokens) > 1, prompt.request.num_samples
        manager.num_return_sequences = count if together else 1
        names = _names(index, count)
        rows |= {name: _Row(index) for name in names}
        limit, streaming = self._transcriber.room(prompt, self.sampling), bool(self.sampling.stop)
        for name in names[:1] if together else names:
            if manager.add_request(prompt.tokens, request_id=name, max_new_tokens=limit, streaming=streaming) is None:
                raise InputError(f"model {self._transcriber.model!r}: continuous batching takes no requests")

    def _finished(self, manager: Any, rows: Mapping[str, _Row], waiting: dict[int, int]) -> Iterator[int]:
        """Requests whose samples have all ended, as they do; ``waiting`` counts what is left of each."""
        while waiting:
            output = manager.get_result(timeout=1.0)
            if output is None:
                if not manager.is_running():
                    raise EngineError(f"model {self._transcriber.model!r}: continuous batching stopped before its end")
                continue
            if output.error:
                reason = " ".join(str(output.error).split())
                raise EngineError(f"model {self._transcriber.model!r}: continuous batching failed: {reason}")
            row = rows[output.request_id]
            if not self._advance(row, output):
                continue
            self.on_tokens(len(row.tokens))
            if not output.is_finished():
                manager.cancel_request(output.request_id)
            waiting[row.request] -= 1
            if not waiting[row.request]:
                del waiting[row.request]
                yield row.request

    def _advance(self, row: _Row, output: Any) -> bool:
        """Takes over a sample's tokens; whether it ended just now."""
        tokens = output.generated_tokens
        if row.done:
            row.extra = max(row.extra, len(tokens) - len(row.tokens))
            return False
        stopped = self._transcriber.has_stop(tokens, self.sampling)
        row.tokens, row.logprobs, row.done = tokens, output.logprobs[: len(tokens)], stopped or output.is_finished()
        row.ended = stopped or tokens[-1] in self._ends
        return row.done

    def _samples(self, rows: Mapping[str, _Row], index: int, seed: int, prompt: Prompt) -> list[Sample]:
        drawn = [rows[name] for name in _names(index, prompt.request.num_samples)]
        write, told = self._transcriber.sample, LogprobSummary.of_tokens
        return [write(row.tokens, row.ended, seed, self.sampling, prompt, told(row.logprobs)) for row in drawn]

    def _settle(self, manager: Any, rows: Mapping[str, _Row], waiting: Mapping[int, int]) -> None:
        """Counts what was drawn for nothing: beyond stop strings, and for requests that were left."""
        while (output := manager.get_result()) is not None:
            row = rows[output.request_id]
            if row.done:
                row.extra = max(row.extra, len(output.generated_tokens) - len(row.tokens))
            elif len(output.generated_tokens) > len(row.tokens):
                row.tokens = output.generated_tokens
        self.usage.cancelled += len(waiting)
        self.usage.discarded_tokens += sum(row.extra for row in rows.values())
        self.usage.discarded_tokens += sum(len(row.tokens) for row in rows.values() if row.request in waiting)


def _names(index: int, count: int) -> list[str]:
    """What the engine calls the samples of a request: its forks are numbered so."""
    return [str(index), *(f"{index}__child#{fork}" for fork in range(count - 1))]


class _Engine:
    """A model and its continuous batching, which is kept between calls: its cache and its graphs are dear."""

    def __init__(self, model: Any, batch_size: int, memory_share: float) -> None:
        self.model, self.batch_size, self.memory_share = model, batch_size, memory_share
        self._key: tuple[object, ...] = ()
        self._span = 0
        self._manager: Any = None
        self._busy = False
        # It logs failures with a traceback, and then hands them over as well.
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)

    @contextmanager
    def session(self, sampling: SamplingParams, ends: list[int], span: int, seed: int) -> Iterator[Any]:
        """The engine's manager, ready to take requests and be started; random numbers are put back afterwards.

        Args:
            sampling: How samples are drawn.
            ends: The tokens that end a sample.
            span: Most tokens of a prompt with its sample, > 0.
            seed: Of the random numbers, in [0, 2**31).
        """
        if self._busy:
            raise InputError("this generator is drawing already; end that iteration first")
        self._busy = True
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                self._manager = self._prepared(sampling, ends, span, seed)
                torch.manual_seed(seed)
                yield self._manager
        finally:
            self._busy = False

    def stop(self, hard: bool) -> None:
        """Ends the engine's thread; ``hard`` where it has work left. The cache stays."""
        failed = self._manager.background_thread_status.fatal_error is not None
        self._manager.stop(block=True, hard_stop=hard, keep_for_next_session=not failed)
        if failed:
            self._key = ()

    def _prepared(self, sampling: SamplingParams, ends: list[int], span: int, seed: int) -> Any:
        key = (sampling.temperature, sampling.top_p, bool(sampling.stop), sampling.logprobs)
        if key == self._key and (span <= self._span or self.model.device.type != "cpu"):
            manager = self.model.init_continuous_batching()  # the one it keeps
        else:
            self.model.destroy_cached_continuous_batching_manager()
            self._key, self._span = key, max(span, self._span)
            manager = self.model.init_continuous_batching(_choice(sampling, ends), self._settings(sampling, seed))
            manager.warmup()
        while manager.get_result() is not None:  # what an iteration that was left still had in the queue
            pass
        # Requests are queued before the start, so that which ones share a batch is no matter of timing.
        manager.background_thread_status.clear()
        return manager

    def _settings(self, sampling: SamplingParams, seed: int) -> Any:
        from transformers.generation.configuration_utils import ContinuousBatchingConfig

        settings: dict[str, Any] = {"seed": seed, "max_requests_per_batch": self.batch_size}
        settings["max_memory_percent"] = self.memory_share
        settings |= {"return_logprobs": True} if sampling.logprobs else {}
        if sampling.stop:
            settings["use_async_batching"] = False  # a cancelled row must not be in a batch under way
        if not flash_attention_ready(self.model):
            settings["max_requests_per_batch"] = rows = min(self.batch_size, MASKED_ROWS)
            settings["max_batch_tokens"] = 1024  # the mask is [this, cache]
            if self.model.device.type == "cpu":
                page = "page_size" if hasattr(ContinuousBatchingConfig, "page_size") else "block_size"
                settings |= {page: _CPU_PAGE, "num_blocks": rows * (ceil(self._span / _CPU_PAGE) + 1)}
        return ContinuousBatchingConfig(**settings)


def _choice(sampling: SamplingParams, ends: list[int]) -> Any:
    """How the next token is chosen; nothing of the model's own defaults (top-k 50, say) comes into it."""
    from transformers import GenerationConfig

    shared: dict[str, Any] = {"eos_token_id": ends or -1, "max_new_tokens": sampling.max_tokens}
    if sampling.temperature == 0:
        return GenerationConfig(do_sample=False, **shared)
    return GenerationConfig(do_sample=True, temperature=sampling.temperature, top_p=sampling.top_p, top_k=0, **shared)


def flash_attention_ready(model: Any = None) -> bool:
    """Whether continuous batching would find flash attention here, and the model, where one is named, takes it."""
    if not torch.cuda.is_available() or not _NEW_ENOUGH or not getattr(model, "_supports_flash_attn", True):
        return False
    from transformers.utils.import_utils import is_flash_attn_2_available, is_flash_attn_3_available

    return any(ready(kernels_fallback_ok=True) for ready in (is_flash_attn_3_available, is_flash_attn_2_available))


def require_continuous_batching() -> None:
    """Raises ``InputError`` where transformers is too old for it."""
    if not _NEW_ENOUGH:
        raise InputError(f"continuous batching needs transformers 5.17 or newer, this is {version('transformers')}")
