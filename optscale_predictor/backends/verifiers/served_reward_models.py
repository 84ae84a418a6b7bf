"""Reward models and process reward models behind vLLM servers: read as in process, token ids sent.

A model with a head of its own is asked for its raw numbers (vLLM started with the pooling runner), a causal language
model for two log-probabilities a step (vLLM as it generates).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.backends.model_loading import load_pretrained, read_config
from optscale_predictor.backends.verifiers import vllm_endpoint as endpoint
from optscale_predictor.backends.verifiers.length_batches import too_long
from optscale_predictor.backends.verifiers.process_verifier import (
    ProcessVerifier,
    RowRead,
    StepSettings,
    detect_layout,
)
from optscale_predictor.backends.verifiers.reward_model import read_as_conversation
from optscale_predictor.backends.verifiers.score_maps import LogisticMap, RewardVerifier
from optscale_predictor.backends.verifiers.step_layout import StepRow
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.backends.verifiers.vllm_endpoint import Refused, ServedModel
from optscale_predictor.errors import InputError, ServiceError

_PART = 64  # samples whose scores are handed on together


class ServedRewardModel(RewardVerifier):
    """A reward model of one label behind one or several vLLM servers.

    transformers reads such a model at its last token that is not padding, vLLM at its last token. They differ where a
    conversation ends with the very token that pads (many models pad with the token that ends a turn), and
    transformers' is how the models were published. So padding tokens at the end are left out of what is sent.

    Args:
        base_url: For example ``http://127.0.0.1:8000``, or several, separated by spaces.
        model: Folder or hub id of the same model, for its tokenizer and config.
        concurrency: Samples under way at once, >= 1, over all servers together.
        timeout: Seconds that one try may take, > 0.
        max_retries: How often a request is sent again, >= 0.
        trust_remote_code: Whether to run code that the tokenizer's repository brings.
        score_map: How its logits become scores; fitted on a pool where it is None.

    Raises:
        ServiceError: A server does not answer, or does not give one raw logit a sample.
    """

    served = True

    def __init__(
        self,
        base_url: str,
        model: str,
        concurrency: int = 32,
        timeout: float = 600.0,
        max_retries: int = 8,
        trust_remote_code: bool = False,
        score_map: LogisticMap | None = None,
    ) -> None:
        from transformers import AutoTokenizer

        self._name, self.score_map = model, score_map
        self._tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        self._padding = read_config(model).get("pad_token_id")
        self._served = ServedModel(base_url, model, concurrency, timeout, max_retries)
        self._probe()

    def describe_model(self) -> Mapping[str, object]:
        """What a pool's manifest records, without the map."""
        return {"adapter": "served_reward_model", "model": self._name, "served_model": self._served.name}

    def rewards(self, items: Sequence[Answered]) -> tuple[Floats, Ints, dict[int, str]]:
        """Raw rewards [items] (NaN where refused), tokens read [items], and refusals by index."""
        tokens = [self._read(item) for item in items]
        refusals = too_long([len(one) for one in tokens], self._served.context)
        rewards, read = np.full(len(items), np.nan), np.zeros(len(items), np.int64)
        for index, found in self._ask({index: one for index, one in enumerate(tokens) if index not in refusals}):
            if isinstance(found, Refused):
                self._probe()  # a fault of the server's is an error, and no sample's
                refusals[index] = found.reason
            else:
                rewards[index], read[index] = found, len(tokens[index])
        return rewards, read, refusals

    def _read(self, item: Answered) -> list[int]:
        tokens = read_as_conversation(self._tokenizer, item)
        while tokens and tokens[-1] == self._padding:
            tokens.pop()
        return tokens

    def _ask(
        self, tokens: Mapping[int, list[int]], max_retries: int | None = None
    ) -> Iterator[tuple[int, float | Refused]]:
        payloads = {index: endpoint.pooling_request("classify", one) for index, one in tokens.items()}
        return self._served.ask(
            endpoint.POOLING,
            payloads,
            lambda index, reply: endpoint.read_pooled_reward(tokens[index], reply),
            max_retries,
        )

    def _probe(self) -> None:
        tokens = self._read(endpoint.PROBE)
        for _, found in self._ask({0: tokens}, endpoint.PROBE_RETRIES):
            if isinstance(found, Refused):
                raise ServiceError(f"verifier {self._name!r}: {found.reason}")
        endpoint.require_raw(self._served, self._name, "classify", tokens)


class ServedProcessRewardModel(ProcessVerifier):
    """A process reward model behind one or several vLLM servers.

    Args:
        base_url: For example ``http://127.0.0.1:8000``, or several, separated by spaces.
        model: Folder or hub id of the same model, for its tokenizer and config.
        settings: Layout, aggregate and separator.
        concurrency: Samples under way at once, >= 1, over all servers together.
        timeout: Seconds that one try may take, > 0.
        max_retries: How often a request is sent again, >= 0.
        trust_remote_code: Whether to run code that the tokenizer's repository brings.

    Raises:
        InputError: The tokenizer lacks a token that the layout needs, or the layout has to be named.
        ServiceError: A server does not answer, or does not give what the layout reads.
    """

    served = True

    def __init__(
        self,
        base_url: str,
        model: str,
        settings: StepSettings | None = None,
        concurrency: int = 32,
        timeout: float = 600.0,
        max_retries: int = 8,
        trust_remote_code: bool = False,
    ) -> None:
        from transformers import AutoTokenizer

        tokenizer: Any = load_pretrained(AutoTokenizer, model, trust_remote_code=trust_remote_code)
        super().__init__(tokenizer, model, detect_layout(model, settings or StepSettings(), tokenizer))
        self._served = ServedModel(base_url, model, concurrency, timeout, max_retries)
        self._context = self._served.context - (self._layout.candidates is not None)  # it generates one token
        self._probe()

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, model and score map; JSON types, no secrets.

        URLs are left out: where a model is served changes nothing about its scores.
        """
        return {**super().describe(), "adapter": "served_process_reward_model", "served_model": self._served.name}

    def read_rows(self, rows: Mapping[int, StepRow]) -> Iterator[dict[int, RowRead]]:
        """What the model makes of every row, by the row's index, in parts as they come.

        Rows are asked for side by side.

        Raises:
            ServiceError: A server failed for good; what was read before that is yielded first.
        """
        ready: dict[int, RowRead] = {}
        try:
            for index, read in self._ask(rows):
                if isinstance(read.outputs, str):
                    self._probe()  # a fault of the server's is an error, and no sample's
                ready[index] = read
                if len(ready) == _PART:
                    yield ready
                    ready = {}
        except InputError:
            if ready:
                yield ready
            raise
        if ready:
            yield ready

    def _ask(self, rows: Mapping[int, StepRow], max_retries: int | None = None) -> Iterator[tuple[int, RowRead]]:
        candidates, labels = self._layout.candidates, self._layout.labels
        if candidates is None:
            path = endpoint.POOLING
            payloads = {index: endpoint.pooling_request("token_classify", row.tokens) for index, row in rows.items()}
        else:
            path = endpoint.COMPLETIONS
            payloads = {index: endpoint.completion_request(row, candidates) for index, row in rows.items()}

        def read(index: int, reply: Any) -> RowRead:
            if candidates is None:
                return endpoint.read_pooled_steps(rows[index], labels, reply)
            return endpoint.read_completed_steps(rows[index], candidates, reply)

        for index, found in self._served.ask(path, payloads, read, max_retries):
            yield index, RowRead(found.reason, 0) if isinstance(found, Refused) else found

    def _probe(self) -> None:
        rows, refusals = self._rows([endpoint.PROBE])
        found = [read.outputs for _, read in self._ask(rows, endpoint.PROBE_RETRIES)]
        for reason in [*refusals.values(), *(one for one in found if isinstance(one, str))]:
            raise ServiceError(f"verifier {self._name!r}: {reason}")
        if self._layout.candidates is None:
            endpoint.require_raw(self._served, self._name, "token_classify", rows[0].tokens)
