"""Several verifiers' scores as one: coefficients against a known truth, live as recorded, and refused elsewhere."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit
from small_pools import refused
from synthetic_pool import SETTINGS, questions_of, rows_of

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered, Scores, Verifier, score_samples
from optscale_predictor.backends.verifiers.combined import (
    COMBINED_FILE,
    CombinedVerifier,
    ScoreCombination,
    part_settings,
)
from optscale_predictor.backends.verifiers.score_maps import LogisticMap, RewardVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.pools import Pool, PoolWriter, ScoredPool, open_pool
from optscale_predictor.predictor.provenance import source_of_engines, source_of_pool
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.fitting import fit_policy as fitting
from optscale_predictor.replays.fitting.combine_scores import combine_scores
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.stats.reliability import reliability

FIRST, SECOND = ({"adapter": "function", "function": f"test_combined_scores:{name}"} for name in ("first", "second"))
COLUMNS = ("score", "score_second")
MADE = ScoreCombination(COLUMNS, (FIRST, SECOND), (0.8, 1.5), -0.4)


def first(question, text):
    """A score that the text spells out."""
    return float(text.split()[0])


def second(question, text):
    """Another one."""
    return float(text.split()[1])


def two_scores(questions=300, samples=8, seed=0, slopes=(0.8, 1.5), intercept=-0.4):
    """Scores, and answers that are right with the probability that a combination of these coefficients gives."""
    rng = np.random.default_rng(seed)
    scores = expit(rng.normal(0, 1.2, (questions, samples, 2)))
    chance = expit(intercept + logit(scores) @ np.array(slopes))
    return scores, (rng.random((questions, samples)) < chance).astype(float)


def scored_pool(folder, questions=24, samples=6, seed=0, refused_by_second=()):
    scores, correct = two_scores(questions, samples, seed)
    texts = [[f"{one:.6f} {other:.6f}" for one, other in own] for own in scores]
    scores = np.array([[[float(part) for part in text.split()] for text in own] for own in texts])
    rng = np.random.default_rng(seed)
    names = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 40)) for _ in range(questions)]
    rows = rows_of(
        scores[..., 0].tolist(),
        text=texts,
        correct=correct.astype(bool).tolist(),
        answer=np.where(correct, "1", rng.integers(2, 9, correct.shape).astype(str)).tolist(),
        score_second=scores[..., 1].tolist(),
        verifier_tokens_second=np.full(correct.shape, 3).tolist(),
        refusal_second=[[None] * samples] * questions,
    )
    for row in rows:
        if (row["question_id"], row["sample_index"]) in refused_by_second:
            row |= {"score_second": None, "refusal_second": "it looked away"}
    made = dict(zip(COLUMNS, (FIRST, SECOND), strict=True))
    with PoolWriter(folder, questions_of(names), SETTINGS, 64, scores=made) as writer:
        writer.append_rows(rows)
    return Pool(folder)


def answered(*texts):
    return [Answered(Question(f"{number}", "What?", "1"), text) for number, text in enumerate(texts)]


def test_the_coefficients_are_those_behind_the_labels():
    scores, correct = two_scores(3000)
    found = combine_scores(scores, correct, np.arange(3000))
    assert found.slopes == pytest.approx((0.8, 1.5), abs=0.06) and found.intercept == pytest.approx(-0.4, abs=0.06)
    truth = expit(-0.4 + logit(scores) @ np.array([0.8, 1.5]))
    assert np.abs(found.held_out - truth).max() < 0.03


def test_a_score_that_says_nothing_gets_no_weight_and_two_say_more_than_one():
    scores, correct = two_scores(2000, slopes=(1.0, 0.0))
    assert combine_scores(scores, correct, np.arange(2000)).slopes[1] < 0.05
    scores, correct = two_scores(2000, slopes=(1.0, 1.0))
    held_out = combine_scores(scores, correct, np.arange(2000)).held_out
    alone = [reliability(scores[..., part], correct).auc for part in range(2)]
    assert reliability(held_out, correct).auc > max(alone) + 0.05
    assert reliability(held_out, correct).calibration_error < 0.02


def test_no_question_is_scored_by_what_its_own_labels_taught():
    """Whatever a group's labels are, its held-out scores stay; those of others follow them."""
    scores, correct = two_scores(40)
    group = np.arange(40) // 2
    before = combine_scores(scores, correct, group).held_out
    changed = correct.copy()
    changed[6:8] = 1 - changed[6:8]  # one group
    after = combine_scores(scores, changed, group).held_out
    same = (before == after).all(-1)
    assert same[6:8].all() and not same.all()


def test_unlabelled_samples_teach_nothing_and_are_scored():
    scores, correct = two_scores(60)
    holes = correct.copy()
    holes[:20] = np.nan
    found = combine_scores(scores, holes, np.arange(60))
    assert not np.isnan(found.held_out).any()
    kept = combine_scores(scores[20:], correct[20:], np.arange(40))
    assert found.slopes == pytest.approx(kept.slopes, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda labels: labels[:9], "10 labelled questions at least .*, got 9"),
        (lambda labels: np.zeros_like(labels), "all samples are wrong"),
        (lambda labels: np.ones_like(labels), "all samples are right"),
        (lambda labels: np.full_like(labels, np.nan), "got 0"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(change, says):
    scores, correct = two_scores(20)
    labels = change(correct)
    with pytest.raises(InputError, match=says):
        combine_scores(scores[: len(labels)], labels, np.arange(len(labels)))


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
        with pytest.raises(InputError, match="cannot read it"):
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
    assert part_settings(FIRST) == {"model": "python:test_combined_scores:first"}
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
    monkeypatch.setattr(VerifierOptions, "_kind", lambda self: "combined" if ":" in self.model else "reward_model")
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


def test_a_pool_is_seen_with_another_of_its_scores(tmp_path):
    pool = scored_pool(tmp_path / "pool")
    seen = open_pool(pool.folder, "score_second")
    recorded = RecordedSamples.from_pool(seen)
    texts = pool.read(["text"])["text"].to_pylist()
    assert recorded.scores.ravel().tolist() == [float(text.split()[1]) for text in texts]
    assert seen.scores == {"score": SECOND} and source_of_pool(seen.manifest).verifier.endswith(":second")
    assert seen.read().schema.names == Pool(pool.folder).schema.names[: len(seen.read().schema.names)]
    assert type(open_pool(pool.folder)) is Pool
    with pytest.raises(InputError, match=r"has no scores 'score_x'; it has: score, score_second"):
        open_pool(pool.folder, "score_x")


def test_a_pool_is_seen_as_a_combination_sees_it(tmp_path):
    """Recorded it is what the verifier says live, and has the live one's source."""
    pool = scored_pool(tmp_path / "pool", refused_by_second={("q3", 2)})
    MADE.save(tmp_path / "policy")
    seen = open_pool(pool.folder, f"combined:{tmp_path / 'policy'}")
    rows = seen.read(["text", "score", "refusal", "verifier_tokens"]).to_pylist()
    verifier = VerifierOptions(f"combined:{tmp_path / 'policy'}").build()
    live = verifier.score(answered(*[row["text"] for row in rows])).values
    for row, value in zip(rows, live, strict=True):
        if (row["question_id"], row["sample_index"]) == ("q3", 2):
            assert row["score"] is None and row["refusal"] == "it looked away"
        else:
            assert row["score"] == value and row["refusal"] is None and row["verifier_tokens"] == 10
    assert RecordedSamples.from_pool(seen).depth == 5
    generator = SimpleNamespace(describe=lambda: SETTINGS["generator"])
    recorded, alive = source_of_pool(seen.manifest), source_of_engines(generator, verifier, None)
    assert recorded.verifier == alive.verifier == f"combined:{MADE.version}"
    assert next(iter(seen.tables(["text"]))).column_names == ["text"]


def test_a_pool_of_other_verifiers_is_not_combined(tmp_path):
    pool = scored_pool(tmp_path / "pool")
    other = ScoreCombination(COLUMNS, (FIRST, {**SECOND, "function": "other"}), (1.0, 1.0), 0.0)
    with pytest.raises(InputError, match="score_second: another verifier than the combination was fitted to"):
        ScoredPool(pool.folder, other)


def test_the_command_fits_a_combination_that_replays_live_runs_and_scoring_share(tmp_path, capsys, monkeypatch):
    pool, policy = scored_pool(tmp_path / "pool", questions=20, samples=4), tmp_path / "policy"
    combined = f"combined:{policy}"
    main(["fit-policy", str(pool.folder), "--scores", "score,score_second", "--output", str(policy)])
    printed = capsys.readouterr().out
    assert f"fitted:path={policy}, with the verifier {combined}" in printed
    assert all(f"  {name}: 0." in printed for name in (*COLUMNS, "together"))
    combination = ScoreCombination.load(policy)
    assert load_fitted(policy).source["verifier"] == f"combined:{combination.version}"
    asked = ["replay", str(pool.folder), "--policies", f"fitted:path={policy},price=1", "--num_orders", "1"]
    main([*asked, "--scores", combined])
    recorded = capsys.readouterr().out
    assert "verifier" in refused(capsys, *asked)  # another verifier's scores
    main(["score", str(pool.folder), "--verifier", combined, "--column", "score_both"])
    capsys.readouterr()
    main([*asked, "--scores", "score_both"])
    assert capsys.readouterr().out == recorded
    for verb in ("tune", "report"):
        further = ["--output", str(tmp_path / verb)] + (["--policies", asked[3]] if verb == "report" else [])
        main([verb, str(pool.folder), "--num_orders", "1", "--scores", combined, *further])
    assert f"--scores combined:{policy.name}" in (tmp_path / "report" / "report.html").read_text()
    # Fitted to one column again, the folder holds no combination that its policy does not go with.
    monkeypatch.setattr(fitting, "fit_policy", lambda *_, **__: load_fitted(policy))
    main(["fit-policy", str(pool.folder), "--scores", combined, "--output", str(policy)])
    assert ScoreCombination.load(policy) == combination
    main(["fit-policy", str(pool.folder), "--scores", "score_both", "--output", str(policy)])
    assert not (policy / COMBINED_FILE).exists()


def test_the_command_refuses_scores_that_are_not_there(tmp_path, capsys):
    pool = scored_pool(tmp_path / "pool")
    given = ("fit-policy", str(pool.folder), "--output", str(tmp_path / "policy"), "--scores")
    assert "has no scores 'score_x'" in refused(capsys, *given, "score,score_x")
    assert "has no scores 'score_x'" in refused(capsys, *given, "score_x")
    assert "no scores named" in refused(capsys, *given, ",")
    assert not (tmp_path / "policy").exists()
