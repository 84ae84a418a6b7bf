"""Which questions the demo learns from and compares on."""

import json
from dataclasses import replace

import pytest

from optscale_predictor.cli.worlds.demo_questions import choose_questions
from optscale_predictor.cli.worlds.embedded_world import EMBEDDED_WORLD
from optscale_predictor.cli.worlds.world import Sizes
from optscale_predictor.errors import InputError
from optscale_predictor.questions.arithmetic import make_questions

SIZES = Sizes(train_questions=20, test_questions=5, epochs=1, live_questions=1, samples=8, verifier_questions=20)
NAMES = ["Ann", "Bob", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"]
NAMES += ["Kim", "Leo", "Mia", "Ned", "Oda", "Pia", "Quinn", "Rex", "Sue", "Tom"]
THINGS = ["apples", "boats", "candles", "drums", "engines", "feathers"]


def problems(things, first=0):
    """Unlike one another in their words: a name, a thing and how it is used."""
    return [
        f"{name} keeps {first + number} {thing} in the {name.lower()}ian {thing[:-1]} house; how many has {name}?"
        for thing in things
        for number, name in enumerate(NAMES)
    ]


def write(path, texts, answered=True):
    rows = [{"question": text, **({"answer": "1"} if answered else {})} for text in texts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def sets(tmp_path):
    return write(tmp_path / "train.jsonl", problems(THINGS[:4])), write(tmp_path / "test.jsonl", problems(THINGS[4:]))


def test_questions_serve_for_one_thing_each_and_a_larger_run_has_those_of_a_smaller(sets):
    chosen = choose_questions(*sets, SIZES)
    parts = [{question.text for question in part} for part in (chosen.verifier, chosen.train, chosen.test)]
    assert [len(part) for part in parts] == [20, 20, 5] and len(set.union(*parts)) == 45
    more = choose_questions(*sets, replace(SIZES, train_questions=24, test_questions=9, verifier_questions=23))
    assert (more.verifier[:20], more.train[:20], more.test[:5]) == (chosen.verifier, chosen.train, chosen.test)


def test_near_duplicates_of_test_questions_are_left_out_counted_and_said(sets, tmp_path, capsys):
    _, test = sets
    # As in a test question but for its number, its case and its spaces.
    near = [text.replace(" in ", "  in ").upper() for text in problems(THINGS[4:5], first=70)[:7]]
    doubled = write(tmp_path / "doubled.jsonl", [*problems(THINGS[:4]), *near])
    chosen = choose_questions(doubled, test, SIZES)
    said = f"{doubled}: 7 of 87 questions are near-duplicates of test questions, and left out\n"
    assert capsys.readouterr().err == said
    assert not {question.text for question in (*chosen.train, *chosen.verifier)} & set(near)


def test_near_duplicates_are_all_for_the_verifier_or_none(tmp_path):
    texts = [text for first in (0, 50) for text in problems(THINGS[:3], first)]
    train, test = write(tmp_path / "train.jsonl", texts), write(tmp_path / "test.jsonl", problems(THINGS[4:]))
    chosen = choose_questions(train, test, SIZES)
    plain = [
        {"".join(c for c in one.text if not c.isdigit()) for one in part} for part in (chosen.train, chosen.verifier)
    ]
    assert not plain[0] & plain[1]


def test_the_embedded_world_asks_what_it_always_asked(capsys):
    sizes = replace(EMBEDDED_WORLD.sizes, train_questions=30, test_questions=10)
    chosen = choose_questions(EMBEDDED_WORLD.train_set, EMBEDDED_WORLD.test_set, sizes)
    assert (chosen.verifier, capsys.readouterr().err) == ([], "")
    assert (chosen.train, chosen.test) == (make_questions(30, 0, "train"), make_questions(10, 0, "test"))


def test_what_cannot_be_is_one_line(sets):
    train, test = sets
    with pytest.raises(InputError, match=r"^test_questions must be <= 40, as many as there are for it, got 41$"):
        choose_questions(train, test, replace(SIZES, test_questions=41))
    with pytest.raises(InputError, match=r"^verifier_questions must be <= \d\d, as many as there are for it, got 70$"):
        choose_questions(train, test, replace(SIZES, verifier_questions=70))
    with pytest.raises(InputError, match=r"nowhere.jsonl: cannot read .*; other questions: --train_set FILE.jsonl$"):
        choose_questions("nowhere.jsonl", test, SIZES)


def test_sets_that_leave_nothing_are_named(tmp_path):
    mute = write(tmp_path / "mute.jsonl", problems(THINGS[:2]), answered=False)
    told = write(tmp_path / "told.jsonl", problems(THINGS[:2]))
    with pytest.raises(InputError, match=r"mute.jsonl: none of its 40 questions has an answer; .*--test_set FILE"):
        choose_questions(told, mute, SIZES)
    with pytest.raises(InputError, match=r"told.jsonl: all of its questions are near-duplicates of test questions"):
        choose_questions(told, told, SIZES)
