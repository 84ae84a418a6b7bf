"""What is said of a score's worth: within questions, which choosing takes, beside over all, which flatters."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from synthetic_pool import write_pool

from optscale_predictor.cli.main import main
from optscale_predictor.stats.ranking import describe_ranking

LEVELS = np.array([0.1, 0.5, 0.9])


def test_a_score_that_tells_questions_apart_and_nothing_within_them_is_a_coin():
    """The share of right samples follows the level, and so does the score: over all it looks good."""
    correct = np.array([[1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 0]], float)
    scores = np.repeat(LEVELS[:, None], 6, 1)
    right, wrong = scores[correct == 1], scores[correct == 0]
    over_all = mannwhitneyu(right, wrong).statistic / (right.size * wrong.size)
    assert over_all > 0.7
    assert describe_ranking(scores, correct) == (
        f"AUC within a question 0.500 ± 0.000 (3 questions with right and wrong samples), over all {over_all:.3f}"
    )


def test_what_is_not_known_is_left_out():
    scores, correct = np.array([[0.1, 0.9, np.nan], [0.2, 0.3, 0.4]]), np.array([[0.0, 1.0, 1.0], [np.nan] * 3])
    assert describe_ranking(scores, correct) == (
        "AUC within a question 1.000 (1 question with right and wrong samples), over all 1.000"
    )
    assert "not known" in describe_ranking(scores, np.ones((2, 3)))


@pytest.fixture
def pool(tmp_path):
    """Six questions; ``score`` is the question's own, ``score_own`` says which samples are right."""
    scores = np.repeat(np.linspace(0.1, 0.9, 6)[:, None], 4, 1).round(2).tolist()
    correct = [[True, False, True, False]] * 6
    own = [[0.8, 0.3, 0.7, 0.2]] * 6
    written = write_pool(tmp_path / "pool", scores, correct=correct, columns=("score", "score_own"), score_own=own)
    return str(written.folder)


def test_calibrate_says_it_of_the_column_that_it_is_given(pool, tmp_path, capsys):
    main(["calibrate", pool, str(tmp_path / "a.json")])
    assert "the scores themselves: AUC within a question 0.500" in capsys.readouterr().out
    main(["calibrate", pool, str(tmp_path / "b.json"), "--scores", "score_own"])
    assert "the scores themselves: AUC within a question 1.000" in capsys.readouterr().out
    assert (tmp_path / "a.json").read_text() != (tmp_path / "b.json").read_text()
