"""Whether a live run's targets are such that its verifier's scores can reach them; said once where they are not."""

from collections.abc import Sequence

from optscale_predictor.inference.answer import Answer
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.policies.cautions import target_cautions

_ENOUGH = 64  # scores from which on it is said while a run goes on
_MOST_POLICIES = 32  # that are named: a server's clients may choose others without end


class TargetWatch:
    """Looks at the answers of a run.

    Attributes:
        best: The best score so far, in [0, 1]; 0 where there is none.
        scores: How many scores there were.
    """

    def __init__(self) -> None:
        self.best, self.scores = 0.0, 0
        self._policies: dict[str, Policy] = {}
        self._said = False

    def add(self, answer: Answer) -> None:
        """Looks at one answer.

        Args:
            answer: With those of the policies that shared its samples.
        """
        for one in (answer, *answer.others):
            self.best = max(self.best, *one.scores, 0.0)
            known = one.policy in self._policies or len(self._policies) >= _MOST_POLICIES
            if one.hit is not None and not known:
                self._policies[one.policy] = parse_policy(one.policy)
        self.scores += max(len(one.scores) for one in (answer, *answer.others))

    def cautions(self) -> Sequence[str]:
        """What there is to say of the run so far; a line each."""
        return target_cautions(list(self._policies.values()), self.best, self.scores)

    def news(self) -> Sequence[str]:
        """The same, once and when enough has been scored; for a run that has no end."""
        if self._said or self.scores < _ENOUGH:
            return ()
        self._said = True
        return self.cautions()
