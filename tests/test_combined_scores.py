"""The verifier that combines others: live as recorded, made again of its folder, and refused elsewhere."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from two_scores import COLUMNS, FIRST, MADE, SECOND, answered

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Scores, Verifier, score_samples
from optscale_predictor.backends.verifiers.combined import (
    COMBINED_FILE,
    CombinedVerifier,
    ScoreCombination,
    part_settings,
)
from optscale_predictor.backends.verifiers.score_maps import LogisticMap, RewardVerifier
from optscale_predictor.errors import InputError


def test_a_combination_is_a_logistic_regression_and_keeps_what_is_not_known():
    scores = np.array([[0.2, 0.9], [0.0, 1.0], [np.nan, 0.5]])
    found = MADE(scores)
    assert found[0] == pytest.approx(expit(-0.4 + 0.8 * logit(0.2) + 1.5 * logit(0.9)))
    assert 0 < found[1] < 1 and np.isnan(found[2])


def test_it_is_what_it_was_when_it_is_read_again_and_has_the_name_of_its_content(tmp_path):
    MADE.save(tmp_path)
    read = ScoreCombination.load(tmp_path)
    assert read == MADE and read.version == MADE.version and read.describe() == MADE.describe()
    other = ScoreCombination(COLUMNS, (FIRST, SECOND), (0.8, 1.6), -0.4)
    assert other.version != MADE.version


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "not a combination of verifiers of format 1"),
        ({"slopes": [0.8]}, "2 scores need as many verifiers and slopes"),
        ({"slopes": [0.8, -1.0]}, "slopes must be >= 0"),
        ({"slopes": [0.8, "high"]}, "not a combination of verifiers .ValueError"),
        ({"intercept": float("nan")}, "all numbers finite"),
        ({"columns": ["score"], "parts": [FIRST], "slopes": [1.0]}, "of 2 to 16 scores, each once"),
        ({"columns": ["score", "score"]}, "of 2 to 16 scores, each once"),
        ({"columns": ["score", 3]}, "columns are texts"),
        ({"parts": [FIRST, {"adapter": "combined"}]}, "score_second: is a combination itself"),
        ({"parts": None}, "not a combination of verifiers .TypeError"),
    ],
)
def test_a_damaged_combination_is_refused(tmp_path, change, says):
    MADE.save(tmp_path)
    content = json.loads((tmp_path / COMBINED_FILE).read_text())
    (tmp_path / COMBINED_FILE).write_text(json.dumps({**content, **change}))
    with pytest.raises(InputError, match=says):
        ScoreCombination.load(tmp_path)


def test_a_folder_without_one_says_how_it_is_made(tmp_path):
    with pytest.raises(InputError, match="run: optscale fit-policy POOL --scores A,B"):
        VerifierOptions(f"combined:{tmp_path}").build()
    for broken in ("{", '{"parts":' * 100_000):  # cut off; nested deeper than can be read
        (tmp_path / COMBINED_FILE).write_text(broken)
        with pytest.raises(InputError, match=r"not valid JSON|nested too deeply"):
            ScoreCombination.load(tmp_path)


def test_the_verifier_asks_its_parts(tmp_path):
    MADE.save(tmp_path)
    verifier = VerifierOptions(f"combined:{tmp_path}").build()
    found = verifier.score(answered("0.2 0.9", "0.7 0.1"))
    assert found.values == pytest.approx(MADE(np.array([[0.2, 0.9], [0.7, 0.1]]))) and not found.refusals
    assert verifier.describe() == MADE.describe()


def test_what_one_part_refuses_is_refused_with_its_reason(tmp_path):
    MADE.save(tmp_path)
    verifier = VerifierOptions(f"combined:{tmp_path}").build()
    found = verifier.score(answered("0.2 0.9", "0.7 7"))
    assert np.isnan(found.values[1]) and found.refusals == {1: "score_second: its score is 7.0, not in [0, 1]"}
    assert not np.isnan(found.values[0])


def test_a_blank_sample_scores_what_its_recorded_parts_make(tmp_path):
    """Parts score it 0 in a pool, so live it has to score what they make of 0 and 0."""
    MADE.save(tmp_path)
    verifier = VerifierOptions(f"combined:{tmp_path}").build()
    (value,) = score_samples(verifier, answered("  ")).values
    assert value == pytest.approx(MADE(np.zeros(2))) and 0 < value < 0.01

    class Asked(Constant):
        def blank_score(self, item):
            return None

    assert CombinedVerifier(MADE, [Asked(FIRST), Constant(SECOND)]).blank_score(answered(" ")[0]) is None


class Constant(Verifier):
    """Says of itself what it is told to."""

    def __init__(self, described):
        self._described = described

    def score(self, items):
        return Scores.of(np.full(len(items), 0.5), 2)

    def describe(self):
        return self._described


def test_another_verifier_than_it_was_fitted_to_is_refused():
    served = {**FIRST, "adapter": "served", "served_model": "copy"}  # who runs it does not matter
    found = CombinedVerifier(MADE, [Constant(served), Constant(SECOND)])
    assert found.score(answered("x")).tokens.tolist() == [4]
    with pytest.raises(InputError, match=r"score_second: another verifier .* its function is 'other', where it was"):
        CombinedVerifier(MADE, [Constant(FIRST), Constant({**SECOND, "function": "other"})])


def test_parts_are_made_again_of_what_a_manifest_says_of_them():
    prm = {"adapter": "served_process_reward_model", "model": "org/prm", "layout": "qwen", "aggregate": "min"}
    assert part_settings({**prm, "separator": "\n\n", "served_model": "x"}) == {
        "model": "org/prm",
        "layout": "qwen",
        "aggregate": "min",
        "separator": "\n\n",
    }
    assert part_settings({"adapter": "judge", "model": "org/chat", "rubric": {}}) == {"model": "judge:org/chat"}
    assert part_settings({"adapter": "math_verify"}) == {"model": "math_verify"}
    assert part_settings(FIRST) == {"model": "python:two_scores:first"}
    with pytest.raises(InputError, match="names no verifier"):
        part_settings({"adapter": "import", "verifier": None})


def test_a_part_of_unbounded_rewards_keeps_its_map_and_a_judge_its_rubric(tmp_path, monkeypatch):
    """Both are built of the description alone; the judge at the address that is given for its column."""
    learnt = {"location": 1.5, "scale": 2.0, "fitted": "labels", "samples": 90}
    reward = {"adapter": "reward_model", "model": "org/reward", "score_map": learnt}
    rubric = {"text": "{question} {answer}", "pattern": "(x)", "low": 0.0, "high": 1.0, "votes": 1}
    rubric |= {"temperature": 0.0, "max_tokens": 5, "seed": 0}
    judge = {"adapter": "judge", "model": "org/chat", "rubric": rubric}
    ScoreCombination(COLUMNS, (reward, judge), (1.0, 1.0), 0.0).save(tmp_path)
    asked = []

    class Reward(RewardVerifier):
        def rewards(self, items):
            return np.full(len(items), 1.5), np.zeros(len(items), int), {}

        def describe_model(self):
            return {"adapter": "reward_model", "model": "org/reward"}

    class Judge(Constant):
        def __init__(self, model, url, read, concurrency):
            super().__init__(
                {"adapter": "judge", "model": model, "rubric": {name: getattr(read, name) for name in rubric}}
            )
            asked.append((url, concurrency))

    monkeypatch.setattr(VerifierOptions, "_reward_model", lambda self: Reward())
    kinds = "optscale_predictor.backends.verifiers.verifier_kinds.kind_of"
    monkeypatch.setattr(kinds, lambda model, layout: "combined" if ":" in model else "reward_model")
    monkeypatch.setattr("optscale_predictor.backends.verifiers.judge.JudgeVerifier", Judge)
    verifier = VerifierOptions(f"combined:{tmp_path}", url="score_second=http://a score_second=http://b").build()
    assert asked == [("http://a http://b", 32)]
    assert verifier.score(answered("x")).values == pytest.approx([0.5])  # the map's middle, and the judge's half
    assert verifier._parts[0].score_map == LogisticMap(**learnt)


@pytest.mark.parametrize("url", ["http://a", "score_third=http://a", "score="])
def test_addresses_name_their_parts(url):
    with pytest.raises(InputError, match=r"names its parts .score=URL score_second=URL., got "):
        MADE.part_urls(url)
    assert MADE.part_urls("score_second=http://a?x=1") == [None, "http://a?x=1"] and MADE.part_urls(None) == [
        None,
        None,
    ]
