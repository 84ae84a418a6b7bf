"""Reading answers out of samples, and comparing them."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.answers import extract_answer, is_correct, normalise
from optscale_predictor.answers.symbolic import _worker, symbolically_equal


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1+2=3\n#### 3", "3"),
        ("so it costs\n#### $1,234.50 ", "1234.5"),
        (r"thus \boxed{\frac{1}{2}} and done", r"\frac{1}{2}"),
        (r"first \boxed{1}, no: \boxed{x^{2}+1}", "x^{2}+1"),
        ("there are 12 of 40.", "40"),
        (r"both \boxed{-2,1}", "-2,1"),
        ("it costs 58,500 in all", "58500"),
        ("they are 1,2", "2"),
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
        ("-21", "-2,1", False),
        ("-2, 1", "-2,1", True),
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


def test_comparison_needs_no_import_guard_in_the_users_script(tmp_path):
    """A worker process that imports the user's script again would never answer."""
    script = tmp_path / "script.py"
    script.write_text("from optscale_predictor.answers import is_correct\nprint(is_correct('x+1', '1+x'))\n")
    shown = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert shown.stdout.strip() == "True"


def test_a_killed_worker_is_replaced():
    assert symbolically_equal("y+1", "1+y")
    _worker.stop()
    assert symbolically_equal("y+2", "2+y")
