"""Where in a text its answer stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.questions.answers import extract_answer, extract_gold, is_correct, normalise


def reads(text, gold, ended=True):
    return is_correct(extract_answer(text, ended), gold)


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
def test_plain_forms(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        (r"<think>maybe \boxed{12}? no</think> The answer is 15.", "15"),
        (r"maybe \boxed{12}? no</think> The answer is 15.", "15"),  # the template opened the thought
        (r"<think>a</think> \boxed{1} <think>b</think> \boxed{2}", "2"),
        ("<think>#### 4</think>\n#### 5", "5"),
        ("<think>#### 4</think>\n#### 5\n<think>or #### 6", "5"),
        ("<thinking>12</thinking>It is 5.", "5"),
        ("[THINK]so 12[/THINK]It is 5.", "5"),
        ("<|channel|>analysis<|message|>maybe 12<|end|><|start|>assistant<|channel|>final<|message|>It is 5.", "5"),
    ],
)
def test_thinking_is_no_answer(text, gold):
    assert reads(text, gold)
    assert not reads(text, "12")


@pytest.mark.parametrize(
    "text", [r"<think>so it is \boxed{12}", "<think>the answer is 12", "<think>12</think>", "<think>"]
)
def test_a_thought_alone_has_no_answer(text):
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("#### Step 1\nCompute 2+3=5.\n#### Step 2\nSo \\boxed{42}.", "42"),
        ("#### Final Answer\nThe total is 42.", "42"),
        ("#### Case 2: $x > 3$\n\nThe sum is \\[\\boxed{0}\\]", "0"),
        ("#### Step 3: Conclusion\nSo the answer is 17.", "17"),
        ("Then \\boxed{42}.\n\n#### Verification of 7\nIt holds.", "42"),
        ("#### Finding the value of 2x\nWe get \\boxed{9}", "9"),
        ("#### **18**", "18"),
        ("#### 18 dollars", "18"),
        ("#### $18 per day", "18"),
        ("#### Ann has 5 apples", "5"),
        ("#### 1,000,000 dollars", "1000000"),
        ("#### 5 (five)", "5"),
        ("#### 9*2 = 18", "18"),
        ("#### 18 This is the total.", "18"),
        ("##### 18", "18"),
        ("#### -3", "-3"),
    ],
)
def test_a_heading_is_no_mark(text, gold):
    assert reads(text, gold)


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("The probability is 3/4.", r"\frac{3}{4}", "4"),
        (r"They eat $\frac{13}{15}$ of the pie.", r"\frac{13}{15}", "15"),
        (r"They eat \frac{13}{15} of the pie.", r"\frac{13}{15}", "15"),
        ("It falls to −5", "-5", "5"),
        ("It changes by -$5", "-5", "5"),
        ("It is .5", "0.5", "5"),
        ("It is 3.50.", "3.5", "50"),
        ("The years were 2020-2024", "2020-2024", "-2024"),
        ("so 12-5", "7", "-5"),
        ("between 3-5", "3-5", "-5"),
        ("The total is $1{,}234$.", "1234", "234"),
        (r"It costs $10\,000$", "10000", "0"),
        ("The area is 12 cm^2", "12", "2"),
        ("The recipe needs 2 1/2 cups", "2.5", "2"),
        (r"The mass is 3 \times 10^{8}", "300000000", "8"),
        (r"The length is 2\sqrt3", r"2\sqrt{3}", "3"),
        ("So we find $x = 7$ and stop.", "7", "x"),
        ("a mix of 1/5 pound almonds and 1/3 pound walnuts", r"\frac13", "3"),
        ("He finished 3rd.", "3", "2"),
        ("There are twelve.", "12", "2"),
        ("16 people think that horse #12 will win.", "16", "12"),
        ("5 cars drove through in the first 15 minutes.", "5", "15"),
        ("It is 70% (1 of 2)", r"70\%", "2"),
    ],
)
def test_without_a_mark_it_is_the_last_value(text, right, wrong):
    assert reads(text, right)
    assert not reads(text, wrong)


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("Final Answer: **73** (checked in 3 ways)", "73"),
        ("**Answer:** 12\n\n(Checked with 3 other methods.)", "12"),
        (r"<answer>\frac{1}{2}</answer> after 3 tries", r"\frac12"),
        ("The answer is (B). 7 is prime.", "B"),
        ("Option (B) 12 is right. The answer is B.", "B"),
        ("The answer is 15. Check: 15 = 3*5.", "15"),
        ("The answer is 15 (see step 2).", "15"),
        ("This simplifies to 4/9. The answer is 4/9.", r"\frac49"),
        ("The answer is 1 1/2.", "1.5"),
        (r"The answer is $2\sqrt{3}$.", r"2\sqrt{3}"),
        (r"Final Answer: The final answer is $[2,5)$. I hope it is correct.", "[2,5)"),
        ("The final answer is $x+5$.", "x+5"),
        ("The answer is Evelyn.", r"\text{Evelyn}"),
        ("The final answer is: no. There are 3 reasons.", "No"),
        ("## Final Answer\nTherefore, the number of ways is 42.", "42"),
    ],
)
def test_explicit_words_are_a_mark(text, gold):
    assert reads(text, gold)


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        (r"\boxed 2", "2"),
        (r"The height is $\boxed 5$ cm in 2 steps.", "5"),
        (r"\boxed {12}", "12"),
        (r"\fbox{12}", "12"),
        (r"Thus \fbox{70}\%. (1 of 2)", "70"),
        (r"\boxed\frac12 of 3", r"\frac12"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{5} and then \boxed{}", "5"),
        (r"\boxed{5} and then \boxed{7", "5"),
        (r"\boxed{3}, \boxed{5}, \boxed{7}", "3,5,7"),
        (r"$x=\boxed{3}$ or $x=\boxed{5}$", "3,5"),
        (r"So $x=\boxed{3}$ and then $y=\boxed{7}$.", "7"),
        (r"First we get \boxed{3}. Adding 6 gives \boxed{9}.", "9"),
        (r"\boxed{3} … fails. Final answer: 4", "4"),
        (r"\boxed{12}. The train needs 12 hours, arriving at 9.", "12"),
        (r"\boxed{12} and so the answer is clearly positive.", "12"),
    ],
)
def test_boxes(text, gold):
    assert reads(text, gold)
    assert is_correct(extract_gold(text), gold)  # golds by the same rule


@pytest.mark.parametrize("text", ["I was thinking 5", "so 3 + 2 = 5", "1. First 5", "x = $5$", "there are twelve"])
def test_a_cut_off_sample_has_only_marked_answers(text):
    assert extract_answer(text, ended=True) is not None
    assert extract_answer(text, ended=False) is None
    assert extract_answer(rf"{text} so \boxed{{5}} and", ended=False) == "5"


@pytest.mark.parametrize(
    "text",
    [
        "#### 18\n\nQuestion: Tom has 3 pens...\nAnswer: 3\n#### 5",
        "The answer is 18.\n\nQ: Tom has 3 pens. How many?\nA: The answer is 5.",
        "It makes 18.\n\nProblem: Tom has 3 pens.\nSolution: 5",
        r"\boxed{18}<|im_end|><|im_start|>user 5",
    ],
)
def test_a_base_model_that_runs_on(text):
    assert extract_answer(text) == "18"


def test_a_question_that_a_sample_asks_itself_is_part_of_it():
    assert extract_answer("Question: how many are left?\nThere are 5+3 = 8, so 8.") == "8"


@pytest.mark.parametrize("text", ["I cannot solve problem 5.", "I am unable to determine the answer to question 3."])
def test_a_refusal_has_no_answer(text):
    assert extract_answer(text) is None


@given(number=st.integers(-(10**12), 10**12))
def test_numbers_are_read_however_they_are_written(number):
    assert normalise(f"${number:,}.00") == normalise(str(number)) == str(number)
    for text in (
        f"#### {number:,}",
        rf"\boxed{{{number}}}",
        f"The answer is {number:,}.",
        f"It makes {number:,} in all.",
    ):
        assert extract_answer(text) == str(number)


@pytest.mark.parametrize(
    "gold", ["Natalia sold 48/2 = <<48/2=24>>24.\n#### 72", r"Adding, we get $\boxed{72}$.", "72", " 72. "]
)
def test_golds(gold):
    assert extract_gold(gold) == "72"


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        (r"We get \boxed{44}\pmod{83}. We may check our answer: $17\cdot 44 = 748$.", "44"),
        (r"\boxed{5} The answer is reasonable since 5 < 6.", "5"),
        (r"\boxed{5} The final answer is rounded to 2 decimal places.", "5"),
        (r"\boxed{5} The answer is 100% correct, and 2 more than 3.", "5"),
        (r"\boxed{5} The correct answer is the one above.", "5"),
        (r"\boxed{5} Option B is correct since it says so.", "5"),
        ("#### 5\n\nSo the answer is verified: 5 + 8 = 13.", "5"),
        ("The answer is 5, as required.", "5"),
        ("The answer is B, by symmetry.", "B"),
        ("The answer must be 5, after 3 steps.", "5"),
        ("Hence the required answer is 5 (using 3 cases).", "5"),
        ("The final answer is 15 gallons * 8 pints / gallon = 120 pints", "120"),
        ("The answers are $3$ and $5$.", "3, 5"),
        ("The answer is sqrt(3)/2.", r"\frac{\sqrt3}{2}"),
        ("The answer is A because it has 3 legs.", "A"),
        ("The correct option is (C).", "C"),
        ("答案是42。共3步", "42"),
        ("B", "B"),
        ("(3, 4)", "(3, 4)"),
        ("We have\n\\begin{align*}\nz &= (4 - 2i) + 2 - 3i \\\\\n&= 6 - 5i.\n\\end{align*}", "6-5i"),
        (r"x = -\boxed{5}", "-5"),
        (r"\boxed{15\frac{39}{40}}, or \boxed{\frac{639}{40}}", r"\frac{639}{40}"),
        ("So 18.</s> 55", "18"),
        ("Green grapes = G\nThere are 67 red grapes.", "67"),
        ("#### 10% discount\n90 dollars\nThe final price is 90.", "90"),
    ],
)
def test_a_remark_about_the_answer_is_none(text, gold):
    assert reads(text, gold)


@pytest.mark.parametrize(
    "text",
    [
        "If the answer is 5, then 2*5 =",
        "One might think the answer is 6, but",
        "**Answer:**\n\nFirst, there are 3 boxes with",
        "The answer is (",
        r"The final answer is $\sqrt{",
    ],
)
def test_a_cut_off_supposition_has_no_answer(text):
    assert extract_answer(text, ended=False) is None
