"""The demo's own decisions: what it compares, and when it fits anew."""

import os
import sys
from pathlib import Path

import pytest
from fitted_policies import folder_of, made_up
from recorded_runs import sums_pool

from optscale_predictor.cli.run_demo import FIXED, Sizes, _fit, curves, fitted_curve, run_demo
from optscale_predictor.errors import InputError
from optscale_predictor.policies.fitted.model_files import load_fitted
from optscale_predictor.replays.fitting import fit_policy as fitting


def test_a_fitted_policy_matches_every_best_of_n():
    labels = [curve.label for curve in curves()]
    assert len(set(labels)) == len(labels) and "fitted" not in labels  # questions that it learnt from choose nothing
    matched = [policy.match for policy in fitted_curve(Path(folder_of())).policies]
    assert matched == [f"best_of_n:max_samples={number}" for number in FIXED]


def test_a_policy_is_fitted_again_only_where_the_pool_has_changed(tmp_path, monkeypatch):
    pool, made = sums_pool(tmp_path / "pool"), []
    monkeypatch.setattr(fitting, "fit_policy", lambda *_, source, **__: made.append(source) or made_up(source=source))
    folder = _fit(tmp_path, pool, print)
    assert load_fitted(folder).source["generator"] == "org/generator" and len(made) == 1
    _fit(tmp_path, pool, print)
    assert len(made) == 1
    later = (folder / "fitted_policy.json").stat().st_mtime + 5
    os.utime(pool.shards()[0], (later, later))
    _fit(tmp_path, pool, print)
    assert len(made) == 2


def test_a_missing_lightgbm_is_said_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(InputError, match="needs LightGBM"):
        run_demo(tmp_path / "demo", Sizes(), print)
    assert not (tmp_path / "demo").exists()
