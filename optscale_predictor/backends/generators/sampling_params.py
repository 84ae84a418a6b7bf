"""How samples are drawn, in ranges that every engine can take."""

from dataclasses import asdict, dataclass, field

from optscale_predictor._support.number_checks import require_number
from optscale_predictor.errors import InputError
from optscale_predictor.questions.answers import strip_thinking

#: Engines compute in float32, where a temperature beyond these overflows and a nucleus below is empty.
LEAST_TEMPERATURE, MOST_TEMPERATURE, LEAST_TOP_P = 1e-6, 1e6, 1e-6
MOST_TOKENS = (1 << 31) - 1  # that pools count of a sample
_MOST_SEED = (1 << 63) - 1


@dataclass(frozen=True)
class SamplingParams:
    """How samples are drawn; the same for every sample of a pool.

    Attributes:
        temperature: Softmax temperature, 0 or in [1e-6, 1e6]; 0 is greedy.
        top_p: Nucleus mass, in [1e-6, 1].
        max_tokens: Most tokens a sample may have, in [1, 2**31).
        stop: Strings that end a sample, none of them empty; not part of its text. Any sequence of strings is taken.
        seed: Base seed, in [0, 2**63); every request derives its own from it, its question and its first sample.
        thinking: `keep` or `strip` what a reasoning model writes up to `</think>`; its tokens are counted either way.
        logprobs: Whether samples come with a summary of their tokens' log-probabilities, which a pool keeps and the
            verifiers `logprobs:MEASURE` score; on in any case where such a verifier scores them as they are drawn.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = field(default=())
    seed: int = 0
    thinking: str = "keep"
    logprobs: bool = False

    def __post_init__(self) -> None:
        """Checks every range."""
        if self.temperature != 0 and not LEAST_TEMPERATURE <= self.temperature <= MOST_TEMPERATURE:
            bounds = f"[{LEAST_TEMPERATURE:g}, {MOST_TEMPERATURE:g}]"
            raise InputError(f"temperature must be 0 or lie in {bounds}, got {self.temperature}")
        if not LEAST_TOP_P <= self.top_p <= 1:
            raise InputError(f"top_p must lie in [{LEAST_TOP_P:g}, 1], got {self.top_p}")
        if not 1 <= self.max_tokens <= MOST_TOKENS:
            raise InputError(f"max_tokens must lie in [1, {MOST_TOKENS}], got {self.max_tokens}")
        require_number("seed", self.seed, whole=True)
        if not 0 <= self.seed <= _MOST_SEED:
            raise InputError(f"seed must lie in [0, {_MOST_SEED}], got {self.seed}")
        if isinstance(self.stop, str) or not all(isinstance(one, str) and one for one in self.stop):
            raise InputError(f"stop must be strings that are not empty, in a sequence, got {self.stop!r}")
        object.__setattr__(self, "stop", tuple(self.stop))  # samples are put together by their parameters
        if self.thinking not in ("keep", "strip"):
            raise InputError(f"thinking must be keep or strip, got {self.thinking!r}")

    def shown(self, text: str) -> str:
        """A sample's text as it is kept."""
        return strip_thinking(text) if self.thinking == "strip" else text

    def describe(self) -> dict[str, object]:
        """What a pool's manifest records; ``logprobs`` only where it is on, as it changes no sample."""
        return {name: value for name, value in asdict(self).items() if name != "logprobs" or value}
