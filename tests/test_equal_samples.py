"""Equal samples of a question are read once, whoever asks for their scores."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.backends.token_logprobs import LogprobSummary
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier, score_samples, stream_samples
from optscale_predictor.questions.question import Question


class Reader(Verifier):
    """Scores by a sample's text, refuses what holds ``x``, takes a token a character, keeps what it read."""

    def __init__(self, reads_logprobs=False):
        self.reads_logprobs = reads_logprobs
        self.read = []

    def score(self, items):
        self.read += [(item.question.id, item.written, item.ended) for item in items]
        values = [(len(item.written) + len(item.question.text) + item.ended) / 20 for item in items]
        refusals = {place: f"no {item.written}" for place, item in enumerate(items) if "x" in item.written}
        return Scores.of(values, [len(item.written) for item in items], refusals)

    def describe(self):
        return {}


ITEMS = st.lists(
    st.builds(
        Answered,
        st.builds(Question, id=st.sampled_from("ab"), text=st.just("why")),
        st.sampled_from(["1", "12", "x", "3x", ""]),
        st.booleans(),
    ),
    max_size=12,
)


@given(ITEMS)
def test_scores_are_those_of_each_sample_alone_and_each_text_is_read_once(items):
    reader = Reader()
    found = score_samples(reader, items)
    for place, item in enumerate(items):
        alone = score_samples(Reader(), [item])
        np.testing.assert_array_equal(found.values[place], alone.values[0])
        assert found.refusals.get(place) == alone.refusals.get(0)
    assert max(Counter(reader.read).values(), default=1) == 1
    assert set(reader.read) == {(one.question.id, one.written, one.ended) for one in items if one.written}
    assert found.tokens.sum() == sum(len(written) for _, written, _ in reader.read)


@given(ITEMS)
def test_a_pool_is_told_what_each_takes_alone(items):
    """A replay may draw a copy and not its first."""
    reader = Reader()
    found = Scores.joined(stream_samples(reader, items), len(items))
    assert found.tokens.tolist() == [len(item.written) for item in items]
    assert max(Counter(reader.read).values(), default=1) == 1


def test_samples_that_log_probabilities_tell_apart_are_all_read():
    question = Question("a", "why")
    items = [Answered(question, "1", True, LogprobSummary.of_tokens([value], None)) for value in (-0.1, -2.0)]
    reader = Reader(reads_logprobs=True)
    score_samples(reader, items)
    assert len(reader.read) == 2
