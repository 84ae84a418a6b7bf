"""What one request found out about a server, and all others go by."""

from dataclasses import dataclass, field

from optscale_predictor.progress import say

#: Ways to learn how many tokens each of a reply's samples took; the first that a server offers is kept.
TOKEN_IDS, LOGPROBS, ONE_BY_ONE = "token ids", "logprobs", "one by one"
#: The way of a request for one sample: ``usage`` tells.
USAGE = ""

MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"


@dataclass
class ServerFacts:
    """A server's ways; shared by a generator's copies, whatever their sampling.

    Attributes:
        way: How the tokens of several samples in one reply are counted.
        limit: The field that limits a sample's tokens.
    """

    way: str
    limit: str = MAX_TOKENS
    _doubted: bool = False
    _unasked: list[str] = field(init=False)
    _strange: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """What to ask a server for whose ``usage`` is not believed."""
        self._unasked = [TOKEN_IDS, LOGPROBS] if self.way == TOKEN_IDS else [LOGPROBS]

    @property
    def way_of_one(self) -> str:
        """How the tokens of a reply with one sample are counted."""
        return self._unasked[0] if self._doubted and self._unasked else USAGE

    def doubt(self, way: str) -> None:
        """A reply told no number of tokens, or one that cannot be, though it was asked for in this way."""
        self._doubted = True
        if way in self._unasked:
            self._unasked.remove(way)

    def wonder(self, reason: str) -> None:
        """Says once that a finish reason is not known."""
        if reason not in self._strange:
            self._strange.add(reason)
            say(f"warning: finish_reason {reason!r} of the server is not known; taken as ended before max_tokens")
