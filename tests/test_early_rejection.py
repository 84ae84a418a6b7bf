"""The rule of early rejection: what it learns of finished samples, and whom it stops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.inference.early_rejection import EarlyRejection, RejectionRule, require_rejectable

NAN, NOTHING = float("nan"), float("-inf")
SCORES = st.floats(0, 1, width=32)


def taught(settings, pairs):
    rule = RejectionRule(settings)
    for partial, final in pairs:
        rule.learn([partial], final)
    return rule


def test_settings_are_read_and_written_and_checked():
    assert EarlyRejection.parse("tokens=16,risk=0.1") == EarlyRejection(16, 0.1)
    assert EarlyRejection.parse("") == EarlyRejection() and EarlyRejection.parse(" risk = 0.2 ").risk == 0.2
    assert EarlyRejection.parse(str(EarlyRejection(7, 0.25))) == EarlyRejection(7, 0.25)
    for text in ("tokens=x", "quantile=0.5", "64", "tokens=1.5"):
        with pytest.raises(InputError, match=r"reject: expected tokens=NUMBER,risk=NUMBER"):
            EarlyRejection.parse(text)
    for settings in ({"tokens": 0}, {"risk": 0.0}, {"risk": 0.51}, {"risk": NAN}):
        with pytest.raises(InputError, match=next(iter(settings))):
            EarlyRejection(**settings)


@given(
    st.lists(st.tuples(SCORES, SCORES), min_size=8, max_size=40, unique_by=lambda pair: pair[0]),
    SCORES,
    SCORES,
    st.floats(0, 0.999),
    st.sampled_from([0.5, 0.4]),
)
def test_a_sample_is_stopped_where_few_of_those_that_looked_as_well_beat_the_best(pairs, partial, best, luck, risk):
    settings = EarlyRejection(64, risk)
    verdict = taught(settings, pairs).judge(1, partial, best, luck)
    number = settings.neighbours
    finals = [final for looked, final in sorted(pairs) if looked >= partial][:number]
    chance = (sum(final > best for final in finals) + 1) / (number + 1)
    assert (verdict is not None) == (len(finals) == number and chance < risk)
    if verdict is not None:
        below = [final for final in finals if final <= best]
        assert verdict.stand_in in below and verdict.mean == pytest.approx(np.mean(below))


def test_of_many_equal_partial_scores_the_nearest_are_not_the_worst():
    # A verifier of few values: half of the samples that look like this end above the best, whichever came first.
    rule = taught(EarlyRejection(64, 0.1), [(0.5, number % 2) for number in range(1000)])
    assert rule.judge(1, 0.5, 0.5, 0.0) is None
    assert taught(EarlyRejection(64, 0.1), [(0.5, 0.0)] * 1000).judge(1, 0.5, 0.5, 0.0) is not None


def test_nobody_is_stopped_without_a_best_or_a_score_or_enough_finished_samples():
    rule = taught(EarlyRejection(64, 0.5), [(0.4 + 0.1 * number, 0.1) for number in range(3)])
    assert rule.judge(1, 0.3, 0.9, 0.0) is None  # three of four
    rule.learn([NAN, 0.4], 0.1)
    assert rule.judge(1, 0.3, 0.9, 0.0) is None  # a prefix that was refused teaches nothing
    rule.learn([0.35], 0.1)
    assert rule.judge(1, 0.3, 0.9, 0.0) is not None
    assert rule.judge(1, 0.36, 0.9, 0.0) is None  # one that looks better than most is not known by those
    assert rule.judge(1, NAN, 0.9, 0.0) is None and rule.judge(1, 0.3, NOTHING, 0.0) is None
    assert rule.judge(2, 0.3, 0.9, 0.0) is None  # after two segments others count: one has finished there
    assert rule.judge(1, 0.3, 0.1, 0.0) is not None  # what only equals the best does not beat it


def test_the_risk_holds_though_stopped_samples_teach_nothing():
    # Once it stops samples it sees the finals of those alone that looked well: given how they looked, the same.
    rng, settings = np.random.default_rng(3), EarlyRejection(64, 0.1)
    rule, stopped, lost, best = RejectionRule(settings), 0, 0, 0.8
    for _ in range(6000):
        partial = rng.random()
        final = float(np.clip(partial + 0.2 * rng.standard_normal(), 0, 1))
        if rule.judge(1, partial, best, rng.random()) is None:
            rule.learn([partial], final)
        else:
            stopped, lost = stopped + 1, lost + (final > best)
    assert stopped > 2500  # of the 3600 or so whose partial score lies below 0.6
    assert lost / stopped < 0.02 + 3 * np.sqrt(0.02 / stopped)  # far below the risk, which is that of the worst of them


def test_where_partial_scores_say_nothing_nobody_is_stopped():
    rng = np.random.default_rng(1)
    rule = taught(EarlyRejection(64, 0.05), zip(rng.random(2000), rng.random(2000), strict=True))
    assert all(rule.judge(1, partial, 0.7, 0.0) is None for partial in rng.random(500))


def test_what_cannot_be_stopped_early_is_said_in_one_line():
    sampling = SamplingParams()
    require_rejectable("text", True, sampling, ["best_score"])
    for given_, says in (
        (("", True, sampling, []), "cannot go on with a sample"),
        (("text", False, sampling, []), "does not score a part"),
        (("text", True, SamplingParams(temperature=0), []), "temperature 0"),
        (("text", True, SamplingParams(thinking="strip"), []), "thinking=keep"),
        (("text", True, SamplingParams(logprobs=True), []), "log-probabilities"),
        (("text", True, sampling, ["best_score", "majority"]), "got majority"),
    ):
        with pytest.raises(InputError, match=says):
            require_rejectable(*given_)
