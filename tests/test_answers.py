"""Reading answers out of samples, and comparing them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.answers import extract_answer, is_correct, normalise


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1+2=3\n#### 3", "3"),
        ("so it costs\n#### $1,234.50 ", "1234.5"),
        (r"thus \boxed{\frac{1}{2}} and done", r"\frac{1}{2}"),
        (r"first \boxed{1}, no: \boxed{x^{2}+1}", "x^{2}+1"),
        ("there are 12 of 40.", "40"),
        (r"never closed \boxed{3", "3"),
        ("nothing here", None),
        ("", None),
        ("#### ", None),
    ],
)
def test_extract(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("18", "She makes 9 * 2 = 18 dollars.\n#### 18", True),
        ("18.0", "18", True),
        ("19", "18", False),
        (None, "18", False),
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac{2}{4}", r"\frac{1}{2}", True),
        (r"\frac{1}{3}", r"\frac{1}{2}", False),
        ("x+1", "1+x", True),
    ],
)
def test_is_correct(answer, gold, right):
    assert is_correct(answer, gold) is right


@given(number=st.integers(-(10**12), 10**12))
def test_numbers_are_equal_however_they_are_written(number):
    assert normalise(f"${number:,}.00") == normalise(str(number)) == str(number)
    assert is_correct(extract_answer(f"#### {number:,}"), str(number))


@given(text=st.text(max_size=200))
def test_any_text_is_read_without_complaint(text):
    answer = extract_answer(text)
    assert answer is None or answer
