"""Maps from scores to probabilities: monotone, inverted, written and read, and what is no map is named."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_scores import labelled

from optscale_predictor.errors import InputError
from optscale_predictor.policies import parse_policy
from optscale_predictor.stats.calibration import Calibration, fit_isotonic, fit_platt
from optscale_predictor.stats.reliability import reliability


@given(seed=st.integers(0, 300), size=st.integers(1, 60), probability=st.floats(0, 1))
def test_maps_are_monotone_and_invert(seed, size, probability):
    scores, correct = labelled(seed, size)
    for fit in (fit_isotonic, fit_platt):
        calibration = fit(scores, correct)
        values = calibration(np.linspace(0, 1, 101))
        assert np.all(np.diff(values) >= 0) and values.min() >= 0 and values.max() <= 1
        score = calibration.score_for(probability)
        if np.isfinite(score):
            assert calibration(score) >= probability
            assert score <= 1e-6 or calibration(score - 1e-6) <= probability + 1e-9
        else:
            assert calibration(1.0) < probability


def test_what_is_saved_is_loaded(tmp_path):
    calibration = fit_isotonic(*labelled())
    calibration.save(tmp_path / "map.json")
    loaded = Calibration.load(tmp_path / "map.json")
    grid = np.linspace(0, 1, 57)
    assert np.array_equal(loaded(grid), calibration(grid)) and loaded.kind == "isotonic"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fit_isotonic([0.5], [np.nan]), "no sample has both"),
        (lambda: fit_platt([1.5], [1]), "scores must lie in"),
        (lambda: fit_platt([0.5], [0.5]), "correct must be 0 or 1"),
        (lambda: fit_isotonic([0.5, 0.6], [1]), "one shape"),
        (lambda: Calibration("isotonic", np.array([0.2, 0.1]), np.array([0.1, 0.2])), "scores must increase"),
        (lambda: reliability([0.5], [1], bins=0), "bins must be >= 1"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(InputError, match=says):
        call()


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "platt"}', '{"kind": "x", "scores": [2], "probabilities": [1]}'])
def test_broken_files_are_named(tmp_path, text):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"map\.json"):
        Calibration.load(path)


def test_the_command_writes_a_map_that_a_policy_reads(tmp_path, capsys):
    """Over a real pool: the embedded generator's samples, scored by the embedded verifier."""
    from optscale_predictor.backends.generators import SamplingParams
    from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
    from optscale_predictor.backends.options import VerifierOptions
    from optscale_predictor.cli.main import main
    from optscale_predictor.pools.preparation import generate_pool, score_pool
    from optscale_predictor.questions.arithmetic import make_questions

    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=96))
    generate_pool(tmp_path / "pool", make_questions(6, 0, "test"), generator, 4)
    score_pool(tmp_path / "pool", VerifierOptions("embedded:verifier").build())
    path = tmp_path / "map.json"
    main(["calibrate", str(tmp_path / "pool"), str(path)])
    assert "on 3 held-out questions: calibration error" in capsys.readouterr().out
    assert parse_policy(f"cost_aware:price=0.1,calibration={path}").calibration == str(path)
    with pytest.raises(SystemExit):
        main(["calibrate", str(tmp_path / "pool"), str(path), "--kind", "magic"])
    assert "kind must be one of isotonic, platt" in capsys.readouterr().err


ENDS = np.array([0.1, 0.9])


@pytest.mark.parametrize(
    ("kind", "scores", "probabilities", "says"),
    [
        ("magic", ENDS, ENDS, "kind must be 'isotonic' or 'platt', got 'magic'"),
        ("platt", ENDS, ENDS[:1], "as many probabilities as scores, one at least"),
        ("platt", ENDS[None], ENDS[None], "as many probabilities as scores"),
        ("platt", np.float64(0.5), np.float64(0.5), "as many probabilities as scores"),
        ("platt", ENDS[:0], ENDS[:0], "as many probabilities as scores"),
        ("platt", np.array([-0.01, 0.9]), ENDS, r"calibration scores must lie in \[0, 1\]"),
        ("platt", np.array([0.1, 1.01]), ENDS, r"calibration scores must lie in \[0, 1\]"),
        ("platt", ENDS, np.array([-0.01, 0.9]), r"calibration probabilities must lie in \[0, 1\]"),
        ("platt", ENDS, np.array([0.1, 1.01]), r"calibration probabilities must lie in \[0, 1\]"),
        ("platt", ENDS, np.array([0.1, np.nan]), r"calibration probabilities must lie in \[0, 1\]"),
        ("platt", np.array([0.5, 0.5]), ENDS, "scores must increase, and probabilities never fall"),
        ("platt", ENDS, ENDS[::-1], "scores must increase, and probabilities never fall"),
    ],
)
def test_what_is_no_map_is_refused(kind, scores, probabilities, says):
    Calibration("platt", np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    Calibration("isotonic", ENDS, np.array([0.5, 0.5]))
    with pytest.raises(InputError, match=says):
        Calibration(kind, scores, probabilities)


def test_a_target_of_accuracy_is_the_least_score_that_has_it():
    """Between (0.2, 0.25) and (0.6, 0.75) the map rises by 1.25 a unit of score."""
    calibration = Calibration("isotonic", np.array([0.2, 0.6, 0.8]), np.array([0.25, 0.75, 0.75]))
    wanted = {0.0: 0.0, 0.25: 0.0, 0.5: 0.4, 0.35: 0.28, 0.75: 0.6, 0.7500001: np.inf, 1.0: np.inf}
    assert {p: calibration.score_for(p) for p in wanted} == pytest.approx(wanted, rel=1e-12)
    for probability in np.random.default_rng(0).uniform(0.25, 0.75, 300).tolist():
        score = calibration.score_for(probability)
        assert calibration(score) >= probability > calibration(score - 1e-12)
    for outside in (-0.001, 1.001, np.nan):
        with pytest.raises(InputError, match=rf"probability must lie in \[0, 1\], got {outside}"):
            calibration.score_for(outside)
    assert calibration([[0.0, 1.0]]).tolist() == [[0.25, 0.75]]


def test_a_map_is_written_whole_as_json_with_its_folders(tmp_path):
    calibration, path = fit_isotonic([0.2, 0.8], [0, 1]), tmp_path / "new" / "folder" / "map.json"
    calibration.save(path)
    calibration.save(str(path))  # again, over itself
    assert list(path.parent.iterdir()) == [path] and path.read_text().endswith("}\n")
    assert json.loads(path.read_text()) == {"kind": "isotonic", "scores": [0.2, 0.8], "probabilities": [0.0, 1.0]}
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").touch()
    with pytest.raises(InputError, match=r"taken: cannot write: Is a directory"):
        calibration.save(tmp_path / "taken")
    with pytest.raises(InputError, match=r"new\.json: cannot write: "):
        calibration.save(path / "new.json")  # below a file
    assert sorted(one.name for one in tmp_path.iterdir()) == ["new", "taken"]
    with pytest.raises(InputError, match=r"missing\.json: cannot read it: No such file"):
        Calibration.load(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "map.json: not valid JSON: "),
        ("[]", "map.json: expected a JSON object, got list"),
        ('{"kind": "platt"}', r"not a calibration file \(KeyError: 'scores'\)"),
        ('{"kind": "platt", "scores": [0.5], "probabilities": ["x"]}', r"not a calibration file \(ValueError: "),
        ('{"kind": "x", "scores": [0.5], "probabilities": [1]}', "map.json: calibration kind must be .* got 'x'$"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, text, says):
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        Calibration.load(path)
    path.write_text('{"kind": "platt", "scores": [0, 1], "probabilities": [0, 1]}')
    assert Calibration.load(str(path))(0.25) == 0.25  # whole numbers too
