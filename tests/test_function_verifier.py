"""A user's function as verifier, and right or wrong against the gold answer: failures refuse their row and say why."""

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from synthetic_pool import write_pool

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.model_free import FunctionVerifier, GoldVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import score_pool
from optscale_predictor.questions.question import Question

MODULE = """
import numpy as np

calls = []

def length(question, text):
    return len(text) / 10

def right(question, text, gold):
    return text == gold

def with_option(question, text, sharpness=2.0):
    return 0.5 ** sharpness

def with_gold_by_name(question, text, gold=None):
    return float(gold == "42")

def picky(question, text):
    if "bad" in text:
        raise KeyError("no such\\nthing")
    return {"none": None, "word": "0.5", "nan": float("nan"), "two": 2, "list": [0.5]}.get(text, 0.5)

def never(question, text):
    raise RuntimeError("no server")

def late(question, text):
    calls.append(text)
    if len(calls) == 1:
        return 0.5
    raise RuntimeError("no server")

def dies(question, text):
    calls.append(text)
    if len(calls) > 300:
        raise RuntimeError("no server")
    return 0.5

def dying_lists(questions, texts):
    calls.append(len(texts))
    if len(calls) > 2:
        raise RuntimeError("no server")
    return [0.5] * len(texts)

def limps(question, text):
    calls.append(text)
    if len(calls) % 200:
        raise RuntimeError("no server")
    return 0.5

def lists(questions, texts):
    calls.append(len(texts))
    return np.array([len(text) / 10 for text in texts])

def lists_with_gold(questions, texts, golds):
    return [float(text == gold) for text, gold in zip(texts, golds)]

def too_few(questions, texts):
    return [0.5]

def failing_lists(questions, texts):
    if "bad" in texts:
        raise ValueError("one of them")
    return [0.5] * len(texts)

def short_later(questions, texts):
    calls.append(len(texts))
    return [0.5] * (len(texts) if len(calls) < 3 else 1)

def one(question):
    return 0.5

def keyword(question, text, *, strict):
    return 0.5

class Scorer:
    def __call__(self, question, text):
        return 0.25

scorer = Scorer()
number = 3
"""


@pytest.fixture
def verifiers(tmp_path, monkeypatch):
    """A module of a user's, beside which the command runs; the name of a function makes its verifier."""
    (tmp_path / "users_verifier.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("users_verifier", None)
    yield lambda name, **options: FunctionVerifier(f"users_verifier:{name}", **options)
    sys.modules.pop("users_verifier", None)


def items_of(texts, gold="42"):
    return [Answered(Question(f"q{number}", "How many?", gold), text) for number, text in enumerate(texts)]


def test_each_sample_gets_what_the_function_returns(verifiers):
    scores = verifiers("length").score(items_of(["", "12345", "1234567890"]))
    assert scores.values.tolist() == [0.0, 0.5, 1.0] and not scores.refusals
    assert verifiers("right").score(items_of(["42", "41"])).values.tolist() == [1.0, 0.0]
    assert verifiers("scorer").score(items_of(["a"])).values.tolist() == [0.25]
    assert verifiers("length").describe() == {"adapter": "function", "function": "users_verifier:length"}


def test_the_gold_answer_goes_where_it_is_asked_for_and_nowhere_else(verifiers):
    assert verifiers("with_option").score(items_of(["a"])).values.tolist() == [0.25]
    assert verifiers("with_gold_by_name").score(items_of(["a"])).values.tolist() == [1.0]


def test_a_failure_or_no_number_refuses_that_row_with_the_reason(verifiers):
    texts = ["good", "bad", "none", "word", "nan", "two", "list", "fine"]
    scores = verifiers("picky").score(items_of(texts))
    np.testing.assert_array_equal(scores.values, [0.5, *[np.nan] * 6, 0.5])
    assert scores.refusals == {
        1: "KeyError: 'no such\\nthing'",
        2: "it returned NoneType, not a number",
        3: "it returned str, not a number",
        4: "its score is nan, not in [0, 1]",
        5: "its score is 2.0, not in [0, 1]",
        6: "it returned list, not a number",
    }


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        (True, 1.0),
        (0, 0.0),
        (np.float32(0.5), 0.5),
        (np.array(0.25), 0.25),
        (torch.tensor(0.75), 0.75),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), 0.5),
        (10**400, np.nan),
        (1j, np.nan),
        (np.array([0.5, 0.5]), np.nan),
        (torch.tensor([0.5]), np.nan),
    ],
)
def test_kinds_of_numbers(verifiers, monkeypatch, returned, score):
    verifier = verifiers("picky")
    verifier.score(items_of(["good"]))  # it works: from here on, a failure is its row's
    monkeypatch.setattr(verifier, "_function", lambda *_: returned)
    np.testing.assert_array_equal(verifier.score(items_of(["x"])).values, [score])


def test_a_function_that_never_works_ends_the_run_at_once(verifiers, tmp_path):
    write_pool(tmp_path / "pool", [[0.5] * 10] * 10)
    says = "verifier 'python:users_verifier:never' failed 32 times and never worked; question 'q0': RuntimeError: no s"
    with pytest.raises(InputError, match=says):
        score_pool(tmp_path / "pool", verifiers("never"), "score_own", progress=False)
    assert Pool(tmp_path / "pool").unscored("score_own") == 100
    # The same column is free for a function that works.
    pool = score_pool(tmp_path / "pool", verifiers("length"), "score_own", progress=False)
    assert pool.unscored("score_own") == 0 and pool.scores["score_own"]["function"] == "users_verifier:length"
    with pytest.raises(InputError, match="failed 3 times and never worked"):
        verifiers("never").score(items_of(["a", "b", "c"]))


def test_failures_after_a_success_are_their_rows_affair(verifiers, tmp_path):
    write_pool(tmp_path / "pool", [[0.5] * 10] * 10)
    pool = score_pool(tmp_path / "pool", verifiers("late"), "score_own", progress=False)
    rows = pool.read(["score_own", "refusal_own"])
    assert rows["score_own"].null_count == 99
    assert set(rows["refusal_own"].to_pylist()) == {None, "RuntimeError: no server"}


@pytest.mark.parametrize(("function", "scored", "refused"), [("dies", 300, 212), ("dying_lists", 512, 768)])
def test_a_function_that_fails_for_good_ends_the_run_and_what_it_scored_is_kept(
    verifiers, tmp_path, capsys, function, scored, refused
):
    """Here 256 samples are a batch. Failures of finished batches are refused; the last batch is left unscored."""
    write_pool(tmp_path / "pool", [[0.5] * 100] * 30, shard_samples=10_000)
    command = ["score", "pool", "--verifier", f"python:users_verifier:{function}", "--column", "score_own"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    said = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and "times in a row; question 'q" in said and "RuntimeError: no server" in said
    assert "--retry_refused true" in said
    rows = Pool(tmp_path / "pool").read(["score_own", "refusal_own"])
    assert rows["score_own"].drop_null().to_pylist() == [0.5] * scored
    assert len(rows["refusal_own"].drop_null()) == refused


def test_a_function_that_works_now_and_then_scores_what_it_can(verifiers, tmp_path):
    write_pool(tmp_path / "pool", [[0.5] * 100] * 10)
    verifier = verifiers("limps")
    verifier._failures.succeeded()  # else the first 32 failures would end the run
    pool = score_pool(tmp_path / "pool", verifier, "score_own", progress=False)
    assert len(pool.read(["score_own"])["score_own"].drop_null()) == 5 and pool.unscored("score_own") == 0


def test_a_function_that_takes_lists_is_handed_batches(verifiers):
    verifier = verifiers("lists", batch_size=4)
    texts = ["x" * number for number in range(10)]
    assert verifier.score(items_of(texts)).values.tolist() == [number / 10 for number in range(10)]
    assert sys.modules["users_verifier"].calls == [4, 4, 2]
    assert verifiers("lists_with_gold").score(items_of(["42", "1"])).values.tolist() == [1.0, 0.0]
    with pytest.raises(InputError, match="too_few' returned 1 scores for 3 samples"):
        verifiers("too_few").score(items_of(["a", "b", "c"]))
    scores = verifiers("failing_lists", batch_size=2).score(items_of(["a", "b", "bad", "c", "d"]))
    np.testing.assert_array_equal(scores.values, [0.5, 0.5, np.nan, np.nan, 0.5])
    assert scores.refusals == {2: "ValueError: one of them", 3: "ValueError: one of them"}


def test_what_was_scored_before_the_run_ended_is_kept(verifiers, tmp_path):
    write_pool(tmp_path / "pool", [[0.5] * 10])
    with pytest.raises(InputError, match="returned 1 scores for 2 samples"):
        score_pool(tmp_path / "pool", verifiers("short_later", batch_size=4), "score_own", progress=False)
    rows = Pool(tmp_path / "pool").read(["score_own"])
    assert rows["score_own"].to_pylist() == [0.5] * 8 + [None] * 2


BAD = {
    "no module": ("nowhere:f", "No module named 'nowhere'"),
    "no function": ("users_verifier:nothing", "has no attribute 'nothing'"),
    "no function named": ("users_verifier", "expected python:module:function"),
    "a number": ("users_verifier:number", "number is not a function"),
    "too few parameters": ("users_verifier:one", "expected a function of (question, text)"),
    "keyword only": ("users_verifier:keyword", "missing a required argument: 'strict'"),
    "a broken module": ("broken_verifier:f", "SyntaxError: "),
    "a failing module": ("failing_verifier:f", "ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_name_that_cannot_be_used_is_one_line(verifiers, tmp_path, mistake):
    (tmp_path / "broken_verifier.py").write_text("def f(:\n")
    (tmp_path / "failing_verifier.py").write_text("1 / 0\n")
    name, says = BAD[mistake]
    with pytest.raises(InputError) as raised:
        VerifierOptions(f"python:{name}").build()
    assert says in str(raised.value) and "\n" not in str(raised.value) and f"python:{name}" in str(raised.value)


def test_an_installed_command_finds_a_module_where_it_was_called(tmp_path):
    """As a process of its own: ``optscale`` has its own folder, not this one, on its path."""
    write_pool(tmp_path / "pool", [[0.5, 0.5]])
    (tmp_path / "users_verifier.py").write_text(MODULE)
    code = "import sys; sys.path.remove(''); from optscale_predictor.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "score", "pool", "--column", "score_own"]
    scored = subprocess.run(
        [*command, "--verifier", "python:users_verifier:picky"], cwd=tmp_path, capture_output=True, text=True
    )
    assert scored.returncode == 0, scored.stderr
    assert "pool: 2 samples scored" in scored.stdout


def test_the_command_line_says_how_many_were_refused_and_why(verifiers, tmp_path, capsys):
    write_pool(tmp_path / "pool", [[0.5, 0.5, 0.5]])
    main(["score", "pool", "--verifier", "python:users_verifier:late", "--column", "score_own"])
    said = capsys.readouterr().out
    assert "1 samples scored, 2 refused, the first because RuntimeError: no server" in said


def test_where_every_sample_is_refused_the_command_fails(tmp_path, capsys, monkeypatch):
    """A scale of its own, say per cent: a script that goes on would find an empty column."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "verifier_in_percent.py").write_text("def score(question, text):\n    return 90.0\n")
    write_pool(tmp_path / "pool", [[0.5, 0.5, 0.5]])
    with pytest.raises(SystemExit) as ended:
        main(["score", "pool", "--verifier", "python:verifier_in_percent:score", "--column", "score_own"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "pool: no sample is scored, 3 refused, the first because its score is 90.0" in said


def test_right_and_wrong_against_the_gold_answer():
    texts = ["so\n#### 42", "it is 41", r"\boxed{\frac{84}{2}}", "nothing", r"thus \boxed{42.0}", ""]
    scores = GoldVerifier().score(items_of(texts))
    assert scores.values.tolist() == [1, 0, 1, 0, 1, 0] and not scores.refusals
    scores = GoldVerifier().score(items_of(["42"], gold=None))
    assert np.isnan(scores.values).all() and scores.refusals == {0: "its question has no gold answer"}


def test_math_verify_is_a_verifier_by_name_and_agrees_with_the_pools_labels(tmp_path):
    main(["generate", str(tmp_path / "pool"), "--questions", "embedded:train:8", "--num_samples", "4"])
    main(["score", str(tmp_path / "pool"), "--verifier", "math_verify", "--column", "score_gold"])
    pool = Pool(tmp_path / "pool")
    assert pool.scores["score_gold"] == {"adapter": "math_verify"}
    rows = pool.read(["correct", "score_gold"])
    labels = [float(one) for one in rows["correct"].to_pylist()]
    assert rows["score_gold"].to_pylist() == labels and 0 < sum(labels) < len(labels)
    with pytest.raises(InputError, match="runs in this process and takes no verifier_url"):
        VerifierOptions("math_verify", url="http://127.0.0.1:9/v1").build()
