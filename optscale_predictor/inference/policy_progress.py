"""How far one policy has got with a question; several may share its samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from optscale_predictor.inference.deciding import DecisionWorker, Observation
from optscale_predictor.inference.prior_learner import PriorTurn
from optscale_predictor.policies import CONTINUE, Policy


@dataclass(eq=False)
class PolicyProgress:
    """How far one policy has got.

    Attributes:
        policy: The policy.
        worker: What decides for it.
        prior: (mean, std, strength) that it starts from; None where there is none.
        turn: The question's part in what the policy learns; None where it learns nothing.
        count: Samples that it has drawn.
        total: Samples that it should have before it is asked again.
        reason: Why it stopped; ``CONTINUE`` while it has not.
        needed: Its last estimate of the samples needed.
        trace: Pairs (samples drawn, samples needed) at every decision.
        seconds: From asking to its stop.
    """

    policy: Policy
    worker: DecisionWorker
    prior: tuple[float, float, float] | None
    turn: PriorTurn | None
    count: int = 0
    total: int = 0
    reason: str = CONTINUE
    needed: float = float("nan")
    trace: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0

    async def fill_trace(self, seen: Callable[[int], Observation]) -> None:
        """Has the estimates made that its decisions did without.

        Args:
            seen: What it saw when it had drawn so many samples.
        """
        if self.policy.estimates_on_request and self.trace:
            counts = [count for count, _ in self.trace]
            estimates = await self.worker.estimates([seen(count) for count in counts])
            self.trace = list(zip(counts, estimates, strict=True))
            self.needed = estimates[-1]

    def finish(self, scores: Sequence[float]) -> None:
        """Lets the policy learn from what it drew; only the first call counts."""
        if self.turn is not None:
            self.turn.finish(scores)
