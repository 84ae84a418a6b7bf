"""A judge's rubric: read from its file, filled in, and read out of any reply."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge_server import SHORT

from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.rubric import DEFAULT, Rubric
from optscale_predictor.errors import InputError
from optscale_predictor.questions.question import Question


@given(number=st.decimals(0, 10, places=3), before=st.text(max_size=20))
def test_any_number_in_range_is_read_as_it_is(number, before):
    assert SHORT.read(f"{before}\nScore: {number}") == pytest.approx(float(number) / 10)


@given(reply=st.text(max_size=60))
def test_any_reply_is_a_score_in_range_or_a_reason(reply):
    read = SHORT.read(f"Score: {reply}")
    assert isinstance(read, str) or 0 <= read <= 1


BROKEN = {
    "no question": ("{answer}", "has no {question} in it"),
    "no answer": ("{question}", "has no {answer} in it"),
    "pattern": ("---\npattern: '('\n---\n{question}{answer}", "is no regular expression"),
    "groups": ("---\npattern: 'a'\n---\n{question}{answer}", "must have one group, it has 0"),
    "range": ("---\nlow: 3\nhigh: 3\n---\n{question}{answer}", "need low < high, got 3"),
    "infinite": ("---\nhigh: .inf\n---\n{question}{answer}", "need low < high"),
    "unknown": ("---\nhihg: 3\n---\n{question}{answer}", "unknown settings of a rubric: hihg; known: pattern, low"),
    "type": ("---\nhigh: ten\n---\n{question}{answer}", "the rubric's high cannot be 'ten'"),
    "votes": ("---\nvotes: 2.5\n---\n{question}{answer}", "the rubric's votes cannot be 2.5"),
    "same votes": ("---\nvotes: 3\n---\n{question}{answer}", "3 votes at temperature 0 are all the same"),
    "no votes": ("---\nvotes: 0\n---\n{question}{answer}", "the rubric's votes must lie in [1, 256], got 0"),
    "a million votes": (
        "---\nvotes: 1000000\ntemperature: 1\n---\n{question}{answer}",
        "the rubric's votes must lie in [1, 256], got 1e+06",
    ),
    "tokens": (
        "---\nmax_tokens: 1.0e+30\n---\n{question}{answer}",
        "must lie in [1, 2147483647], got 1e+30",
    ),
    "temperature": ("---\ntemperature: .inf\n---\n{question}{answer}", "temperature must be >= 0 and finite, got inf"),
    "YAML": ("---\nhigh: [\n---\n{question}{answer}", "the rubric's settings: cannot read it: while parsing"),
    "a list": ("---\n- high\n---\n{question}{answer}", "unknown settings of a rubric"),
}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_rubric_is_one_line(mistake, tmp_path):
    content, says = BROKEN[mistake]
    (tmp_path / "rubric.txt").write_text(content)
    with pytest.raises(InputError, match=re.escape(says)) as raised:
        Rubric.from_file(tmp_path / "rubric.txt")
    assert "\n" not in str(raised.value) and str(tmp_path / "rubric.txt") in str(raised.value)


def test_settings_of_a_rubric(tmp_path):
    (tmp_path / "rubric.txt").write_text("---\nhigh: 5\nvotes: 2\ntemperature: 1\n---\n---\n{question}{answer}\n")
    rubric = Rubric.from_file(tmp_path / "rubric.txt", high=4.0)
    assert (rubric.high, rubric.votes, rubric.low) == (4.0, 2, 0.0)  # an argument goes before the file
    assert rubric.text == "---\n{question}{answer}\n"
    (tmp_path / "plain.txt").write_text("{question}{answer}\n---\nhigh: 5\n---\n")
    assert Rubric.from_file(tmp_path / "plain.txt").high == 10.0


def test_the_packages_own_rubric():
    rubric = Rubric.from_file()
    assert (rubric.low, rubric.high, rubric.temperature, rubric.votes) == (0, 10, 0, 1) and not rubric.needs_gold
    prompt = rubric.ask(Answered(Question("q", "What is 1+1?"), "It is 2."))
    assert "What is 1+1?" in prompt and "It is 2." in prompt and "---" not in prompt and "{" not in prompt
    assert DEFAULT.read_text().endswith("Score: NUMBER\n")
    assert isinstance(rubric.read(prompt), str)  # a model that parrots its instructions gives no score
