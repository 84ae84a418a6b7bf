"""JSON read by orjson is what the one reader makes of it; what it cannot promise is left to that one."""

import json
import math
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optscale_predictor._support import quick_json
from optscale_predictor._support.json_reader import DEEPEST, parse_json, parse_reply
from optscale_predictor._support.quick_json import NotQuickError, parse_quickly, write_quickly
from optscale_predictor.errors import InputError

pytest.importorskip("orjson")

NUMBERS = st.integers() | st.integers(-(2**66), 2**66) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
SIGNS = list('[]{},:" \n-+.eE0123456789ntfu\\\ufeff\x1f')
FRAGMENTS = st.lists(st.sampled_from([*SIGNS, "null", "true", "NaN", '"a"']))


def read(text):
    """What a reader says: the value as it would be typed in, or its refusal. A text is read the slow way."""
    try:
        value = parse_reply(text, "here") if isinstance(text, bytes) else parse_json(text, "here", half_pairs=True)
        return repr(value)
    except InputError as error:
        return error.args


@given(VALUES, st.booleans())
def test_what_python_writes_is_read_alike(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert read(text.encode("utf-8", "replace")) == read(text.encode("utf-8", "replace").decode())


@given(FRAGMENTS.map("".join))
@example("18446744073709551616")
@example("-9223372036854775809")
@example("[1e400, -1e400, 1e-400, -0, -0.0]")
@example('{"a": 1, "a": 2}')
@example('"\\ud800"')
@example("[" * DEEPEST + "]" * DEEPEST)
@example("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
@example("1" * 309)
@example("\ufeff1")
@example("\ufeff\ufeff[")
def test_any_text_is_read_alike_or_refused_in_the_same_words(text):
    assert read(text.encode()) == read(text)


def test_most_replies_are_read_quickly(monkeypatch):
    choice = {"text": "é", "token_ids": [0] * 40, "stop_reason": None}
    reply = {"choices": [choice], "usage": {"total_tokens": 45}, "cost": 1.5}
    assert parse_quickly(json.dumps(reply).encode(), DEEPEST) == reply
    monkeypatch.setattr(quick_json, "_installed", lambda: None)
    with pytest.raises(NotQuickError):
        parse_quickly(b"1", DEEPEST)
    assert parse_reply(b"1", "here") == 1 and write_quickly({}) is None


@given(VALUES)
def test_what_is_written_quickly_is_read_back(value):
    written = write_quickly(value)
    assert written is None or repr(json.loads(written)) == repr(value)


@pytest.mark.parametrize("value", [{"top_p": math.nan}, [math.inf], {"x": date(2026, 1, 1)}, "\ud800", 2**64])
def test_what_python_writes_otherwise_or_refuses_is_left_to_it(value):
    assert write_quickly(value) is None


def test_what_is_posted_is_written_quickly():
    assert write_quickly({"model": "m", "n": 1, "prompt": "é", "stop": ["\n"], "temperature": 1.0})
