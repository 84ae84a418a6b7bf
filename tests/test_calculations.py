"""The verifier that works out again what a sample has worked out."""

import random
from fractions import Fraction

import pytest

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers.calculations import check_calculations
from optscale_predictor.backends.verifiers.verifier import Answered
from optscale_predictor.questions.question import Question


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (" 56 * 9 = 504. #### 504", [True]),
        (" 56 * 9 = 505. #### 505", [False]),
        ("She sold 48/2 = <<48/2=24>>24 clips, 48+24 = <<48+24=72>>72 in all.", [True, True]),
        ("$5 x 3 = $15, and \\$1,200 - 200 = \\$1,000", [True, True]),
        (r"\frac{1}{2} + 3 = 3.5 and 6 \times 7 = 41", [True, False]),
        ("8 ÷ 2 = 4; 3 × 3 = 9; 5 − 7 = -2", [True, True, True]),
        ("2 + 3 = 5 = 10 / 2 = 6", [True, True, False]),
        ("(2 + 3) * 4 = 20 and ((1 + 1)) * 2 = 5", [True, False]),
        ("0.1 + 0.2 = 0.3", [True]),
        ("10 / 3 = 3.33, not 3.32: 10 / 3 = 3.32", [True, False]),
        ("1. 3 + 4 = 7\n2. 7 + 1 = 9", [True, False]),
        ("So 12 = 3 * 4.", [True]),
        # What is not understood, or may be meant otherwise, counts for nothing.
        ("25 / 4 = 6 buses", []),
        ("x - 3 + 2 = 7 and 2x + 3 = 7, 3^2 + 1 = 10", []),
        ("1 1/2 + 1 = 2.5", []),
        ("50% * 20 = 10; 3 + 4 = 7x; 3 + 4 = 2 + y; 3 + 4 = 70%", []),
        ("a + 5 = 9, y2 + 5 = 9, (a) + 5 = 9", []),
        ("7 = 7 and 1 / 0 = 5", []),
        ("In 1999 - 2000 there were 12.", []),
        ("", []),
        ("= = = 5 + = 3", []),
    ],
)
def test_calculations_are_read_as_they_are_written(text, holds):
    assert list(check_calculations(text)) == holds


def test_whatever_numbers_are_drawn():
    """Python's own arithmetic, in fractions, is the reference."""
    rng = random.Random(0)
    for _ in range(500):
        numbers = [rng.randint(0, 999) for _ in range(rng.randint(2, 6))]
        operators = [rng.choice("+-*") for _ in numbers[1:]]
        written = str(numbers[0]) + "".join(f" {op} {one}" for op, one in zip(operators, numbers[1:], strict=True))
        value = eval(written)
        assert list(check_calculations(f"Then {written} = {value}.")) == [True]
        off = value + rng.choice([-1, 1]) * rng.randint(1, 50)
        assert list(check_calculations(f"Then {written} = {off}.")) == [False]


def test_decimals_hold_where_they_are_the_rounded_value():
    rng = random.Random(1)
    for _ in range(300):
        over, under, digits = rng.randint(1, 999), rng.randint(1, 99), rng.randint(1, 4)
        value = Fraction(over, under)
        rounded = f"{float(value):.{digits}f}"
        assert all(check_calculations(f"{over} / {under} = {rounded}"))
        wrong = f"{float(value) + 2 * 10.0**-digits:.{digits}f}"
        assert list(check_calculations(f"{over} / {under} = {wrong}")) == [False]


def test_long_texts_of_nothing_are_read_in_bounded_steps():
    for text in ("( " * 50_000, " " * 200_000 + "=", "1 + " * 30_000 + "= 3", "9" * 200_000 + " = 9", "1=" * 50_000):
        assert not list(check_calculations(text))


def scores_of(*texts):
    verifier = VerifierOptions("calculations").build()
    return verifier.score([Answered(Question("q", "How many?", "7"), text) for text in texts])


def test_the_score_is_what_is_expected_of_the_next_calculation():
    found = scores_of("3 + 4 = 7", "3 + 4 = 8", "seven", "1 + 1 = 2, 2 + 2 = 4, 3 + 3 = 7")
    assert found.values.tolist() == pytest.approx([0.75, 0.25, 0.5, 2.5 / 4])
    assert not found.refusals and not found.tokens.any()


def test_thinking_is_no_part_of_the_answer():
    assert scores_of("<think>3 + 4 = 9</think>3 + 4 = 7").values.tolist() == pytest.approx([0.75])
