"""Scores without a verifier: what the model itself thought of the tokens that it drew.

``logprobs:mean``, ``logprobs:lowest_group`` (``logprobs:lowest_group:128`` for groups of 128 tokens) and
``logprobs:self_certainty`` read the numbers of :mod:`~optscale_predictor.backends.token_logprobs`, which come with each
sample as it is drawn: no second model is loaded and nothing is read again. They know nothing of the question: a model
that is sure of a wrong answer gives it a high score. Each is mapped to [0, 1] by a fixed, increasing function:

- ``mean`` and ``lowest_group``: exp of the mean log-probability, the geometric mean of the tokens' probabilities.
- ``self_certainty``: c / (c + 10), for c in nats; a half at 10 nats, where language models of usual vocabularies lie.

A sample of which nothing is left without its thinking scores 0, as everywhere.
"""

from collections.abc import Mapping, Sequence
from math import exp

from optscale_predictor.backends.token_logprobs import GROUP_SIZES, LogprobSummary
from optscale_predictor.backends.verifiers.verifier import Answered, Scores, Verifier
from optscale_predictor.errors import InputError

#: Before the measure, in the name of a verifier.
LOGPROBS = "logprobs:"
MEASURES = ("mean", "lowest_group", "self_certainty")
DEFAULT_GROUP = 32
#: Why an engine has no self-certainty.
NO_SELF_CERTAINTY = (
    "self-certainty needs each token's whole distribution, which transformers in process alone tells "
    "(--engine transformers)"
)
_HALF = 10.0  # nats of self-certainty that score a half
_MAPS = {
    "mean": "exp(mean log-probability)",
    "lowest_group": "exp(lowest mean log-probability of a group)",
    "self_certainty": f"c / (c + {_HALF:g}), c = mean KL(uniform || p) in nats",
}


class LogprobVerifier(Verifier):
    """Scores samples by the log-probabilities of their own tokens.

    Args:
        name: ``logprobs:mean``, ``logprobs:lowest_group``, ``logprobs:lowest_group:TOKENS`` or
            ``logprobs:self_certainty``.

    Raises:
        InputError: There is no such measure, or no group of so many tokens.
    """

    reads_tokens = False
    reads_logprobs = True

    def __init__(self, name: str) -> None:
        self._measure, colon, size = name.removeprefix(LOGPROBS).partition(":")
        if self._measure not in MEASURES:
            known = ", ".join(f"{LOGPROBS}{measure}" for measure in MEASURES)
            raise InputError(f"verifier {name!r}: expected one of {known}")
        if colon and (self._measure != "lowest_group" or size not in map(str, GROUP_SIZES)):
            sizes = ", ".join(map(str, GROUP_SIZES))
            raise InputError(
                f"verifier {name!r}: groups are of {sizes} tokens ({LOGPROBS}lowest_group:{DEFAULT_GROUP})"
            )
        self._group = int(size or DEFAULT_GROUP)
        self.reads_self_certainty = self._measure == "self_certainty"
        self._working = False

    @property
    def name(self) -> str:
        """What it is called, the size of its groups included."""
        group = f":{self._group}" if self._measure == "lowest_group" else ""
        return f"{LOGPROBS}{self._measure}{group}"

    def describe(self) -> Mapping[str, object]:
        """What a pool's manifest records: adapter, measure and score map; JSON types, no secrets."""
        return {"adapter": "logprobs", "model": self.name, "score": _MAPS[self._measure]}

    def score(self, items: Sequence[Answered]) -> Scores:
        """Scores of samples, in their order; where there is none, the reason.

        Raises:
            InputError: The first samples have not what it reads: their generator does not tell it.
        """
        found = [None if item.logprobs is None else self._value(item.logprobs) for item in items]
        missing = [index for index, value in enumerate(found) if value is None]
        self._working = self._working or len(missing) < len(items)
        if missing and not self._working:
            raise InputError(f"verifier {self.name!r}: question {items[0].question.id!r}: {self._lack(items[0])}")
        values = [float("nan") if value is None else value for value in found]
        return Scores.of(values, refusals={index: self._lack(items[index]) for index in missing})

    def _value(self, logprobs: LogprobSummary) -> float | None:
        if self._measure == "mean":
            return exp(logprobs.mean)
        if self._measure == "lowest_group":
            return exp(logprobs.lowest[GROUP_SIZES.index(self._group)])
        certainty = logprobs.self_certainty
        return None if certainty is None else certainty / (certainty + _HALF)

    def _lack(self, item: Answered) -> str:
        if item.logprobs is None:
            return "the sample has no log-probabilities: what drew it tells none"
        return NO_SELF_CERTAINTY
