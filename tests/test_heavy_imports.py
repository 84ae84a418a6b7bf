"""Imports without a search for garbage: none inside, everything as it was after."""

import gc

import pytest

from optscale_predictor._support.heavy_imports import uncollected_imports


@pytest.fixture(autouse=True)
def _collecting():
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_looked_for_inside_and_what_is_there_stays_out_of_later_searches():
    kept = [[] for _ in range(1000)]
    with uncollected_imports():
        assert not gc.isenabled()
        kept += [[] for _ in range(1000)]
    assert gc.isenabled() and gc.get_freeze_count() >= len(kept)


def test_a_failure_inside_turns_it_on_again():
    with pytest.raises(ValueError, match="no such model"), uncollected_imports():
        raise ValueError("no such model")
    assert gc.isenabled()


def test_who_had_turned_it_off_finds_it_off():
    gc.disable()
    with uncollected_imports():
        pass
    assert not gc.isenabled()
