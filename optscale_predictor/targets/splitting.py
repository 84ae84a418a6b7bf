"""The split into training and validation questions, with near-duplicates on one side of it.

Questions are taken in the pool's order. One that resembles no earlier question goes to a side by a hash of its text:
the same side in every pool that it is in. One that resembles earlier questions joins their side. One that resembles
questions on both sides belongs on neither, and is left out.

So two things hold. Of two near-duplicates never is one in training and one in validation. And questions added to a
pool later change nothing for those that were there: a new question that links two old ones is itself left out, where
merging their groups would have moved old questions to the other side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from optscale_predictor._support.number_checks import require_number, require_seed
from optscale_predictor._support.progress import progress_bar
from optscale_predictor.errors import InputError
from optscale_predictor.questions.near_duplicates import NearDuplicates

TRAIN, VALIDATION, LEFT_OUT = "train", "validation", "left_out"


@dataclass(frozen=True)
class SplitRule:
    """How questions are split.

    Attributes:
        validation_share: Share of questions that go to validation, in [0, 1). Of n questions that resemble no other the
            realised share has a standard deviation of sqrt(share (1 - share) / n).
        seed: Seed of the split, in [0, 2^63): which questions go to validation. A negative one, -1 - s, is another
            stream of s: test questions are drawn by it, so that they do not depend on the share that validates.
        near_duplicates: Similarity from which two questions stand on one side (Jaccard, of character 5-grams), in
            (0, 1].
        same_numbers: Whether questions with other numbers are different questions. By default they are not: what a
            predictor learns of one it knows of the other, and a split should not reward that.
    """

    validation_share: float = 0.1
    seed: int = 0
    near_duplicates: float = 0.8
    same_numbers: bool = False

    def __post_init__(self) -> None:
        """Checks every range."""
        require_number("seed", self.seed, whole=True)
        require_seed(max(self.seed, -1 - self.seed))
        if not 0 <= self.validation_share < 1:
            raise InputError(f"validation_share must lie in [0, 1), got {self.validation_share}")
        if not 0 < self.near_duplicates <= 1:
            raise InputError(f"near_duplicates must lie in (0, 1], got {self.near_duplicates}")


def split_questions(texts: Sequence[str], rule: SplitRule | None = None, progress: bool = False) -> list[str]:
    """The side of each question: ``train``, ``validation``, or ``left_out``.

    Args:
        texts: The questions, in an order that growth does not change: a pool's, which puts new questions last.
        rule: How they are split.
        progress: Whether to show a progress bar.
    """
    rule = rule or SplitRule()
    sides = [""] * len(texts)
    with progress_bar("split", len(texts), shown=progress, unit="questions", often_short=True) as bar:
        found = NearDuplicates(texts, rule.near_duplicates, rule.same_numbers)
        for member, others in found.candidates():
            near: set[str] = set()
            for other in others:
                # A side that is known to be near needs no second witness.
                if sides[other] not in near and found.similar(member, other):
                    near.add(sides[other])
            sides[member] = _side(texts[member], near, rule)
            bar.update()
    return sides


def _side(text: str, near: set[str], rule: SplitRule) -> str:
    if not near:
        digest = blake2b(f"{rule.seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return VALIDATION if int.from_bytes(digest, "big") / 2**64 < rule.validation_share else TRAIN
    if near >= {TRAIN, VALIDATION}:
        return LEFT_OUT
    # Near one that was left out alone: most likely near what that one was near, too.
    return min(near - {LEFT_OUT}, default=LEFT_OUT)
