"""Selection by a fitted policy's confidence: which answer, how sure, and of which version of the policy."""

import numpy as np
import pytest
from drawn_samples import drawn, some_draws
from fitted_policies import folder_of, made_up

from optscale_predictor.errors import InputError
from optscale_predictor.policies import Draws
from optscale_predictor.policies.fitted.model_files import load_fitted, save_fitted
from optscale_predictor.policies.selection import choose, needs_scores, require_selection, select


def test_confidence_selects_the_most_probable_answer_and_returns_something_where_all_were_cut_off():
    folder = folder_of()
    draws = drawn([0.9, 0.5, 0.6], [0.2, 0.1, 0.3], answers=[[0, 1, 1], [0, 0, 1]], prior=None)
    found = load_fitted(folder).confident(draws)
    assert select(f"confidence:{folder}", draws).tolist() == found.chosen.tolist()
    cut = Draws(draws.scores, draws.answers, draws.tokens, draws.count, None, usable=np.zeros((2, 3), np.bool_))
    assert select(f"confidence:{folder}", cut).tolist() == [0, 2]  # the best score, as under every rule
    assert load_fitted(folder).confident(cut).of_leader.tolist() == [0, 0]


def test_a_selection_needs_scores_where_its_confidence_looks_at_them():
    assert needs_scores("best_score") and needs_scores("weighted_majority") and not needs_scores("majority")
    assert needs_scores(f"confidence:{folder_of(made_up(slope=1.0))}")
    assert not needs_scores(f"confidence:{folder_of(made_up(slope=0.0))}")


def test_only_a_fitted_selection_says_how_sure_it_is():
    draws, folder = some_draws(4), folder_of()
    assert np.isnan(choose("majority", draws).confidence).all()
    found = choose(f"confidence:{folder}", draws)
    assert found.confidence == pytest.approx(load_fitted(folder).confident(draws).of_leader)
    assert found.sample.tolist() == select(f"confidence:{folder}", draws).tolist()


def test_a_selection_keeps_the_version_that_it_names_when_another_policy_is_fitted_into_the_folder():
    folder, draws = folder_of(), some_draws(4)
    pinned = require_selection(f"confidence:{folder}")
    before = choose(pinned, draws).confidence
    save_fitted(made_up(slope=0.0), folder)
    assert choose(pinned, draws).confidence.tolist() == before.tolist()
    assert require_selection(pinned) == pinned != require_selection(f"confidence:{folder}")
    assert choose(f"confidence:{folder}", draws).confidence.tolist() != before.tolist()


def test_a_version_that_was_never_there_is_refused_and_a_copy_has_its_own_versions_name(tmp_path):
    folder = folder_of()
    version = load_fitted(folder).version
    with pytest.raises(InputError, match=f"holds version {version} of a fitted policy, and v0 is asked for"):
        require_selection(f"confidence:{folder},version=v0")
    save_fitted(made_up(), tmp_path / "copy")
    assert load_fitted(tmp_path / "copy").version == version != load_fitted(folder_of(made_up(slope=0.5))).version
