"""A question as it is asked, and what all questions of a session share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optscale_predictor.backends.generators import ChatFields, SamplingParams
from optscale_predictor.inference.deciding import DecisionWorker
from optscale_predictor.inference.drawing_ahead import AheadScheduler
from optscale_predictor.inference.sample_scoring import SampleScorer
from optscale_predictor.inference.sample_store import SampleStore
from optscale_predictor.inference.sampling import SampleDrawer
from optscale_predictor.policies import Policy
from optscale_predictor.questions.question import Question


@dataclass(frozen=True)
class QuestionRequest:
    """A question as it is asked.

    Attributes:
        question: What verifier and predictor read.
        prompt: What the generator reads.
        messages: A whole conversation in place of the prompt, pairs of role and content; empty where there is none.
        sampling: How its samples are drawn.
        rank: Its number in the order of asking.
        prior: (mean, std, strength); None where there is none.
        policies: The policies, the primary one first.
        since: When it was asked, in the event loop's time.
        deadline: When it must stop; None: never.
        chat: What the conversation says beside text; None: nothing.
        keep_samples: Whether its answer holds all samples.
    """

    question: Question
    prompt: str
    messages: tuple[tuple[str, str], ...]
    sampling: SamplingParams
    rank: int
    prior: tuple[float, float, float] | None
    policies: Sequence[Policy]
    since: float
    deadline: float | None
    chat: ChatFields | None = None
    keep_samples: bool = False


@dataclass(frozen=True)
class Workers:
    """What all questions of a session share.

    Attributes:
        drawer: Draws samples.
        scorer: Scores them.
        decisions: Gives the worker that decides for a policy.
        store: Where samples are kept; None: nowhere.
        ahead: Draws samples ahead on free places; None: none are.
    """

    drawer: SampleDrawer
    scorer: SampleScorer
    decisions: Callable[[Policy], DecisionWorker]
    store: SampleStore | None
    ahead: AheadScheduler | None = None
