"""Any transformers causal language model, in process.

A decoding loop of our own rather than ``generate()``: rows that have ended leave the batch, so a batch costs what its
samples cost and not its longest sample times its size, and the random numbers come from a generator that belongs to
the batch, so nothing global is seeded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from optscale_predictor.errors import InputError
from optscale_predictor.generators._generator import Generator, Request, Sample, SamplingParams
from optscale_predictor.generators._seeds import request_seed
from optscale_predictor.models import load_pretrained


@dataclass
class _Row:
    """One sample in the making."""

    request: int
    seed: int
    tokens: list[int] = field(default_factory=list)
    ended: bool = False


class HuggingFaceGenerator(Generator):
    """Samples with a transformers model in this process.

    Args:
        model: Folder, hub id, or a name that ``models.resolve_model`` knows.
        sampling: How samples are drawn.
        batch_size: Samples in one batch, >= 1.
        device: A torch device; ``auto`` takes CUDA where there is one.
        trust_remote_code: Whether to run code that the model's repository brings.

    Raises:
        InputError: There is no such model.
    """

    def __init__(
        self,
        model: str,
        sampling: SamplingParams,
        batch_size: int = 512,
        device: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if batch_size < 1:
            raise InputError(f"batch_size must be >= 1, got {batch_size}")
        self._name, self.sampling, self._batch_size = model, sampling, batch_size
        self._tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        self._model: Any = load_pretrained(AutoModelForCausalLM, model, device, trust_remote_code).eval()
        self._device = self._model.device
        ends = self._model.generation_config.eos_token_id
        self._ends = torch.tensor(
            [] if ends is None else [ends] if isinstance(ends, int) else ends, device=self._device
        )
        self._context = int(getattr(self._model.config, "max_position_embeddings", 1 << 30))

    def describe(self) -> Mapping[str, object]:
        """See :class:`Generator`."""
        return {"adapter": "transformers", "model": self._name, **asdict(self.sampling)}

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Sample]]]:
        """See :class:`Generator`. Batches hold samples of neighbouring prompt lengths."""
        prompts = [self._tokenizer(request.prompt)["input_ids"] for request in requests]
        for request, prompt in zip(requests, prompts, strict=True):
            self._require_room(request, len(prompt))
        waiting: dict[int, list[_Row]] = {}
        batch: list[_Row] = []
        for index in sorted(range(len(requests)), key=lambda one: len(prompts[one])):
            seed = request_seed(self.sampling.seed, requests[index])
            waiting[index] = [_Row(index, seed) for _ in range(requests[index].num_samples)]
            batch += waiting[index]
            # A request stays within one batch (unless it alone is larger), and is done when its batch is.
            if len(batch) >= self._batch_size:
                self._run(batch, prompts)
                yield from self._finished(waiting, requests)
                waiting, batch = {}, []
        self._run(batch, prompts)
        yield from self._finished(waiting, requests)

    def _require_room(self, request: Request, length: int) -> None:
        if length == 0:
            raise InputError(f"question {request.question_id!r}: its prompt is empty")
        if length >= self._context:
            raise InputError(
                f"question {request.question_id!r}: its prompt has {length} tokens, the model's context {self._context}"
            )

    def _run(self, rows: list[_Row], prompts: list[list[int]]) -> None:
        rng = torch.Generator(self._device)
        for start in range(0, len(rows), self._batch_size):
            chunk = rows[start : start + self._batch_size]
            # A request larger than a batch goes on with its random numbers; seeded again it would repeat its samples.
            if start == 0 or chunk[0].request != rows[start - 1].request:
                rng.manual_seed(chunk[0].seed)
            self._decode(chunk, prompts, rng)

    @torch.inference_mode()
    def _decode(self, rows: list[_Row], prompts: list[list[int]], rng: torch.Generator) -> None:
        """Samples every row to its end."""
        tokens, mask = self._left_padded([prompts[row.request] for row in rows])
        position = mask.cumsum(-1) - 1
        longest = min(self.sampling.max_tokens, self._context - tokens.shape[1])
        cache, live = None, list(rows)
        for _ in range(longest):
            output = self._model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=position.clamp(min=0),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            new = self._choose(output.logits[:, -1].float(), rng)
            going = self._note(live, new)
            if not going:
                return
            if len(going) < len(live):
                kept = torch.tensor(going, device=self._device)
                cache.batch_select_indices(kept)
                new, mask, position = new[kept], mask[kept], position[kept]
                live = [live[index] for index in going]
            tokens = new[:, None]
            mask = torch.cat([mask, torch.ones_like(tokens)], -1)
            position = position[:, -1:] + 1

    def _left_padded(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        longest = max(map(len, prompts))
        tokens = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        return torch.tensor(tokens, device=self._device), torch.tensor(mask, device=self._device)

    def _choose(self, logits: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The next token of every row, [rows]."""
        if self.sampling.temperature == 0:
            return logits.argmax(-1)
        probability = torch.softmax(logits / self.sampling.temperature, -1)
        if self.sampling.top_p < 1:
            ordered, order = probability.sort(-1, descending=True)
            beyond = ordered.cumsum(-1) - ordered >= self.sampling.top_p
            probability = torch.zeros_like(probability).scatter(-1, order, ordered.masked_fill(beyond, 0.0))
        return torch.multinomial(probability, 1, generator=rng)[:, 0]

    def _note(self, live: list[_Row], new: torch.Tensor) -> list[int]:
        """Adds each row's new token; returns which rows go on."""
        ended = torch.isin(new, self._ends).tolist()
        for row, token, end in zip(live, new.tolist(), ended, strict=True):
            row.tokens.append(token)
            row.ended = end or self._has_stop(row.tokens)
        return [index for index, row in enumerate(live) if not row.ended]

    def _has_stop(self, tokens: list[int]) -> bool:
        if not self.sampling.stop:
            return False
        # A stop string has at most as many tokens as bytes; only the tail can have completed one just now.
        tail = self._text(tokens[-max(len(stop.encode()) for stop in self.sampling.stop) - 1 :])
        return any(stop in tail for stop in self.sampling.stop)

    def _finished(
        self, waiting: dict[int, list[_Row]], requests: Sequence[Request]
    ) -> Iterator[tuple[Request, list[Sample]]]:
        for index, rows in waiting.items():
            yield requests[index], [self._sample(row) for row in rows]

    def _sample(self, row: _Row) -> Sample:
        text = self._text(row.tokens)
        cut = min((place for stop in self.sampling.stop if (place := text.find(stop)) >= 0), default=len(text))
        return Sample(text[:cut], len(row.tokens), "stop" if row.ended else "length", row.seed)

    def _text(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True))
