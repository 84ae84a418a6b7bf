"""Texts of millions of characters: their answers are those of a search of the whole text, without such a search."""

import random
import re

import pytest

from optscale_predictor.questions.answers import extract_answer
from optscale_predictor.questions.answers.reading import last_matches as pieces
from optscale_predictor.questions.answers.reading import marks

PARTS = [
    "The final answer is 12.", "the answer is 7", "**Answer:** 3\n", "\nAnswer: x^2", "My answer: B", "Antwort: 4\n",
    "final answer:\n", "option B is correct. ", "(C) is the best choice", "if the answer is 9, ", "\\boxed{5}",
    "#### 6\n", "\n#### Answer: 8\n", "<answer>11</answer>", "so we go on. ", "\n\n", " ", "1 + 2 = 3", "答案是 10",
    "I would choose option D", "the option\n", " answers ", "Step 1: ", "option A   ",
]  # fmt: skip


def whole(pattern, words, text, most, start=0):
    """What a search of the whole text finds."""
    found = [one for one in pattern.finditer(text) if one.start() >= start]
    return iter(reversed(found[-most:]))


@pytest.mark.parametrize("piece", [60, 500])
def test_pieces_find_what_the_whole_has(piece, monkeypatch):
    draw = random.Random(piece)
    texts = ["".join(draw.choices(PARTS, k=draw.randrange(1, 60))) for _ in range(60)]
    monkeypatch.setattr(pieces, "_PIECE", piece)
    for pattern, words in ((marks._SAID, marks._SAYING), (marks._CHOSEN, marks._CHOOSING)):
        for text in texts:
            for most in (1, 3, 100):
                expected = [one.span() for one in whole(pattern, words, text, most)]
                assert [one.span() for one in pieces.last_matches(pattern, words, text, most)] == expected, text


def test_answers_are_those_of_a_search_of_the_whole(monkeypatch):
    draw = random.Random(0)
    texts = ["".join(draw.choices(PARTS, k=draw.randrange(1, 60))) for _ in range(200)]
    monkeypatch.setattr(pieces, "_PIECE", 100)
    found = [extract_answer(text) for text in texts]
    monkeypatch.setattr(
        marks, "last_matches", lambda pattern, words, text, most, start=0: whole(pattern, words, text, most)
    )
    assert found == [extract_answer(text) for text in texts] and len(set(found)) > 10


class Counted:
    """A pattern that counts the characters that it is given to search."""

    def __init__(self, pattern):
        self.pattern, self.characters = pattern, 0

    def finditer(self, text, start, end):
        self.characters += end - start
        return self.pattern.finditer(text, start, end)

    def __getattr__(self, name):
        return getattr(self.pattern, name)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so it is 12\n" * 300_000 + "#### 17", "17"),
        ("the answer is 12\n" * 300_000 + "The answer is 17.", "17"),
        ("it is 12\n" * 300_000 + "17", "17"),
    ],
    ids=["marked", "announced", "unmarked"],
)
def test_most_of_a_long_text_is_not_searched(text, answer, monkeypatch):
    said, chosen = Counted(marks._SAID), Counted(marks._CHOSEN)
    monkeypatch.setattr(marks, "_SAID", said)
    monkeypatch.setattr(marks, "_CHOSEN", chosen)
    assert extract_answer(text) == answer
    assert said.characters + chosen.characters < 2**17 < len(text)


def test_a_match_at_the_end_of_a_piece_is_none_at_the_end_of_the_text(monkeypatch):
    """``$`` of a pattern means the text's end alone."""
    monkeypatch.setattr(pieces, "_PIECE", 50)
    text = "option B" + " " * 400 + "and so on " * 30
    assert list(pieces.last_matches(re.compile(r"option ([A-J])\s*$"), ["option"], text, 3)) == []
