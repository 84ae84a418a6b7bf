"""vLLM in this process, without a server: the fastest way to fill a pool on one machine's GPUs.

Requests wait at the engine, more of them than it can run, so that a sample that ends makes room for the next at once;
finished ones are handed on while the others run. A prompt's samples are one request with ``n``, and the prefix cache
keeps its prompt from being read again. Unlike vLLM's server, the engine takes no filters (top-k, min-p, repetition
penalty) from the model folder's ``generation_config.json``.

vLLM starts processes of its own that import the main script: a script that uses this needs ``if __name__ ==
"__main__":`` around what it does.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from optscale_predictor._support.hub_connection import hub_or_cache
from optscale_predictor._support.stop_signals import signals_deferred
from optscale_predictor.backends.generators.engine_options import VLLMOptions
from optscale_predictor.backends.generators.engine_samplers import OFF, OTHER_SAMPLERS
from optscale_predictor.backends.generators.generator import (
    DrawSession,
    Request,
    Sample,
    Usage,
    copies,
)
from optscale_predictor.backends.generators.request_seeds import request_seed
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.stepped_session import SteppedSession
from optscale_predictor.backends.generators.transcription import Prompt, TokenGenerator, Transcriber
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.errors import EngineError, InputError, MissingExtraError, RequestRefusedError
from optscale_predictor.questions.answers import reopen_thinking

_AHEAD = 2  # samples waiting or running at the engine, for each that it can run at once


class VLLMGenerator(TokenGenerator):
    """Samples with vLLM in this process.

    Every sample has a seed of its own (its request's, plus its index in the request). The engine's numbers depend a
    little on what it runs side by side, so equal seeds give equal samples for the most part, and not for certain.

    Args:
        model: Folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        sampling: How samples are drawn.
        chat: Whether to put prompts into the tokenizer's chat template.
        options: Of the engine.
        trust_remote_code: Whether to run code that the model's repository brings.

    Attributes:
        most_waiting: Samples that wait or run at the engine, at most.

    Raises:
        InputError: vLLM is not installed, or there is no such model, or it does not fit.
    """

    def __init__(
        self,
        model: str,
        sampling: SamplingParams,
        chat: bool = False,
        options: VLLMOptions | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        self.sampling, self.usage, self._options = sampling, Usage(), options or VLLMOptions()
        self._engine = _start(model, self._options, trust_remote_code)
        config = self._engine.vllm_config
        tokenizer = self._engine.get_tokenizer()
        self._transcriber = Transcriber(model, tokenizer, chat, int(config.model_config.max_model_len))
        self.most_waiting = _AHEAD * int(config.scheduler_config.max_num_seqs)
        self._names = count()  # shared by all that ``with_sampling`` gives, as the engine is
        self._finished: dict[str, Any] = {}

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and sampling; JSON types, no secrets."""
        return describe_vllm(self._transcriber.model, self._transcriber.chat, self._options, self.sampling)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """Draws independent samples for each request; yields each request once, as it finishes.

        Leaving the iterator aborts what is under way.

        Raises:
            EngineError: vLLM's engine died.
            RequestRefusedError: Some prompts are refused; raised when all others are done.
        """
        prompts, refusals = self._transcriber.prompts(requests)
        coming = iter(prompts)
        asked: dict[str, Prompt] = {}
        try:
            while True:
                waiting = sum(prompt.request.num_samples for prompt in asked.values())
                while waiting < self.most_waiting and (prompt := next(coming, None)) is not None:
                    try:
                        asked[self.submit(prompt)] = prompt
                        waiting += prompt.request.num_samples
                    except RequestRefusedError as error:
                        refusals.add(prompt.request, error)
                if not asked:
                    break
                with signals_deferred():  # what a step finished is handed over whole
                    for name in self._step(asked):
                        prompt = asked.pop(name)
                        yield prompt.request, self.collect(name, prompt)
        finally:
            self.abort(list(asked))
        refusals.tell()

    def session(self) -> DrawSession:
        """A session that hands the engine requests while it runs."""
        return SteppedSession(self, joins=True)  # it gives the samples of a request the seeds that follow its own

    def check(self, request: Request) -> None:
        """Sees, before anything is drawn, whether this request can be drawn for.

        Raises:
            InputError: Its prompt is empty or too long, or it holds a conversation and there is no chat template.
        """
        self.prompt(request)

    def prompt(self, request: Request) -> Prompt:
        """A request's prompt.

        Raises:
            RequestRefusedError: It is empty, or leaves no room for a sample.
        """
        return self._transcriber.prompt(request)

    def submit(self, prompt: Prompt) -> str:
        """Hands a request to the engine; what it is called there.

        Raises:
            RequestRefusedError: The engine refuses it.
            EngineError: The engine has died.
        """
        name, question = f"optscale-{next(self._names)}", prompt.request.question_id
        try:
            self._engine.add_request(name, self._rendered(prompt.tokens), self._params(prompt))
        except Exception as error:  # its own kinds of errors have changed from version to version
            if "Dead" in type(error).__name__:
                raise self._died(error) from error
            raise RequestRefusedError(f"question {question!r}: vLLM refuses it: {_first_line(error)}") from error
        return name

    def step(self) -> None:
        """Runs the engine a step.

        Raises:
            EngineError: It died.
        """
        try:
            outputs = self._engine.step()
        except Exception as error:  # no kind of error leaves an engine that could take another step
            raise self._died(error) from error
        self._finished |= {output.request_id: output for output in outputs if output.finished}

    def has_finished(self, name: str) -> bool:
        """Whether a request is done."""
        return name in self._finished

    def collect(self, name: str, prompt: Prompt) -> list[Sample]:
        """The samples of a request that is done.

        Args:
            name: As :meth:`submit` gave it.
            prompt: The one that was submitted.
        """
        output = self._finished.pop(name)
        self.usage.prompt_tokens += len(output.prompt_token_ids)
        samples = self._samples(prompt, output)
        self.usage.note(samples)
        return samples

    def abort(self, names: Sequence[str]) -> None:
        """Ends requests whose callers were cancelled."""
        if names:
            self.usage.cancelled += len(names)
            with suppress(Exception):  # an engine that died has nothing to abort, and its error is under way
                self._engine.abort_request(list(names))

    def _rendered(self, prompt: list[int]) -> Any:
        """Tokens in the form that this version's engine takes them in."""
        tokens = {"prompt_token_ids": prompt}
        renderer: Any = getattr(self._engine, "renderer", None)
        return renderer.render_cmpl([tokens])[0] if hasattr(renderer, "render_cmpl") else tokens

    def _died(self, error: Exception) -> EngineError:
        return EngineError(f"model {self._transcriber.model!r}: vLLM's engine died: {_first_line(error)}")

    def _params(self, prompt: Prompt) -> Any:
        from vllm import SamplingParams as Params
        from vllm.sampling_params import RequestOutputKind

        return Params(
            n=self._asked(prompt.request),
            temperature=self.sampling.temperature,
            top_p=self.sampling.top_p,
            max_tokens=self._transcriber.room(prompt, self.sampling),
            stop=list(self.sampling.stop) or None,
            seed=request_seed(self.sampling.seed, prompt.request),
            output_kind=RequestOutputKind.FINAL_ONLY,
            logprobs=0 if self.sampling.logprobs else None,  # of the drawn token alone
        )

    def _asked(self, request: Request) -> int:
        """Samples that the engine is asked for: it refuses to draw equal ones, so a greedy one is drawn once."""
        return 1 if self.sampling.temperature == 0 else request.num_samples

    def _step(self, asked: Mapping[str, Prompt]) -> list[str]:
        """Runs the engine a step; returns those of these requests that are done."""
        self.step()
        return [name for name in asked if self.has_finished(name)]

    def _samples(self, prompt: Prompt, output: Any) -> list[Sample]:
        request, read = prompt.request, len(output.prompt_token_ids)
        seed = request_seed(self.sampling.seed, request)
        samples = [self._sample(prompt, one, seed, read) for one in output.outputs]
        strange = {sample.finish_reason for sample in samples} - {"stop", "length"}
        if strange or len(samples) != self._asked(request):
            what = f"ended with {sorted(strange)}" if strange else f"has {len(samples)} samples"
            raise EngineError(f"question {request.question_id!r}: vLLM's reply {what}")
        return samples if len(samples) == request.num_samples else copies(samples[0], request.num_samples)

    def _sample(self, prompt: Prompt, output: Any, seed: int, read: int) -> Sample:
        reason, told = str(output.finish_reason), output.token_ids
        if prompt.request.prefix is not None and reason in (
            "stop",
            "length",
        ):  # the engine knows the new part of its text alone
            return self._transcriber.sample(told, reason == "stop", seed, self.sampling, prompt)
        text = self.sampling.shown(reopen_thinking(prompt.opened, output.text))
        logprobs = _summary(output) if self.sampling.logprobs else None
        return Sample(text, len(told), reason, seed, prompt_tokens=read, logprobs=logprobs)


def _summary(output: Any) -> LogprobSummary | None:
    """Of one sample's tokens, each of which vLLM gives a mapping that has the token itself."""
    pairs = zip(output.token_ids, output.logprobs, strict=True)
    return LogprobSummary.of_tokens([float(told[token].logprob) for token, told in pairs])


def describe_vllm(model: str, chat: bool, options: VLLMOptions, sampling: SamplingParams) -> Mapping[str, object]:
    """What a manifest records; options that change no sample are left out.

    Args:
        model: As the user names it.
        chat: Whether prompts are put into its chat template.
        options: Of the engine.
        sampling: How samples are drawn.
    """
    own = {"adapter": "vllm", "model": model, **find_source(model).description, "chat": chat}
    return {**own, **options.shaping(), **sampling.describe(), OTHER_SAMPLERS: OFF}


def _start(model: str, options: VLLMOptions, trust_remote_code: bool) -> Any:
    """The engine; unless the environment says otherwise, it logs warnings alone, and not between what we print."""
    path = resolve_model(model)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
    try:
        from vllm import LLM
        from vllm.platforms import current_platform
    except ImportError as error:
        raise MissingExtraError("vllm", "vllm") from error
    arguments = options.arguments()
    if current_platform.is_cpu():
        # The CPU build dies where it splits a seeded prompt over two steps: room for whole prompts.
        arguments.setdefault("max_num_batched_tokens", 32768)
        # Its blocks of 128 tokens keep nothing of a shorter prompt, which each sample would then read again.
        arguments.setdefault("block_size", 32)
    try:
        with hub_or_cache(asks=not Path(path).exists()):
            return LLM(path, trust_remote_code=trust_remote_code, **arguments).llm_engine
    except Exception as error:  # its processes hand on whatever failed while they started
        raise InputError(f"model {model!r}: vLLM cannot start: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """What an error of the engine says first."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
