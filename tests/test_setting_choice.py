"""Choosing settings of the paper's table: against brute force, and without a look at the questions that report."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.evaluation.paper_table.setting_choice import SettingOutcomes, choose_by_folds, together


def outcomes(accuracy, tokens, reference=None, weight=None):
    accuracy = np.asarray(accuracy, float)
    number = accuracy.shape[1]
    reference = accuracy[0] if reference is None else np.asarray(reference, float)
    return SettingOutcomes(
        accuracy, np.asarray(tokens, float), reference, np.full(number, 1 / number) if weight is None else weight
    )


def random_outcomes(seed, settings=4, questions=9):
    rng = np.random.default_rng(seed)
    return outcomes(
        rng.integers(0, 2, (settings, questions)),
        rng.integers(1, 9, (settings, questions)),
        rng.integers(0, 2, questions),
    )


@given(seed=st.integers(0, 500))
def test_the_rules_are_what_they_say(seed):
    found = random_outcomes(seed)
    accuracy, tokens = found.accuracy.mean(1).round(9), found.tokens.mean(1).round(9)
    ranked = sorted(range(len(accuracy)), key=lambda one: (-accuracy[one], tokens[one], one))
    assert found.choose("most_accurate") == ranked[0]
    least = found.reference.mean() - found.reference.std() / np.sqrt(len(found.reference))
    enough = [one for one in range(len(accuracy)) if accuracy[one] >= round(least, 9)]
    wanted = min(enough, key=lambda one: (tokens[one], one)) if enough else ranked[0]
    assert found.choose("at_par") == wanted


@given(seed=st.integers(0, 200), rule=st.sampled_from(["at_par", "most_accurate"]))
def test_a_fold_chooses_nothing_for_itself(seed, rule):
    """Whatever happens on a fold's questions, its settings stay the same."""
    found, fold = random_outcomes(seed), np.arange(9) % 3
    chosen = choose_by_folds(found, fold, rule)
    own = fold == 1
    changed = SettingOutcomes(
        np.where(own, 1 - found.accuracy, found.accuracy),
        np.where(own, 100 * found.tokens, found.tokens),
        np.where(own, 1 - found.reference, found.reference),
        found.weight,
    )
    assert choose_by_folds(changed, fold, rule)[own].tolist() == chosen[own].tolist()
    assert len(set(chosen[own].tolist())) == 1


def test_benchmarks_count_alike_whatever_their_size_and_the_length_of_their_answers():
    small = outcomes([[1, 1], [0, 1]], [[10, 10], [5, 5]])
    large = outcomes([[1] * 8, [1] * 8], [[1000] * 8, [900] * 8])
    both = together([small, large], [10, 1000])
    assert both.accuracy @ both.weight == pytest.approx([1, 0.75])
    assert both.tokens @ both.weight == pytest.approx([1, (0.5 + 0.9) / 2])
    assert both.weight.sum() == pytest.approx(1) and both.take(both.weight > 0.1).weight.sum() == pytest.approx(1)
