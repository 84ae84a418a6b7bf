"""What can be set of an in-process vLLM engine; plain data, so that a command line and a Ray actor can carry it."""

from dataclasses import dataclass, field
from typing import Any

from optscale_predictor.errors import InputError


@dataclass(frozen=True)
class VLLMOptions:
    """Options of vLLM's engine, by its own names.

    Attributes:
        tensor_parallel_size: GPUs that one copy of the model is split over, >= 1.
        gpu_memory_utilization: Share of each GPU's memory that the engine takes, in (0, 1]; a verifier on the same GPU
            needs the rest.
        max_model_len: Tokens that prompt and sample may have together; the model's context by default.
        dtype: Of weights and activations: auto, bfloat16, float16 or float32.
        enforce_eager: Whether to leave out CUDA graphs: starts sooner, runs slower.
        more: Any further engine arguments of `vllm.LLM`, by name.
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

    def arguments(self) -> dict[str, Any]:
        """As keyword arguments of ``vllm.LLM``."""
        named = {name: value for name, value in vars(self).items() if name != "more"}
        return {**named, "enable_prefix_caching": True, **self.more}
