"""Two tokens' logits after each step of a sample, from vLLM's ``/v1/completions``.

Each step's prefix is a prompt, one token is generated, and the log-probabilities of the two tokens are read by id:
their difference is the difference of their logits exactly, whatever else is likely there. (``prompt_logprobs`` would
read all steps in one pass, but tells only the likeliest tokens of a position, which need not be these two.) Prefix
caching makes the prefixes cheap; without it a sample costs the sum of their lengths.
"""

from typing import Any

import numpy as np

from optscale_predictor.backends.http_client import UnreadableReplyError
from optscale_predictor.backends.verifiers._pooling_endpoint import require_read
from optscale_predictor.backends.verifiers._process import RowRead
from optscale_predictor.backends.verifiers.layouts import StepRow

PATH = "/v1/completions"


def request(row: StepRow, candidates: tuple[int, int]) -> dict[str, object]:
    """One token after each step's prefix; sampling settings that leave log-probabilities as the model gives them."""
    return {
        "prompt": [row.tokens[: position + 1] for position in row.positions],
        "max_tokens": 1,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "logprobs": len(candidates),
        "logprob_token_ids": list(candidates),
        "return_tokens_as_token_ids": True,
    }


def read_steps(row: StepRow, candidates: tuple[int, int], reply: Any) -> RowRead:
    """Log-probabilities [steps, 2], and tokens read anew and written."""
    choices = {choice["index"]: choice for choice in reply["choices"]}
    if len(reply["choices"]) != len(row.positions) or choices.keys() != set(range(len(row.positions))):
        raise UnreadableReplyError(f"it gave {len(reply['choices'])} answers for {len(row.positions)} steps")
    listed = [choices[index]["logprobs"]["top_logprobs"][0] for index in range(len(row.positions))]
    names = [f"token_id:{candidate}" for candidate in candidates]
    if not all(name in one for one in listed for name in names):
        raise UnreadableReplyError(
            "its reply lacks the two tokens that were asked for (logprob_token_ids, as vLLM has)"
        )
    found = np.array([[one[name] for name in names] for one in listed], np.float64)
    if not (np.isfinite(found) & (found < 1e-3)).all():  # 0 but for rounding
        raise UnreadableReplyError("a log-probability is above 0 or not finite")
    read = sum(position + 1 for position in row.positions)
    require_read(reply, read)
    cached = (reply["usage"].get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    return RowRead(found, read - min(int(cached), read) + len(row.positions))
