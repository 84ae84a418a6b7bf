"""Pools seen with another of their scores, or with several as one, by readers and from the command line."""

from types import SimpleNamespace

import pytest
from small_pools import refused
from synthetic_pool import SETTINGS
from two_scores import COLUMNS, FIRST, MADE, SECOND, answered, scored_pool

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers.combined import COMBINED_FILE, ScoreCombination
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.pools import Pool, ScoredPool, open_pool
from optscale_predictor.predictor.provenance import source_of_engines, source_of_pool
from optscale_predictor.replays.fitting import fit_policy as fitting
from optscale_predictor.replays.recorded_samples import RecordedSamples


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
    monkeypatch.setattr(fitting, "_MOST_ORDERS", 4)  # forty of each question teach no more here, and take longer
    pool, policy = scored_pool(tmp_path / "pool", questions=20, samples=4), tmp_path / "policy"
    combined = f"combined:{policy}"
    main(["fit-policy", str(pool.folder), "--scores", "score,score_second", "--output", str(policy)])
    printed = capsys.readouterr().out
    assert f"fitted:path={policy}, with the verifier {combined}" in printed
    assert all(f"  {name}: AUC within a question " in printed for name in (*COLUMNS, "together"))
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
