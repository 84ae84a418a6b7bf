"""Reward models of one label behind vLLM servers: the same conversation as in process, token ids sent.

transformers reads such a model at its last token that is not padding, vLLM at its last token. They differ where a
conversation ends with the very token that pads (many models pad with the token that ends a turn), and transformers' is
how the models were published. So padding tokens at the end are left out of what is sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.backends.model_loading import load_pretrained, read_config
from optscale_predictor.backends.verifiers import _pooling_endpoint as _pooling
from optscale_predictor.backends.verifiers._batches import too_long
from optscale_predictor.backends.verifiers._served import Refused, ServedModel
from optscale_predictor.backends.verifiers._verifier import Answered
from optscale_predictor.backends.verifiers.reward_model import LogisticMap, RewardVerifier, read_as_conversation
from optscale_predictor.errors import ServiceError

Floats = NDArray[np.float64]


class ServedRewardModel(RewardVerifier):
    """A reward model of one label behind one or several vLLM servers.

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
        """See :class:`RewardVerifier`."""
        return {"adapter": "served_reward_model", "model": self._name, "served_model": self._served.name}

    def rewards(self, items: Sequence[Answered]) -> tuple[Floats, NDArray[np.int64], dict[int, str]]:
        """See :class:`RewardVerifier`."""
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
        payloads = {index: _pooling.request("classify", one) for index, one in tokens.items()}
        return self._served.ask(
            _pooling.PATH, payloads, lambda index, reply: _pooling.read_reward(tokens[index], reply), max_retries
        )

    def _probe(self) -> None:
        tokens = self._read(_pooling.PROBE)
        for _, found in self._ask({0: tokens}, _pooling.PROBE_RETRIES):
            if isinstance(found, Refused):
                raise ServiceError(f"verifier {self._name!r}: {found.reason}")
        _pooling.require_raw(self._served, self._name, "classify", tokens)
