"""Which samples of which questions there are: one bit a sample."""

from collections.abc import Iterable, Iterator, Mapping

from optscale_predictor.errors import InputError
from optscale_predictor.pools.schema import MOST_SAMPLES


class Drawn(Mapping[str, int]):
    """By question id, a whole number whose bit i stands for sample i.

    Args:
        questions: Their ids.
    """

    def __init__(self, questions: Iterable[str]) -> None:
        self._bits = {question: bytearray() for question in questions}

    def __getitem__(self, question: str) -> int:
        """The samples of one question."""
        return int.from_bytes(self._bits[question], "little")

    def __iter__(self) -> Iterator[str]:
        """The questions' ids."""
        return iter(self._bits)

    def __len__(self) -> int:
        """Number of questions."""
        return len(self._bits)

    def has(self, question: str, index: int) -> bool:
        """Whether the sample is there.

        Raises:
            InputError: There is no such question, or no sample can have this index.
        """
        bits = self._bits.get(question)
        if bits is None:
            raise InputError(f"question {question!r} is not in this pool")
        if not 0 <= index < MOST_SAMPLES:
            raise InputError(f"question {question!r}: sample_index must lie in [0, {MOST_SAMPLES}), got {index}")
        place = index >> 3
        return place < len(bits) and bool(bits[place] >> (index & 7) & 1)

    def join(self, question: str) -> None:
        """Lets a question in that has no samples yet."""
        self._bits.setdefault(question, bytearray())

    def add(self, question: str, index: int) -> None:
        """Marks a sample as there; one that :meth:`has` takes."""
        bits, place = self._bits[question], index >> 3
        if place >= len(bits):
            bits.extend(bytes(max(place + 1 - len(bits), len(bits) >> 3)))
        bits[place] |= 1 << (index & 7)
