"""vLLM's ``/pooling``: what is sent, and a reply's numbers, checked.

Token ids are sent, so that the layout stays ours, and raw numbers asked for, without vLLM's softmax or sigmoid: the map
to [0, 1] is ours too.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optscale_predictor.backends.http_client import UnreadableReplyError
from optscale_predictor.backends.model_loading import read_config
from optscale_predictor.backends.verifiers._process import RowRead
from optscale_predictor.backends.verifiers._served import Refused, ServedModel
from optscale_predictor.backends.verifiers._verifier import Answered
from optscale_predictor.backends.verifiers.layouts import StepRow
from optscale_predictor.errors import ServiceError
from optscale_predictor.questions.question import Question

Floats = NDArray[np.float64]

PATH = "/pooling"

#: What a server is tried with, and how often it is asked again: a wrong model stays wrong.
PROBE_RETRIES = 2
PROBE = Answered(Question("probe", "What is 1 + 1?"), "First, 1 + 1 = 2.\n\nSo the answer is 2.")


def request(task: str, tokens: list[int], use_activation: bool = False) -> dict[str, object]:
    """One input's request; ``task`` is ``token_classify`` or ``classify``."""
    return {
        "task": task,
        "input": [tokens],
        "use_activation": use_activation,
        "encoding_format": "base64",
        "embed_dtype": "float32",
        "endianness": "little",
    }


def read_steps(row: StepRow, labels: int, reply: Any) -> RowRead:
    """The numbers at a row's positions, of a server that gives those of every token, or of its own step markers."""
    (entry,) = reply["data"]
    numbers = _numbers(entry["data"])
    require_read(reply, len(row.tokens))
    if numbers.size == len(row.tokens) * labels:
        return RowRead(numbers.reshape(-1, labels)[row.positions], len(row.tokens))
    if numbers.size == len(row.positions) * labels:
        return RowRead(numbers.reshape(-1, labels), len(row.tokens))
    raise UnreadableReplyError(
        f"it gave {numbers.size} numbers for {len(row.tokens)} tokens and {len(row.positions)} steps, where the layout "
        f"reads {labels} each: is another kind of model served, or another step marker set?"
    )


def read_reward(tokens: list[int], reply: Any) -> float:
    """The one number of a whole input."""
    (entry,) = reply["data"]
    numbers = _numbers(entry["data"])
    require_read(reply, len(tokens))
    if numbers.size != 1:
        raise UnreadableReplyError(f"it gave {numbers.size} numbers for a sample, where a reward model gives one")
    return float(numbers[0])


def require_read(reply: Any, tokens: int) -> None:
    """A server that reads more or fewer tokens than it was sent has changed the layout."""
    read = reply["usage"]["prompt_tokens"]
    if read != tokens:
        raise UnreadableReplyError(f"it read {str(read)[:20]} tokens of the {tokens} that it was sent")


def require_raw(served: ServedModel, model: str, task: str, tokens: list[int]) -> None:
    """Refuses a server that squashes its numbers whatever it is asked: its scores would be squashed twice.

    Raises:
        ServiceError: With and without activation it gives the same, and they look like probabilities.
    """
    payloads = {index: request(task, tokens, bool(index)) for index in (0, 1)}
    found = dict(served.ask(PATH, payloads, lambda _, reply: _numbers(reply["data"][0]["data"]), PROBE_RETRIES))
    raw, squashed = (_require_found(served, found[index]) for index in (0, 1))
    alike = np.array_equal(raw, squashed) and ((raw >= 0) & (raw <= 1)).all()
    if alike and read_config(model).get("problem_type") != "regression":  # then vLLM has nothing to squash with
        raise ServiceError(
            f"model {served.name!r}: the server gives probabilities where raw logits were asked for (use_activation)"
        )


def _require_found(served: ServedModel, found: Floats | Refused) -> Floats:
    if isinstance(found, Refused):
        raise ServiceError(f"model {served.name!r}: {found.reason}")
    return found


def _numbers(data: Any) -> Floats:
    """Numbers of a pooling reply, in base64 or, from servers that do not know it, listed."""
    if isinstance(data, str):
        return np.frombuffer(base64.b64decode(data, validate=True), "<f4").astype(np.float64)
    return np.asarray(data, np.float64).ravel()
