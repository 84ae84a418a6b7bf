"""A fitted policy's files: read as they were saved, and what is broken in them is named."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from drawn_samples import some_draws
from fitted_policies import made_up, stump
from safetensors.numpy import load_file, save_file

from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.answer_features import ScoreEvidence
from optscale_predictor.policies.fitted.model_files import ARRAYS, SELECTIONS, SETTINGS, load_fitted, save_fitted
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.policies.fitted.stopping_model import AccuracyTargets, HeldOutCurve, PriceModel, Recalibration


def test_what_is_saved_is_what_is_read(tmp_path):
    model = made_up(uses_prior=True, source={"name": "default", "generator": "org/generator"})
    save_fitted(model, tmp_path / "policy")
    found = load_fitted(tmp_path / "policy")
    rows = np.random.default_rng(0).random((20, len(STOPPING_FEATURES)))
    for price in (1e-5, 3e-4):
        count = np.arange(20) + 1
        assert np.array_equal(found.advantage(rows, count, price), model.advantage(rows, count, price))
    draws = some_draws(1)
    assert np.array_equal(found.confidence(draws).right, model.confidence(draws).right)
    assert (found.uses_prior, found.source, found.facts) == (True, model.source, model.facts)
    assert found.targets.cheapest(0.6) == model.targets.cheapest(0.6) == (0, 0.5)


def test_evidence_that_bends_is_read_as_it_was_saved(tmp_path):
    evidence = ScoreEvidence(0.5, -1.0, (-1.0, 2.0), (1.5, -2.0))
    save_fitted(replace(made_up(), confidence=replace(made_up().confidence, evidence=evidence)), tmp_path)
    assert load_fitted(tmp_path).confidence.evidence == evidence


def test_a_fit_of_two_points_and_one_price_is_read(tmp_path):
    small = replace(
        made_up(),
        recalibration=Recalibration(np.array([1, 2]), np.zeros(2), np.ones(2)),
        points=np.array([1, 2]),
        prices=np.array([1e-4]),
        models=(PriceModel(np.zeros(1), stump("leader", 0.5, 0.1, -0.1)),),
        held_out=HeldOutCurve(*np.ones((4, 1))),
        fixed={name: np.array([0.5, 0.6]) for name in SELECTIONS},
        fixed_tokens=np.array([10.0, 20.0]),
        targets=AccuracyTargets(np.array([0.2, 0.5]), np.array([[0.4, 0.4]]), np.array([[1.0, 0.8]])),
        shapes=("agreement",),
    )
    save_fitted(small, tmp_path / "a" / "policy")  # whose folder is not there either
    assert load_fitted(tmp_path / "a" / "policy").depth == 2


def refusal_of(folder, name, change):
    """What is said of a folder in whose file one array was changed."""
    save_fitted(made_up(), folder)
    arrays = load_file(folder / ARRAYS)
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    save_file(arrays, folder / ARRAYS)
    with pytest.raises(InputError) as refusal:
        load_fitted(folder)
    assert str(folder) in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("answer_weights", "answer_weights"),
        ("none_weights", "none_weights"),
        ("recalibration.intercept", "recalibration.intercept"),
        ("recalibration.slope", "recalibration.slope"),
        ("fixed_tokens", "fixed_tokens"),
        ("fixed.majority", "fixed.majority"),
        ("held_out.tokens", "held_out.tokens"),
        ("targets.coverage", "targets.coverage"),
        ("price1.base", "price1.base"),
        ("price1.leaf", "trees"),
        ("price1.threshold", "trees"),
        ("prices", "shapes"),
        ("points", "must hold"),  # nothing else is as long as it says
    ],
)
def test_an_array_that_does_not_fit_the_others_is_named(part, named, tmp_path):
    assert named in refusal_of(tmp_path / "short", part, lambda found: found[:-1])
    if part != "points":
        for change in (lambda found: found.astype(np.float32), lambda found: found * np.nan):
            said = refusal_of(tmp_path / "other", part, change)
            assert named in said or (part == "prices" and "prices" in said)


def with_first(value):
    return lambda found: np.concatenate([[value], found.ravel()[1:]]).reshape(found.shape).astype(found.dtype)


@pytest.mark.parametrize(
    ("part", "change", "named"),
    [
        ("points", with_first(2), "points"),
        ("points", lambda found: found[::-1], "points"),
        ("points", lambda found: found.astype(np.float64), "points"),
        ("points", lambda found: np.concatenate([[1, 1], found[2:]]), "points"),
        ("prices", with_first(0.0), "prices"),
        ("prices", lambda found: found[::-1], "prices"),
        ("held_out.price", with_first(0.0), "held-out figures"),
        ("held_out.price", lambda found: found[::-1], "held-out figures"),
        ("targets.threshold", lambda found: found[::-1], "targets"),
        ("targets.accuracy", lambda found: found[:, ::-1], "targets"),
        ("targets.coverage", lambda found: 0 * found, "targets"),
        ("price0.feature", with_first(len(STOPPING_FEATURES)), "trees"),
        ("price0.feature", with_first(-1), "trees"),
        ("price0.feature", lambda found: found.astype(np.float64), "trees"),
        ("price0.feature", lambda found: found[:, :-1], "trees"),
        ("price0.leaf", lambda found: found[:, :-1], "trees"),
        ("price0.leaf", lambda found: found[0], "trees"),
        ("price0.threshold", lambda found: found * np.nan, "trees"),
    ],
)
def test_what_an_array_may_not_hold_is_refused_by_its_name(part, change, named, tmp_path):
    assert f"{named} of this fitted policy are broken" in refusal_of(tmp_path, part, change)


@pytest.mark.parametrize("curve", ["held_out", "targets"])
def test_a_curve_without_points_is_refused(curve, tmp_path):
    empty = {name: part[..., :0] for name, part in vars(getattr(made_up(), curve)).items()}
    save_fitted(replace(made_up(), **{curve: type(getattr(made_up(), curve))(**empty)}), tmp_path)
    with pytest.raises(InputError, match="targets"):
        load_fitted(tmp_path)


def test_trees_must_have_a_power_of_two_of_leaves(tmp_path):
    save_fitted(made_up(), tmp_path)
    arrays = load_file(tmp_path / ARRAYS)
    for name, width in (("feature", 4), ("threshold", 4), ("leaf", 5)):
        part = arrays[f"price0.{name}"]
        arrays[f"price0.{name}"] = np.zeros((1, width), part.dtype)
    save_file(arrays, tmp_path / ARRAYS)
    with pytest.raises(InputError, match="trees of this fitted policy are broken"):
        load_fitted(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("version", 0, "its version or its features differ"),
        ("features", {}, "its version or its features differ"),
        ("shapes", ["all"], "shapes of this fitted policy are broken"),
        *(
            (
                "evidence",
                dict(zip(("slope", "intercept", "knots", "bends"), one, strict=True)),
                "evidence of this fitted",
            )
            for one in (
                (-1.0, 0.0, [], []),
                (1.0, float("nan"), [], []),
                (float("inf"), 0.0, [], []),
                (1.0, 0.0, [0.0, 1.0], [0.5]),
                (1.0, 0.0, [1.0, 1.0], [0.5, 0.5]),
                (1.0, 0.0, [0.0, 1.0], [0.5, -1.6]),
                (1.0, 0.0, [float("nan")], [0.5]),
            )
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting, value, says, tmp_path):
    save_fitted(made_up(), tmp_path)
    content = json.loads((tmp_path / SETTINGS).read_text())
    (tmp_path / SETTINGS).write_text(json.dumps({**content, setting: value}))
    with pytest.raises(InputError, match=says):
        load_fitted(tmp_path)


def test_a_version_does_not_depend_on_how_settings_are_ordered(tmp_path):
    save_fitted(made_up(), tmp_path / "one")
    save_fitted(made_up(), tmp_path / "other")
    content = json.loads((tmp_path / "other" / SETTINGS).read_text())
    (tmp_path / "other" / SETTINGS).write_text(json.dumps(dict(reversed(content.items()))))
    assert load_fitted(tmp_path / "one").version == load_fitted(tmp_path / "other").version


def test_a_fit_that_replaces_another_of_the_same_moment_is_read(tmp_path):
    """File systems keep times in steps of milliseconds."""
    for slope in (1.0, 2.0):
        save_fitted(made_up(slope=slope), tmp_path)
        os.utime(tmp_path / SETTINGS, (1e9, 1e9))
        assert load_fitted(tmp_path).confidence.evidence.slope == slope


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=str(tmp_path / "taken")):
        save_fitted(made_up(), tmp_path / "taken")


def test_a_folder_without_a_fitted_policy_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match=rf"{SETTINGS}: No such file.*optscale fit-policy"):
        load_fitted(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 99}', "{" * 100_000])
def test_settings_that_are_none_are_refused(content, tmp_path):
    save_fitted(made_up(), tmp_path)
    (tmp_path / SETTINGS).write_text(content)
    with pytest.raises(InputError, match=str(tmp_path)):
        load_fitted(tmp_path)


def test_arrays_that_are_none_are_refused(tmp_path):
    save_fitted(made_up(), tmp_path)
    (tmp_path / ARRAYS).write_bytes(b"no arrays")
    with pytest.raises(InputError, match=ARRAYS):
        load_fitted(tmp_path)
