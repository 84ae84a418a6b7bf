"""Process reward models behind vLLM servers: the same layouts as in process, token ids sent.

A model with a head of its own is asked for its raw numbers (:mod:`~optscale_predictor.verifiers._pooling`; vLLM started
with the pooling runner), a causal language model for two log-probabilities a step
(:mod:`~optscale_predictor.verifiers._step_completions`; vLLM as it generates).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.verifiers import _completions_endpoint as _step_completions
from optscale_predictor.backends.verifiers import _pooling_endpoint as _pooling
from optscale_predictor.backends.verifiers._process import ProcessVerifier, RowRead
from optscale_predictor.backends.verifiers._served import Refused, ServedModel
from optscale_predictor.backends.verifiers.detect import detect_layout
from optscale_predictor.backends.verifiers.layouts import StepRow
from optscale_predictor.backends.verifiers.steps import StepSettings
from optscale_predictor.errors import InputError, ServiceError

_PART = 64  # samples whose scores are handed on together


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
        """See :class:`Verifier`. URLs are left out: where a model is served changes nothing about its scores."""
        return {**super().describe(), "adapter": "served_process_reward_model", "served_model": self._served.name}

    def read_rows(self, rows: Mapping[int, StepRow]) -> Iterator[dict[int, RowRead]]:
        """See :class:`ProcessVerifier`. Rows are asked for side by side.

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
            path = _pooling.PATH
            payloads = {index: _pooling.request("token_classify", row.tokens) for index, row in rows.items()}
        else:
            path = _step_completions.PATH
            payloads = {index: _step_completions.request(row, candidates) for index, row in rows.items()}

        def read(index: int, reply: Any) -> RowRead:
            if candidates is None:
                return _pooling.read_steps(rows[index], labels, reply)
            return _step_completions.read_steps(rows[index], candidates, reply)

        for index, found in self._served.ask(path, payloads, read, max_retries):
            yield index, RowRead(found.reason, 0) if isinstance(found, Refused) else found

    def _probe(self) -> None:
        rows, refusals = self._rows([_pooling.PROBE])
        found = [read.outputs for _, read in self._ask(rows, _pooling.PROBE_RETRIES)]
        for reason in [*refusals.values(), *(one for one in found if isinstance(one, str))]:
            raise ServiceError(f"verifier {self._name!r}: {reason}")
        if self._layout.candidates is None:
            _pooling.require_raw(self._served, self._name, "token_classify", rows[0].tokens)
