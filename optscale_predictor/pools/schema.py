"""The rows of a pool: their columns, and their keys (``question_id``, ``sample_index``), each of which occurs once.

Every sample has the columns of ``SAMPLE_FIELDS``, and a pool may hold several scores of it, three columns each. The
first score is the column ``score``; another, named ``prm``, is ``score_prm``. Beside it stand the tokens that its
verifier read and, where the verifier refused the sample, why. A pool whose generator was asked for log-probabilities
has the columns of ``LOGPROB_FIELDS`` as well. :class:`DrawnSamples` holds which keys there are, one bit
a sample: what a rerun must not draw again.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from optscale_predictor.backends.token_logprobs import COLUMN_PREFIX, COLUMNS
from optscale_predictor.errors import InputError

SAMPLE_FIELDS = [
    pa.field("question_id", pa.string()),
    pa.field("sample_index", pa.int32()),  # from 0 within a question
    pa.field("text", pa.string()),
    pa.field("answer", pa.string()),  # as extracted from the text; null where there is none
    pa.field("num_tokens", pa.int32()),  # tokens the generator spent on it; null where an import did not say
    pa.field("correct", pa.bool_()),  # null where the gold answer is not known
    pa.field("finish_reason", pa.string()),
    pa.field("seed", pa.int64()),  # of the request it was drawn by; null where an import did not say
]

#: What a pool keeps of the log-probabilities of each sample's tokens, where it keeps them.
LOGPROB_FIELDS = [pa.field(name, pa.float32()) for name in COLUMNS]

#: Indices of a question's samples lie below this.
MOST_SAMPLES = 2**24

#: What the columns mean, for cards and pages.
MEANING = {
    "question_id": "id of the question, as in questions.jsonl",
    "sample_index": "number of the sample within its question, from 0",
    "text": "the generated answer",
    "answer": "final answer extracted from the text; null where none was found",
    "num_tokens": "tokens that the generator spent on the sample",
    "correct": "whether the answer equals the gold answer; null where that is not known",
    "finish_reason": "stop, length where the sample ran into its token limit, or rejected where a run stopped it early",
    "seed": "seed of the request that drew the sample",
    **COLUMNS,
}


@dataclass(frozen=True)
class ScoreColumns:
    """The three columns of one score.

    Attributes:
        name: Of the score itself: ``score``, or ``score_`` and a name of small letters, digits and ``_``.
    """

    name: str = "score"

    def __post_init__(self) -> None:
        """Checks the name."""
        if not re.fullmatch(r"score(_[a-z0-9_]+)?", self.name):
            raise InputError(f"a score's column is called score, or score_NAME (a-z, 0-9, _), got {self.name!r}")

    @property
    def tokens(self) -> str:
        """Tokens that the verifier read and wrote for the sample."""
        return f"verifier_tokens{self.name.removeprefix('score')}"

    @property
    def refusal(self) -> str:
        """Why the verifier refused the sample; null where it did not."""
        return f"refusal{self.name.removeprefix('score')}"

    @property
    def fields(self) -> list[pa.Field]:
        """The three, in their order; all null before scoring."""
        return [
            pa.field(self.name, pa.float64()),
            pa.field(self.tokens, pa.int32()),
            pa.field(self.refusal, pa.string()),
        ]

    @property
    def meaning(self) -> dict[str, str]:
        """What the three mean."""
        return {
            self.name: "the verifier's score, in [0, 1]; null before scoring or where it was refused",
            self.tokens: "tokens that the verifier read and wrote for the sample",
            self.refusal: "why the verifier refused the sample; null where it did not",
        }


def pool_schema(scores: Sequence[str] = ("score",), logprobs: bool = False) -> pa.Schema:
    """The schema of a pool that has these score columns; ``score`` is always among them.

    Args:
        scores: The score columns.
        logprobs: Whether the pool keeps log-probabilities.
    """
    names = dict.fromkeys(("score", *scores))
    kept = LOGPROB_FIELDS if logprobs else []
    return pa.schema(SAMPLE_FIELDS + kept + [field for name in names for field in ScoreColumns(name).fields])


def schema_among(names: Iterable[str]) -> pa.Schema:
    """The schema of a pool that has the scores and the log-probabilities that are among these columns.

    Raises:
        InputError: A column's name begins like a score's and is none.
    """
    columns = list(names)
    scores = [name for name in columns if name.startswith("score")]
    return pool_schema(scores, any(name.startswith(COLUMN_PREFIX) for name in columns))


def fit_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with the columns of ``schema``, in its types and order; those that it lacks are null.

    Args:
        table: Rows with some of the columns.
        schema: As :func:`pool_schema` gives it.

    Raises:
        InputError: A column is not of the schema, or its values do not fit.
    """
    unknown = sorted(set(table.column_names) - set(schema.names))
    if unknown:
        raise InputError(f"a pool has no column {unknown[0]!r}; it has: {', '.join(schema.names)}")
    columns = []
    for field in schema:
        given = table[field.name] if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        try:
            columns.append(given.cast(field.type))
        except pa.ArrowException as error:
            raise InputError(f"column {field.name!r}: not of type {field.type}: {error}") from error
    return pa.table(columns, schema=schema)


SCHEMA = pool_schema()


class DrawnSamples(Mapping[str, int]):
    """Which samples of which questions there are: by question id, a whole number whose bit i stands for sample i.

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

        Args:
            question: Its question's id.
            index: Its number within the question, in [0, 2^24).

        Raises:
            InputError: There is no such question, or no sample can have this index.
        """
        bits = self._bits.get(question)
        if bits is None:
            raise InputError(f"question {question!r} is not in this pool")
        if not 0 <= index < MOST_SAMPLES:
            raise InputError(f"question {question!r}: sample_index must lie in [0, {MOST_SAMPLES}), got {index}")
        byte = index >> 3
        return byte < len(bits) and bool(bits[byte] >> (index & 7) & 1)

    def join(self, question: str) -> None:
        """Lets a question in that has no samples yet."""
        self._bits.setdefault(question, bytearray())

    def add(self, question: str, index: int) -> None:
        """Marks a sample as there.

        Args:
            question: Its question's id, one of those joined.
            index: Its number within the question, in [0, 2^24).
        """
        bits, byte = self._bits[question], index >> 3
        if byte >= len(bits):
            # By an eighth at least: growing byte by byte would copy a long question's bits again and again.
            bits.extend(bytes(max(byte + 1 - len(bits), len(bits) >> 3)))
        bits[byte] |= 1 << (index & 7)
