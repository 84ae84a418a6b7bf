"""When two answers are the same; every kind both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.questions.answers import answer_key, answers_equal, are_correct, is_correct
from optscale_predictor.questions.answers.values import evaluation, operations, read_value
from optscale_predictor.questions.answers.values.evaluation import evaluate
from optscale_predictor.questions.answers.values.tokens import UnreadableError

EQUAL = {
    "number": [
        ("1e5", "100000"),
        ("1.6e-19", r"1.6 \times 10^{-19}"),
        ("18.0", "18"),
        ("-0", "0"),
        ("05", "5"),
        (r"1\,440", "1440"),
        ("1{,}000{,}000", "1000000"),
        ("58,500", "58500"),
        (r"\text{1,000}", "1000"),
        (r"\text{1.25}", "1.25"),
        (r"\mathbf{1.25}", "1.25"),
        ("**6**", "6"),
        (r"\approx 5", "5"),
        ("5;", "5"),
        (r"12^{\text{th}}", "12"),
        ("2^{100}", "1267650600228229401496703205376"),
        (r"0.\overline{3}", r"\frac13"),
        ("10!", "3628800"),
        (r"\binom{10}{3}", "120"),
        (r"\log_2 8", "3"),
        (r"\gcd(4,6)", "2"),
        (r"\lfloor 2.5 \rfloor", "2"),
        ("|{-3}|", "3"),
        (r"\sin 30^\circ", r"\frac12"),
        ("1,000 + 1", "1001"),
        ("twenty-one", "21"),
    ],
    "fraction": [
        ("11 5/6", r"\frac{71}{6}"),
        (r"2\frac12", "2.5"),
        (r"\frac{2}{4}", r"\dfrac{1}{2}"),
        (r"\frac{1{,}000}{3}", r"\frac{1000}{3}"),
        (r"1\frac{2}{3}", r"\frac53"),
        ("5/1", "5"),
    ],
    "root": [
        ("6√3", r"6\sqrt{3}"),
        ("20 * sqrt(13)", r"20\sqrt{13}"),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt2}"),
        (r"11\bigl(1+\sqrt{5}\bigr)", r"11\sqrt{5}+11"),
        (r"\sqrt[3]{8}", "2"),
        ("2π", r"2\pi"),
    ],
    "percentage": [(r"50.0\%", "50"), (r"50\%", "0.5"), (r"33.\overline{3}\%", r"33\frac13"), ("12.5", r"12.5\%")],
    "complex": [
        (r"1+274\,i", "1+274i"),
        (r"6 + 9 \cdot i", "6+9i"),
        (r"9\cdot i", "9i"),
        (r"\sqrt{3}i", r"i\sqrt{3}"),
        (r"-\frac{1+5i}{13}", r"-\frac{1}{13} - \frac{5}{13}i"),
    ],
    "list": [
        ("-2, 1", "1,-2"),
        (r"\pm3", "-3,3"),
        (r"\{1\pm\sqrt{5},-2\}", r"\{-2, 1-\sqrt{5}, 1+\sqrt{5}\}"),
        ("C,F,H", r"\text{C, F, H}"),
        ("3 and 5", "5, 3"),
        ("100,200", "100, 200"),
    ],
    "tuple": [
        ("(1, 2)", r"\left(1,2\right)"),
        (r"\frac{8}{49}(2,6,3)", "(16/49,48/49,24/49)"),
        ("x=1, y=2", "(1,2)"),
    ],
    "set": [(r"\{2,1\}", r"\{1,2\}"), (r"\{5\}", "5"), (r"\{\}", r"\emptyset"), (r"\varnothing", "no solution")],
    "interval": [
        ("(-∞,3)", r"(-\infty,3)"),
        (r"\bigl(2,\infty\bigr)", r"(2,\infty)"),
        (r"E \in (2,\infty)", r"(2,\infty)"),
        ("(-∞, -4) ∪ (4, ∞)", r"(-\infty,-4)\cup (4,\infty)"),
        (r"(5,\infty)\cup(-\infty,2)", r"(-\infty,2)\cup(5,\infty)"),
        (r"\mathbb{R}", r"(-\infty,\infty)"),
        ("All real numbers", r"(-\infty,\infty)"),
    ],
    "inequality": [
        ("0<x<12.5", "(0,12.5)"),
        (r"-2 \le x \le 7", r"x \in [-2,7]"),
        ("3 < x", "x > 3"),
        (r"x \ge 0", r"[0,\infty)"),
        (r"x<2 \text{ or } x>3", r"(-\infty,2)\cup(3,\infty)"),
        (r"x \ne 3", r"(-\infty,3)\cup(3,\infty)"),
        ("2x + y < 4", "4 > y + 2x"),
    ],
    "matrix": [
        ("(1,2,3)", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"),
        ("[[3,-3],[4,-2]]", r"\begin{pmatrix}3&-3\\4&-2\end{pmatrix}"),
        (r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", r"\begin{pmatrix}1 & 2 \\ 3 & \frac82\end{pmatrix}"),
        (r"\begin{array}{c}11\\-36\end{array}", r"\begin{pmatrix} 11 \\ -36 \end{pmatrix}"),
        (r"11\mathbf{i}-36\mathbf{j}-3\mathbf{k}", r"\begin{pmatrix} 11 \\ -36 \\ -3 \end{pmatrix}"),
    ],
    "word": [
        ("East", r"\text{east}"),
        (r"\text{Evelyn is fastest}", r"\text{Evelyn}"),
        ("undefined", r"\text{undefined}"),
        ("even", r"\text{Even}"),
    ],
    "choice": [
        (r"\textbf{(C)}\ 12", "12"),
        (r"\textbf{(C)}\ 12", "C"),
        ("C. 12", "12"),
        ("(B)", "B"),
        (r"\text{(B)}", "(B)"),
    ],
    "based": [("2516_8", "2516_{8}"), ("2516", "2516_8"), ("1358_{10}", "2516_8")],
    "equation": [
        ("x = 58,500", "58500"),
        ("y=2x+3", "2x+3"),
        (r"\text{Total} = 5", "5"),
        ("3x+2y=6", "6x + 4y - 12 = 0"),
        ("x^2+y^2=4", "y^2 = 4 - x^2"),
        ("2 + 3 = 5", "5"),
    ],
    "expression": [
        ("2cos(a)", r"2\cos a"),
        ("(x+1)^2", "x^2+2x+1"),
        (r"\sqrt{72x^3}", r"6x\sqrt{2x}"),
        ("log(2007/2006)", r"\log\left(\frac{2007}{2006}\right)"),
        ("a^2b", "ba^2"),
        ("x²+1", "x^2+1"),
        ("p - q", "-q + p"),
        ("1+x", "x+1"),
    ],
    "quantity": [
        ("6 dollars", "6"),
        ("€18", "18"),
        ("USD 3.50", "3.5"),
        (r"\$18.90", "18.9"),
        ("15 cm²", r"15\text{ square centimeters}"),
        (r"864\text{ square inches}", r"864 \mbox{ inches}^2"),
        ("18 km/h", "18 kilometers per hour"),
        ("18 eggs", "18"),
        ("18 dollars and 50 cents", "18.5"),
        ("18 and a half", "18.5"),
        (r"45^\circ", "45"),
        (r"5 \text{ (five)}", "5"),
        ("18 m", "18"),
    ],
    "multiple": [("5 million", "5000000"), ("1 dozen", "12"), ("two thirds", r"\frac23")],
    "name": [
        ("AB=5", "5"),
        (r"m\angle ABC=30^\circ", "30"),
        ("f(x)=2x+3", "y=2x+3"),
        ("m+n=73", "73"),
        ("|AB|=5", "5"),
    ],
    "described set": [(r"\{x \mid x>1\}", r"(1,\infty)"), ("1<x and x<2", "(1,2)")],
    "congruence": [(r"x \equiv 3 \pmod{5}", r"x\equiv3\pmod 5")],
    "ratio": [("2:3", r"\frac23"), ("1:4:9", "2:8:18"), ("4:30 PM", r"4:30 \text{ p.m.}")],
}

UNEQUAL = {
    "number": [
        (r"1.6 \times 10^{-19}", r"1.6 \times 10^{-18}"),
        ("0.0000001", "0.0000002"),
        ("1.00000000000000000000000000000001", "1.00000000000000000000000000000002"),
        ("12345678901234567890", "12345678901234567891"),
        ("2.0000000001", "2"),
        ("3.14", r"\pi"),
        ("0.3", r"0.\overline{3}"),
        ("-21", "-2,1"),
    ],
    "fraction": [(r"1\frac{2}{3}", r"\frac{12}{3}"), ("2-1/2", r"\frac52"), (r"\frac13", r"\frac12")],
    "root": [(r"2\sqrt3", r"3\sqrt2"), (r"\frac{\pi}{4}", "0.785")],
    "percentage": [("50", "0.5"), ("0.25", "25"), (r"5\%", r"50\%")],
    "complex": [("1+274i", "1-274i"), ("9i", "9")],
    "list": [("1, 2", "2"), ("1,2,3", "1,2"), ("C, A, B", "A, B, C"), ("100200", "100, 200"), ("2", r"\pm 2")],
    "tuple": [("(1,2)", "(2,1)"), ("(1,2)", "2"), ("[1,2]", "(1,2)")],
    "set": [(r"\{1,2\}", "(1,2)"), (r"\{1,2\}", r"\{1,2,3\}")],
    "interval": [("(2,5)", "[2,5)"), (r"(2,\infty)", r"[2,\infty)"), (r"(-\infty,2)\cup(3,\infty)", r"(-\infty,2)")],
    "inequality": [("x > 3", "x < 3"), ("x > 3", r"x \ge 3"), ("2x + y < 4", "2x + y > 4")],
    "matrix": [
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
        ("(1,2,4)", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"),
    ],
    "word": [("CAB", "ABC"), ("silent", "listen"), ("tap", "pat"), ("No", "Yes"), ("Briana is fastest", "Evelyn")],
    "choice": [("C", "12"), ("(A)", "(B)"), ("C. 12", "13")],
    "based": [("2516_9", "2516_8"), ("10_2", "10_3"), ("1358", "2516_8")],
    "factorial": [("n!", "n"), ("n!", "N"), ("5 factorial", "5")],
    "multiple": [("2 million", "2"), ("5 billion", "5 million"), ("2 dozen", "2"), ("3 (in thousands)", "3")],
    "unit phrase": [
        ("5 cm - 3 cm", "5"),
        ("5 am", "5 pm"),
        ("5 degrees north", "5 degrees south"),
        ("2 h 30 min", "2"),
    ],
    "sentence": [("(A) and (B)", "A"), ("(A) is wrong", "A"), ("Alice is slower than Bob", "Alice"), ("(n)5", "5")],
    "names": [("width = 5, length = 3", "length = 5, width = 3"), ("profit = 5", "loss = 5"), ("(y,x)=(1,2)", "(1,2)")],
    "chain": [("x/2=y/3=z/4", "x/2=y/5=z/4"), ("f(4)>f(1)", "f(3)>f(1)")],
    "tiny": [("e^{-100}", "0"), ("e^{-100}", "e^{-200}")],
    "congruence": [(r"x \equiv 3 \pmod{5}", r"x \equiv 3 \pmod{7}")],
    "ellipsis": [("1,2", r"1,2,\ldots"), ("1,2,10", r"1,2,\ldots,10")],
    "equation": [("x^2+y^2=4", "4"), ("2x+y+3=0", "2x-y+3=0"), ("x = 5", "x = 6"), ("x=1, y=2", "2")],
    "expression": [("y^2+1", "x^2+1"), ("p - q", "q - p"), ("18 x", "18"), ("18 e", "18"), ("5m", "5"), ("x^2", "x^3")],
    "quantity": [
        ("15 cm^3", "15 cm^2"),
        ("5 hours", "5 minutes"),
        ("350 cents", "3.5"),
        (r"\frac{\pi}{4}", r"45^\circ"),
        (r"4:30 \text{ a.m.}", r"4:30 \text{ p.m.}"),
    ],
    "ratio": [("1:4:9", "1:2:3"), ("2:3", "3:2")],
}


def _cases(table):
    return [
        pytest.param(*pair, id=f"{kind}-{number}") for kind, pairs in table.items() for number, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize(("left", "right"), _cases(EQUAL))
def test_equal(left, right):
    assert is_correct(left, right)
    assert is_correct(right, left) or "_" in right
    assert answers_equal(left, right) == answers_equal(right, left)


@pytest.mark.parametrize(("left", "right"), _cases(UNEQUAL))
def test_unequal(left, right):
    assert not is_correct(left, right)
    assert not answers_equal(left, right)
    assert answer_key(left) != answer_key(right)


def test_a_numeral_in_another_base_may_be_the_value_that_is_asked_for():
    assert is_correct("101_2", "5")
    assert not is_correct("1358", "2516_8")  # the question asks for base 8


@pytest.mark.parametrize(
    "spelling", [r"\frac12", "0.5", r"\dfrac{1}{2}", "1/2", ".5", r"\frac{2}{4}", r"$\tfrac12$", r"2^{-1}"]
)
def test_spellings_of_one_answer_share_a_key(spelling):
    assert answer_key(spelling) == answer_key("0.5")


@pytest.mark.parametrize("pair", [("\\frac" * 300, "1"), ("(" * 900, "1"), ("1" * 5000, "1")])
def test_what_is_no_answer_equals_only_itself(pair):
    assert not is_correct(*pair)
    assert is_correct(pair[0], pair[0])


def test_many_pairs_are_judged_as_one_by_one():
    pairs = [(left, right) for table in (EQUAL, UNEQUAL) for kind in table.values() for left, right in kind]
    pairs += [(None, "1"), (r"\int_0^1 x\,dx", r"\frac12"), (r"\int_0^1 x\,dx", "1")]
    assert are_correct(pairs * 2) == 2 * [is_correct(*pair) for pair in pairs]
    assert are_correct([]) == []


def test_math_verify_judges_what_has_no_form_here():
    assert is_correct(r"\sum_{k=1}^{10} k", "55")
    assert not is_correct(r"\sum_{k=1}^{10} k", "54")


@given(st.fractions(), st.integers(1, 50))
def test_fractions_are_equal_however_they_are_written(number, factor):
    above, below = number.numerator * factor, number.denominator * factor
    for text in (f"{above}/{below}", rf"\frac{{{above}}}{{{below}}}", rf"\dfrac{{{-above}}}{{{-below}}}"):
        assert answers_equal(text, f"{number.numerator}/{number.denominator}")
        assert answer_key(text) == answer_key(str(number))
        assert not answers_equal(text, str(number + 1))


def test_an_exact_number_has_a_bound(monkeypatch):
    """Beyond it there is no value, and so no equality but that of texts."""
    monkeypatch.setattr(operations, "MOST_BITS", 64)
    monkeypatch.setattr(evaluation, "MOST_BITS", 64)
    assert evaluate(read_value("2^{20}+1")[0].node) == 2**20 + 1
    with pytest.raises(UnreadableError):
        evaluate(read_value(r"999999999999 \cdot 999999999999")[0].node)
