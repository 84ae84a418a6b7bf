"""The collector's thresholds: raised while requests are under way, a user's own left alone."""

import gc

import pytest

from optscale_predictor._support.garbage_collection import rare_collections


@pytest.fixture(autouse=True)
def kept():
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_it_is_raised_until_the_last_one_ends():
    with rare_collections():
        with rare_collections():
            assert gc.get_threshold() == (100_000, 10, 10)
        assert gc.get_threshold() == (100_000, 10, 10)
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (200_000, 5, 5)])
def test_what_a_user_has_set_stays(own):
    gc.set_threshold(*own)
    with rare_collections():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


def test_what_is_set_meanwhile_stays():
    with rare_collections():
        gc.set_threshold(5000, 1, 1)
    assert gc.get_threshold() == (5000, 1, 1)
