"""Pools scored by a judge: from the command line, gone on with, and not spoilt by a server that fails."""

import pytest
from judge_server import SHORT, Judge
from served_world import serving
from synthetic_pool import write_pool

from optscale_predictor.backends.verifiers.judge import JudgeVerifier
from optscale_predictor.backends.verifiers.rubric import Rubric
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import score_pool


def test_a_server_that_refuses_everything_ends_the_run_and_spoils_nothing(tmp_path):
    write_pool(tmp_path / "pool", [[0.5] * 10] * 10)
    judge = Judge(lambda *_: (400, {"error": {"message": "no such option: seed"}}))
    with serving(judge.app()) as url:
        verifier = JudgeVerifier("", f"{url}/v1", SHORT)
        with pytest.raises(InputError, match=r"'judge-7b' failed 32 times and never worked; question 'q.': the server"):
            score_pool(tmp_path / "pool", verifier, "score_judge", progress=False)
    assert 32 <= len(judge.bodies) < 100
    assert Pool(tmp_path / "pool").unscored("score_judge") == 100


def test_what_was_judged_before_a_server_failed_for_good_is_kept(tmp_path):
    """The 41st reply is the last; a rerun asks for what is missing, and for nothing twice."""
    write_pool(tmp_path / "pool", [[0.5] * 10] * 10)
    answered = []

    def says(prompt, _):
        answered.append(prompt)
        return "Score: 5" if len(answered) <= 40 else (401, {})

    with serving(Judge(says).app()) as url:
        verifier = JudgeVerifier("", f"{url}/v1", SHORT, concurrency=4)
        with pytest.raises(ServiceError, match="the server refuses the key"):
            score_pool(tmp_path / "pool", verifier, "score_judge", progress=False)
    left = Pool(tmp_path / "pool").unscored("score_judge")
    assert 60 <= left <= 60 + 8  # what was under way is lost, and no more
    judge = Judge(lambda *_: "Score: 5")
    with serving(judge.app()) as url:
        score_pool(tmp_path / "pool", JudgeVerifier("", f"{url}/v1", SHORT), "score_judge", progress=False)
    assert len(judge.bodies) == left
    pool = Pool(tmp_path / "pool")
    assert set(pool.read(["score_judge"])["score_judge"].to_pylist()) == {0.5}
    assert set(pool.read(["score"])["score"].to_pylist()) == {0.5}


def test_another_rubric_is_another_verifier(tmp_path):
    write_pool(tmp_path / "pool", [[0.5, 0.5]])
    with serving(Judge(lambda *_: "Score: 5").app()) as url:
        score_pool(tmp_path / "pool", JudgeVerifier("", f"{url}/v1", SHORT), "score_judge", progress=False)
        other = JudgeVerifier("", f"{url}/v1", Rubric(SHORT.text, high=5))
        with pytest.raises(InputError, match=r"rubric.high was 10.0, now 5; name another column"):
            score_pool(tmp_path / "pool", other, "score_judge", progress=False)


def test_a_judge_that_never_got_to_a_score_may_be_set_up_anew(tmp_path):
    write_pool(tmp_path / "pool", [[0.5, 0.5]])
    with serving(Judge(lambda *_: "Mark: 5").app()) as url:
        score_pool(tmp_path / "pool", JudgeVerifier("", f"{url}/v1", SHORT), "score_judge", progress=False)
        other = JudgeVerifier("", f"{url}/v1", Rubric(SHORT.text, pattern=r"Mark: (\S+)"))
        with pytest.raises(InputError, match=r"rubric.pattern was"):
            score_pool(tmp_path / "pool", other, "score_judge", progress=False)
        pool = score_pool(tmp_path / "pool", other, "score_judge", retry_refused=True, progress=False)
    assert pool.read(["score_judge"])["score_judge"].to_pylist() == [0.5, 0.5]
    assert pool.scores["score_judge"]["rubric"]["pattern"] == r"Mark: (\S+)"


def test_the_command_line(tmp_path, capsys):
    write_pool(tmp_path / "pool", [[0.5, 0.5], [0.5, 0.5]])
    (tmp_path / "rubric.txt").write_text("---\nhigh: 4\n---\n{question} {answer}")
    with serving(Judge(lambda *_: "Score: 3").app()) as url:
        flags = [
            "--verifier",
            "judge:judge-7b",
            "--verifier_url",
            f"{url}/v1",
            "--verifier_rubric",
            str(tmp_path / "rubric.txt"),
        ]
        main(["score", str(tmp_path / "pool"), "--column", "score_judge", *flags])
    assert "4 samples scored" in capsys.readouterr().out
    pool = Pool(tmp_path / "pool")
    assert pool.read(["score_judge"])["score_judge"].to_pylist() == [0.75] * 4
    for flags, says in (
        (["--verifier", "judge:x"], "a judge needs the verifier_url of a server"),
        (["--verifier", "math_verify", "--verifier_rubric", "x"], "only a judge (judge:MODEL) takes a verifier_rubric"),
        (
            ["--verifier", "judge:x", "--verifier_url", "http://127.0.0.1:9", "--verifier_rubric", "none"],
            "none: cannot read the rub",
        ),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["score", str(tmp_path / "pool"), "--column", "score_other", *flags])
        error = capsys.readouterr().err
        assert stopped.value.code == 2 and says in error and len(error.strip().splitlines()) == 1
