"""Answers that are JSON are the same where they say the same, and are compared as nothing else."""

import json
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.questions.answers import (
    answer_key,
    answers_equal,
    calls_answer,
    content_answer,
    group_answers,
    is_structured,
)


def call(name, arguments):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_call_is_its_name_and_arguments():
    one = calls_answer([call("f", '{"a": 1, "b": [2.0, "é"]}')])
    assert json.loads(one) == {"tool_calls": [{"name": "f", "arguments": {"a": 1, "b": [2, "é"]}}]}
    assert one == calls_answer([{"id": "other", **call("f", '{"b":[2,"\\u00e9"],\n"a":1.0}')}])
    for other in (call("g", '{"a": 1, "b": [2.0, "é"]}'), call("f", '{"a": 1, "b": ["é", 2.0]}'), call("f", "{}")):
        assert calls_answer([other]) != one


def test_calls_made_together_are_one_answer_in_any_order_and_as_often_as_they_are_made():
    calls = [call("f", "{}"), call("g", "{}"), call("f", '{"x": 1}')]
    assert len({calls_answer(order) for order in permutations(calls)}) == 1
    assert calls_answer(calls) != calls_answer([*calls, calls[0]])


def test_what_is_no_json_is_no_answer():
    assert calls_answer([call("f", "{}"), call("f", '{"x": ')]) is None
    assert calls_answer([call("f", "[" * 200 + "]" * 200)]) is None
    assert content_answer("the answer is 4") is None and content_answer("") is None


def test_json_behind_a_thought_is_the_answer():
    assert content_answer('<think>{"x": 2}</think>\n{"x": 1}') == content_answer('{"x":1.0}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_answers_are_equal_exactly_where_their_json_is(left, right):
    # Python holds True and 1 for equal, which JSON does not; a text of each tells them apart.
    same = left == right and json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    mine, theirs = content_answer(json.dumps(left)), content_answer(json.dumps(right, indent=1))
    if same:
        assert mine == theirs
    if left != right:
        assert not answers_equal(mine, theirs) and answer_key(mine) != answer_key(theirs)


def test_votes_count_calls_as_texts_and_not_as_mathematics():
    half, fraction = calls_answer([call("f", '{"x": 0.5}')]), calls_answer([call("f", '{"x": "1/2"}')])
    content = content_answer('{"x": 0.5}')
    assert all(map(is_structured, (half, fraction, content))) and not is_structured('{"x": 0.5}')
    assert group_answers([half, fraction, "0.5", "1/2", content, half, None]).tolist() == [0, 1, 2, 2, 3, 0, -1]
