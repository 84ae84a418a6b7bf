r"""What holds of every answer: a spelling changes no verdict, a look-alike is never accepted, nothing hangs or fails.

Golds are of each kind that mathematics benchmarks have; ``respelling`` writes them again, and changes them, without
looking at the package. Equality is held against what an equivalence has to be.
"""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from respelling import kind_of, mutations, respellings

from optscale_predictor.questions.answers import (
    AnswerGroups,
    answer_key,
    answers_equal,
    are_correct,
    extract_answer,
    extract_gold,
    group_answers,
    is_correct,
)

GOLDS = {
    "integer": ["7", "-12", "0", "1024", "58,500", "10,\\!080", "1267650600228229401496703205376", "073"],
    "decimal": ["0.15", "-3.5", "326.25", ".0625", "12.4"],
    "fraction": ["\\frac{2}{3}", "-\\frac{35}{9}", "\\dfrac{17}{50}", "\\frac34", "\\frac{1997}{2}", "\\frac{2}{1005}"],
    "mixed number": ["1\\frac{4}{5}", "137 \\frac{1}{2}"],
    "percentage": ["12.5\\%", "40\\%"],
    "root": ["\\sqrt{51}", "3\\sqrt{13}", "\\frac{\\sqrt{3}}{3}", "\\frac{3\\sqrt{3}}{4}", "11 \\sqrt{5} + 11"],
    "pi": ["\\pi", "12\\pi", "-\\frac{\\pi}{6}", "18+2\\pi", "\\frac{20000}{\\pi}"],
    "complex": ["6+9i", "1 - 12i", "-2 + 7i"],
    "interval": ["(-\\infty, 0]", "(3,4]", "[2,5)", "(2,12) \\cup (12,102)", "(-\\infty, 2) \\cup (3, \\infty)"],
    "inequality": ["x \\in [-2,7]", "x \\le 3", "x > -\\frac{1}{2}"],
    "tuple": ["(2,4)", "(6,31,-1)", "\\left( 3, \\frac{\\pi}{2} \\right)", "(-\\sqrt{3}, \\sqrt{3})"],
    "list": ["1,-2", "3, 5, 7", "\\frac{1}{2}, 4"],
    "set": ["\\{1\\pm\\sqrt{5},-2\\}", "\\{2, 3, 7\\}"],
    "plus-minus": ["3 \\pm 2 \\sqrt{2}", "1 \\pm \\sqrt{19}"],
    "matrix": [
        "\\begin{pmatrix} -7 \\\\ 16 \\\\ 5 \\end{pmatrix}",
        "\\begin{pmatrix} -1 & 0 \\\\ 3 & -1 \\end{pmatrix}",
        "\\begin{pmatrix} 1/5 \\\\ -18/5 \\end{pmatrix}",
    ],
    "expression": ["2k+2", "(a+5)(b+2)", "x^3+3x-6", "8n^2 + 4n + 1", "\\frac{11+9a}{20}", "5r^5", "\\cot x", "p - q"],
    "equation": ["y = 2x + 3", "5x - 7y + 11z + 4 = 0", "x=5"],
    "base numeral": ["2516_8", "4210_{5}"],
    "word": ["\\text{east}", "\\text{ellipse}", "\\text{Evelyn}"],
    "choice": ["\\text{(B)}", "(D)"],
    "money": ["\\$36", "\\$18.90", "\\$32,\\!348"],
    "quantity": ["5.4 \\text{ cents}", "15\\mbox{ cm}^2", "864 \\mbox{ inches}^2"],
    "degrees": ["30^\\circ", "145^\\circ", "\\frac{270}7\\text{ degrees}"],
    "scientific": ["1.6 \\times 10^{-19}", "3.2 \\times 10^{5}"],
    "ratio": ["3:2", "2:5:9"],
    "time": ["4:30 \\text{ p.m.}"],
}
EVERY = [gold for golds in GOLDS.values() for gold in golds]
FRAGMENTS = (
    *("0", "1", "25", "3.5", ".", ",", "-", "+", "/", "^", "_", "=", "<", "(", ")", "[", "]", "{", "}", "\\{", "\\}"),
    *(
        "\\frac",
        "\\sqrt",
        "\\pi",
        "\\infty",
        "\\cup",
        "\\pm",
        "\\text{",
        "\\left",
        "\\right",
        "\\\\",
        "&",
        "$",
        "\\(",
        "%",
    ),
    *(
        "\\boxed{",
        "#### ",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "x",
        "i",
        "e",
        "east",
        " ",
        "\n",
        "°",
        "\N{MINUS SIGN}",
    ),
)
anything = st.text(st.characters(exclude_categories=()), max_size=80)  # surrogates and control characters too
mathematics = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
seeds = st.integers(0, 2**32)


@st.composite
def spelled(draw, loose=True):
    """A gold and a spelling of it."""
    gold = draw(st.sampled_from(EVERY))
    return gold, respellings(gold, 1, draw(seeds), loose)[0].text


@st.composite
def changed(draw):
    """A gold and another answer that looks like it."""
    gold = draw(st.sampled_from(EVERY))
    return gold, mutations(gold, 1, draw(seeds))[0].text


answers = st.one_of(anything, mathematics, spelled().map(lambda pair: pair[1]), changed().map(lambda pair: pair[1]))


def stated(text):
    """A sentence that states the answer, mathematics between dollars as models write it."""
    marked = "\\" in text and not any(mark in text for mark in ("$", "\\(", "\\["))
    return f"${text.strip()}$" if marked else text.strip()


@pytest.mark.parametrize("kind", GOLDS)
def test_the_judge_reads_its_own_golds(kind):
    """What is generated below is of the kind it says, and much of it."""
    for gold in GOLDS[kind]:
        assert kind_of(gold) == kind
        assert len(respellings(gold, 30)) == 30
        assert len(mutations(gold, 4)) == 4
        assert respellings(gold, 5, 1) == respellings(gold, 5, 1) != respellings(gold, 5, 2)


@pytest.mark.parametrize("kind", GOLDS)
def test_a_spelling_changes_no_verdict(kind):
    pairs = [(text.text, gold) for gold in GOLDS[kind] for text in respellings(gold, 30)]
    assert [pair for pair, right in zip(pairs, are_correct(pairs), strict=True) if not right] == []


@pytest.mark.parametrize("kind", GOLDS)
def test_a_look_alike_is_never_accepted(kind):
    pairs = [(text.text, gold) for gold in GOLDS[kind] for text in mutations(gold, 15)]
    assert [pair for pair, right in zip(pairs, are_correct(pairs), strict=True) if right] == []


@pytest.mark.parametrize(
    "form",
    ["so we have \\boxed{{{text}}}.", "Step 1: 2+3=5.\n#### {text}", "We found 12 of 40. The answer is {sentence}"],
    ids=["boxed", "hashes", "stated"],
)
@pytest.mark.parametrize("kind", GOLDS)
def test_a_spelling_is_read_out_of_a_sample(form, kind):
    wrong = []
    for gold in GOLDS[kind]:
        for text in (spelling.text for spelling in respellings(gold, 10, 1)):
            sample = form.format(text=text, sentence=stated(text))
            sample += "" if sample.endswith(".") else "."
            if not is_correct(extract_answer(sample), gold):
                wrong.append((sample, extract_answer(sample), gold))
    assert wrong == []


@pytest.mark.parametrize("kind", GOLDS)
def test_a_look_alike_in_a_box_is_never_accepted(kind):
    texts = [(f"so \\boxed{{{text.text}}}", gold) for gold in GOLDS[kind] for text in mutations(gold, 8, 1)]
    assert [pair for pair in texts if is_correct(extract_answer(pair[0]), pair[1])] == []


@given(answer=answers)
def test_equality_is_reflexive(answer):
    assert answers_equal(answer, answer)


@settings(max_examples=200)
@given(left=answers, right=answers)
def test_equality_is_symmetric(left, right):
    assert answers_equal(left, right) == answers_equal(right, left)


@given(pair=spelled() | changed())
def test_equality_is_symmetric_where_answers_are_near(pair):
    assert answers_equal(*pair) == answers_equal(*reversed(pair))


@given(pair=spelled(loose=False))
def test_spellings_of_one_answer_are_one_vote(pair):
    assert group_answers([*pair, None]).tolist() == [0, 0, -1]


@given(pair=changed())
def test_look_alikes_are_two_votes(pair):
    assert group_answers(list(pair)).tolist() == [0, 1]


@given(left=answers, right=answers)
def test_equal_keys_are_of_equal_answers(left, right):
    if answer_key(left) == answer_key(right):
        assert answers_equal(left, right)


@settings(max_examples=300)
@given(text=answers, ended=st.booleans())
def test_reading_never_fails(text, ended):
    answer = extract_answer(text, ended)
    assert answer is None or answer
    assert isinstance(extract_gold(text), str)
    assert is_correct(answer, text) in (True, False)
    assert AnswerGroups().number(answer) == (-1 if answer is None else 0)


@given(pairs=st.lists(spelled() | changed() | st.tuples(st.none() | answers, mathematics), max_size=6))
def test_many_verdicts_are_those_of_one_at_a_time(pairs):
    assert are_correct(pairs) == [is_correct(answer, gold) for answer, gold in pairs]


LONG, LONGEST = 5_000, 250_000
#: Processor seconds for all of it, thirty times what it takes: work that grows with the square of the length takes
#: more at LONGEST, and work that grows with its cube at LONG.
GUARD = 120
WORK = r"""
import json, resource, sys
from optscale_predictor.questions.answers import answer_key, answers_equal, are_correct
from optscale_predictor.questions.answers import extract_answer, group_answers, extract_gold

resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]),) * 2)
for line in sys.stdin:
    fragment, times, gold = json.loads(line)
    text = fragment * times
    read = [extract_answer(form.format(text)) for form in ("{}", "\\boxed{{{}}}", "#### {}", "The answer is {}.")]
    verdicts = are_correct([(text, gold), (gold, text), *((answer, gold) for answer in read)])
    equal = [answers_equal(text, gold), answers_equal(gold, text), answers_equal(text, text)]
    key, groups = answer_key(text), group_answers([text, gold, text])
    assert isinstance(extract_gold(text), str) and isinstance(key, str) and len(verdicts) == 6 and len(groups) == 3
    print(json.dumps([fragment[:20], verdicts[0], *equal]), flush=True)
"""
REPEATED = (
    *(
        "(",
        ")",
        "{",
        "}",
        "[",
        "\\{",
        "-",
        "+",
        "1",
        "9",
        ",",
        ".",
        " ",
        "\n",
        "$",
        "**",
        "\\",
        "^",
        "_",
        "x",
        "a ",
        "!",
    ),
    *(
        "\\frac{",
        "\\frac",
        "\\sqrt{",
        "\\sqrt",
        "\\left(",
        "\\boxed{",
        "#### ",
        "\\text{",
        "\\begin{pmatrix}",
        "&",
        "\\\\",
    ),
    *(
        "1,",
        "1/",
        "1+",
        "2^",
        "2^{",
        "x^2+",
        "(x+1)",
        "1,234",
        "-1 ",
        "\\pm ",
        "\\cup ",
        "(1,2)\\cup",
        "1 2/3 ",
        "|",
        "||",
    ),
    *(
        "<think>",
        "</think>",
        "The answer is ",
        "= ",
        "x=",
        "\\(",
        "\\[",
        "°",
        "\\pi",
        "\ud800",
        "\x00",
        "\N{MINUS SIGN}",
    ),
)


def test_work_is_bounded_however_long_an_answer_is():
    """Processor seconds, not a clock's: however busy the machine, only work that is out of bounds meets the guard."""
    inputs = [(fragment, LONG // len(fragment), "2") for fragment in REPEATED]
    inputs += [(fragment, LONGEST // len(fragment), "2") for fragment in ("{", "1,", "\\boxed{")]
    lines = "".join(json.dumps(line) + "\n" for line in inputs)
    ended = subprocess.run([sys.executable, "-c", WORK, str(GUARD)], input=lines, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line[0] for line in shown] == [fragment[:20] for fragment, _, _ in inputs]
    assert all(line[1:] == [False, False, False, True] for line in shown)
