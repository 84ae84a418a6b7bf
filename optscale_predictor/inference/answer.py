"""The answer to one question, and what it cost."""

from dataclasses import dataclass, field

from optscale_predictor.backends.generators import ChatReply, Sample


@dataclass(frozen=True)
class DrawnSample:
    """One of a question's samples, beside its answer.

    Attributes:
        sample: The sample.
        score: The verifier's score of it, in [0, 1]; 0 without a verifier, NaN where it was refused.
        answer: The final answer in it; None where none was found.
        refusal: Why the verifier refused it; None where it did not.
    """

    sample: Sample
    score: float
    answer: str | None
    refusal: str | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to one question under one policy, and what it cost.

    Attributes:
        question_id: Whose answer this is.
        text: The chosen sample; empty where a limit left the question without one.
        answer: The final answer in it; None where none was found.
        score: The verifier's score of it, in [0, 1]; NaN where there is no sample.
        confidence: How probable it is that the answer is right, in [0, 1]; NaN where the selection does not know
            (``confidence:FOLDER`` knows, which is the policy ``fitted``'s own), and where there is no sample.
        samples: Samples drawn for the policy.
        tokens: Tokens generated for them, those of refused samples between them included.
        stop_reason: ``reached``, ``confident``, ``unreachable``, ``price`` or ``budget``.
        scores: The scores of all of them, in order.
        trace: Pairs (samples drawn, samples needed) at every decision; empty unless traced.
        policy: The policy, in the form ``policies.parse_policy`` reads.
        hit: Whether a usable sample (``selection.is_usable``) reached the policy's ``score_min``; None where the policy
            has none.
        needed: The policy's last estimate of the samples needed; NaN where it makes none.
        seconds: From asking to the decision to stop, >= 0.
        finish_reason: The chosen sample's; empty where there is none.
        chosen_tokens: The chosen sample's own tokens.
        generated_samples: All samples drawn for the question, whatever the policy and the verifier made of them.
        generated_tokens: Tokens generated for them, and for replies that came and could not be used.
        prompt_tokens: Tokens of the prompt, counted once, as the engine reads it; 0 where that is not known.
        cancelled_samples: Samples that were under way when a limit ended the question, or when it stopped and had drawn
            them ahead; what was generated of them counts among ``generated_tokens``, as far as it is known.
        chosen_index: The chosen sample's place among the samples that have a score, from 0; None where there is none.
        reply: What the chosen sample holds beside its text; None where the request said nothing beside text.
        drawn: All samples drawn for the policy that have a score, in order; empty unless they were asked for.
        schedule: Of each sample that was drawn ahead (``step=auto``): how many the policy had seen, how many the
            question then had with those under way, and how many were under way for all questions. Empty unless traced.
        requests: Of each request that was sent for the question: its number among all of the session, the index of its
            first sample, and how many it asked for.
        refused_samples: Samples among those drawn that the verifier refused; no policy has seen them.
        rejected_samples: Samples among those drawn that early rejection stopped; ``scores`` has in place of each what
            it might have scored.
        saved_tokens: That they would still have had, were they as long as the others on average.
        prior: (mean, std, strength) that the policy started from (``stats.estimators.Prior``); None where it had none.
        others: The answers of the further policies that shared these samples, in their order.
    """

    question_id: str
    text: str
    answer: str | None
    score: float
    confidence: float
    samples: int
    tokens: int
    stop_reason: str
    scores: tuple[float, ...]
    trace: tuple[tuple[int, float], ...]
    policy: str
    hit: bool | None
    needed: float
    seconds: float
    finish_reason: str
    chosen_tokens: int
    generated_samples: int
    generated_tokens: int
    prompt_tokens: int = 0
    cancelled_samples: int = 0
    refused_samples: int = 0
    chosen_index: int | None = None
    reply: ChatReply | None = field(default=None, repr=False)
    drawn: tuple[DrawnSample, ...] = field(default=(), repr=False)
    schedule: tuple[tuple[int, int, int], ...] = ()
    requests: tuple[tuple[int, int, int], ...] = ()
    rejected_samples: int = 0
    saved_tokens: float = 0.0
    prior: tuple[float, float, float] | None = None
    others: "tuple[Answer, ...]" = field(default=(), repr=False)
