"""Options of single engines: of the requests to a server, and of a vLLM engine in this process.

Plain data, so that a command line shows them, a manifest records them and a Ray actor carries them to another machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optscale_predictor.errors import InputError

#: Fields of a request that an adapter of samples cannot leave to anyone else.
_OWN_FIELDS = {"model", "prompt", "messages", "n", "seed", "stream", "stop", "temperature", "top_p"}
_OWN_FIELDS |= {"max_tokens", "max_completion_tokens"}

#: Arguments of vLLM's engine that say how fast it is, on what, and what it logs: samples do not depend on them.
_SPEED_ALONE = {"async_scheduling", "block_size", "compilation_config", "cpu_offload_gb", "cudagraph_capture_sizes"}
_SPEED_ALONE |= {"data_parallel_size", "disable_custom_all_reduce", "disable_log_stats", "distributed_executor_backend"}
_SPEED_ALONE |= {"download_dir", "enable_chunked_prefill", "enable_prefix_caching", "kv_cache_memory_bytes"}
_SPEED_ALONE |= {"max_num_batched_tokens", "max_num_seqs", "max_parallel_loading_workers", "num_gpu_blocks_override"}
_SPEED_ALONE |= {"pipeline_parallel_size", "scheduling_policy", "stream_interval", "swap_space", "use_tqdm_on_load"}


def _require_json(settings: Mapping[str, Any], name: str) -> None:
    """Refuses what no manifest can record, such as a date, which YAML makes of some texts."""
    try:
        json.dumps(settings, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{name} must be of JSON types: {error}") from error


@dataclass(frozen=True)
class ServerOptions:
    """How an OpenAI-compatible server is asked.

    Attributes:
        timeout: Seconds that one try may take, > 0; by default 600, and in `optscale serve` the request's own time.
        max_retries: How often a request is sent again, >= 0.
        longest_wait: Seconds between two tries at most, > 0; waits grow up to it.
        send_seed: Whether requests carry a seed; some engines cannot take one. Without, samples are recorded without a
            seed, and equal requests give other samples. A pool may be filled with and without.
        extra_body: Further fields of every request (`top_k`, `chat_template_kwargs` and so on); JSON types.

    Raises:
        InputError: A number is out of its range, or `extra_body` sets a field that has an option of its own.
    """

    timeout: float | None = None
    max_retries: int = 8
    longest_wait: float = 60.0
    send_seed: bool = True
    extra_body: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks every range, and that a further field is not one that has a setting of its own."""
        if self.timeout is not None and not self.timeout > 0:
            raise InputError(f"timeout must be > 0, got {self.timeout}")
        if not self.longest_wait > 0:
            raise InputError(f"longest_wait must be > 0, got {self.longest_wait}")
        if self.max_retries < 0:
            raise InputError(f"max_retries must be >= 0, got {self.max_retries}")
        for name in sorted(self.extra_body.keys() & _OWN_FIELDS):
            raise InputError(f"extra_body may not set {name!r}; it has a setting of its own")
        _require_json(self.extra_body, "extra_body")

    @property
    def seconds(self) -> float:
        """Seconds that one try may take, > 0."""
        return 600.0 if self.timeout is None else self.timeout


@dataclass(frozen=True)
class VLLMOptions:
    """Options of a vLLM engine in this process, by vLLM's own names.

    Attributes:
        tensor_parallel_size: GPUs that one copy of the model is split over, >= 1.
        gpu_memory_utilization: Share of each GPU's memory that the engine takes, in (0, 1]; a verifier on the same GPU
            needs the rest.
        max_model_len: Tokens that prompt and sample may have together, >= 2; the model's context by default.
        dtype: Of weights and activations: auto, bfloat16, float16 or float32.
        enforce_eager: Whether to leave out CUDA graphs: starts sooner, runs slower.
        more: Any further engine arguments of `vllm.LLM`, by name; JSON types. A pool records those that may change its
            samples.

    Raises:
        InputError: A number is out of its range, or log-probabilities would not be the model's own.
    """

    tensor_parallel_size: int = 1
    gpu_memory_utilization: float = 0.9
    max_model_len: int | None = None
    dtype: str = "auto"
    enforce_eager: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks every range."""
        if self.tensor_parallel_size < 1:
            raise InputError(f"tensor_parallel_size must be >= 1, got {self.tensor_parallel_size}")
        if not 0 < self.gpu_memory_utilization <= 1:
            raise InputError(f"gpu_memory_utilization must lie in (0, 1], got {self.gpu_memory_utilization}")
        if self.max_model_len is not None and self.max_model_len < 2:
            raise InputError(f"max_model_len must be >= 2, got {self.max_model_len}")
        _require_json(self.more, "vllm.more")
        mode = self.more.get("logprobs_mode", "raw_logprobs")
        if mode != "raw_logprobs":
            raise InputError(f"logprobs_mode must be raw_logprobs, the model's own log-probabilities, got {mode!r}")

    def arguments(self) -> dict[str, Any]:
        """As keyword arguments of ``vllm.LLM``."""
        named = {name: value for name, value in vars(self).items() if name != "more"}
        return {**named, "enable_prefix_caching": True, **self.more}

    def shaping(self) -> dict[str, Any]:
        """What of these may change samples, as a manifest records it; JSON types."""
        more = {name: value for name, value in self.more.items() if name not in _SPEED_ALONE}
        return {
            "dtype": self.dtype,
            "max_model_len": self.max_model_len,
            **({"engine_arguments": more} if more else {}),
        }
