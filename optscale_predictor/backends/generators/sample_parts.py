"""Samples that are drawn in parts: what there is of one that goes on, and what was seen of it on the way.

Early rejection draws so (``inference/segmented_drawing.py``): between two parts a verifier looks at the sample.
"""

from dataclasses import dataclass

#: Why a sample that was stopped has no score.
STOPPED = "early rejection stopped it before its end"


@dataclass(frozen=True)
class Prefix:
    """What there is of a sample that goes on.

    Attributes:
        text: Its text so far.
        tokens: The tokens that the model has written; empty where the engine does not tell them. Then the sample goes
            on from its text, whose tokens may be others at the seam.
        parts: Those drawn so far, >= 0: each has random numbers of its own. With none the sample begins, and is to come
            with its tokens, which nobody keeps otherwise.
    """

    text: str
    tokens: tuple[int, ...]
    parts: int


@dataclass(frozen=True)
class Looks:
    """What was seen of a sample while it was drawn.

    Attributes:
        partial_scores: The verifier's scores of its prefixes of 1, 2, ... segments, in [0, 1]; NaN where it refused.
        tokens: That the verifier read and wrote for them.
        stand_in: Of a sample that was stopped, what stands for the final score that nobody knows, in [0, 1]; None for
            one that was drawn to its end, and for one that a limit on the run's tokens has cut.
        saved_tokens: Of a sample that was stopped: those that it would still have had, were it as long as its
            question's other samples; >= 0.
    """

    partial_scores: tuple[float, ...]
    tokens: int = 0
    stand_in: float | None = None
    saved_tokens: float = 0.0
