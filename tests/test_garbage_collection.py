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


def test_it_grows_with_what_is_under_way():
    """At any number of requests, what they keep alive (some 120 objects each) begins no pass by itself."""
    with rare_collections(5000):
        largest = gc.get_threshold()
        assert largest[0] >= 2 * 120 * 5000 and largest[1:] == (10, 10)
        with rare_collections(50):
            assert gc.get_threshold() == largest
        assert gc.get_threshold() == largest
    assert gc.get_threshold() == (700, 10, 10)


def test_the_largest_that_is_left_counts():
    large, small = rare_collections(5000), rare_collections(1000)
    with small:
        alone = gc.get_threshold()
        with large:
            assert gc.get_threshold() > alone
        assert gc.get_threshold() == alone
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [(0, 10, 10), (2_000_000_000, 5, 5)])
def test_what_a_user_has_set_stays(own):
    gc.set_threshold(*own)
    with rare_collections():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own


def test_what_is_set_meanwhile_stays():
    with rare_collections():
        gc.set_threshold(5000, 1, 1)
    assert gc.get_threshold() == (5000, 1, 1)
