"""Settings of policies: read, written again, taken to the end of their range, and named beyond it."""

import pytest
from fitted_policies import text_of

from optscale_predictor.errors import InputError
from optscale_predictor.policies import POLICIES, parse_policy
from optscale_predictor.policies._registry import make_policy

IN_RANGE = [
    *("optscale:score_min=0", "optscale:score_min=1", "optscale:floor=0", "optscale:max_samples=1"),
    *("optscale:min_gain=0", "optscale:min_gain=1"),
    *("optscale_0:peek=1", "optscale_t:form=sequential", "optscale_0:form=jump"),
    *("asc_beta:confidence=0.001", "asc_dirichlet:confidence=0.999", "dsc:easy=0", "dsc:easy=1", "dsc:window=1"),
    *(
        "dsc:confidence=0.001",
        "dsc:confidence=0.999",
        "esc:window=2",
        "cost_aware:price=0",
        "cost_aware:sample_price=0",
        "clairvoyant:score_min=1",
    ),
    *("oracle:floor=0", "instance_adaptive:q=0.001", "pandora:min_samples=5", "pandora:cost=1e-9"),
    *("pandora:delta=0.001", "pandora:delta=0.999", "shared_budget:share=1", "shared_budget:tokens=0.1"),
    *("beacon:nu0=0,alpha0=-0.5,beta0=0", "beacon:cost=1e-9", "beacon:mu0=-3"),
]
OUT_OF_RANGE = [
    *("optscale:min_gain=-0.001", "optscale:min_gain=1.001"),
    *("optscale:floor=-0.01", "optscale:floor=1", "optscale:score_min=1.01", "optscale:alpha=0", "optscale:alpha=1"),
    *("optscale:step=two", "optscale:estimate=", "optscale:max_samples=0", "optscale_0:peek=0", "optscale_t:form=Jump"),
    *("asc_beta:confidence=0", "asc_beta:confidence=1", "dsc:easy=-0.01", "dsc:easy=1.01", "dsc:window=0"),
    *("dsc:confidence=0", "dsc:confidence=1", "esc:window=1", "cost_aware:price=-0.01", "cost_aware:price=inf"),
    *("cost_aware:sample_price=-0.01", "cost_aware:sample_price=inf", "cost_aware:step=jump", "asc_beta:step=two"),
    *("clairvoyant:score_min=-0.1", "oracle:floor=1", "oracle:floor=-0.1", "instance_adaptive:q=0"),
    *("instance_adaptive:q=1", "pandora:min_samples=4", "pandora:cost=0", "pandora:cost=inf", "pandora:delta=0"),
    *("pandora:delta=1", "shared_budget:share=0", "shared_budget:share=1.01", "shared_budget:tokens=0"),
    *("shared_budget:tokens=inf", "beacon:nu0=-0.1", "beacon:alpha0=-0.6", "beacon:beta0=-0.1", "beacon:cost=0"),
    *(
        "beacon:cost=inf",
        "beacon:nu0=inf",
        "best_of_n:max_samples=0",
        "cost_aware:estimate=x",
        "shared_budget:estimate=x",
    ),
]


@pytest.mark.parametrize("text", IN_RANGE)
def test_settings_at_the_end_of_their_range_are_taken(text):
    parse_policy(text)


@pytest.mark.parametrize("text", OUT_OF_RANGE)
def test_settings_beyond_it_are_named(text):
    setting = text.partition(":")[2].partition("=")[0]
    with pytest.raises(InputError, match=rf"^{setting} must"):
        parse_policy(text)


@pytest.mark.parametrize("name", ["instance_adaptive", "cost_aware", "shared_budget"])
def test_a_calibration_is_read_when_the_rule_is_made(name, tmp_path):
    with pytest.raises(InputError, match="No such file"):
        parse_policy(f"{name}:calibration={tmp_path / 'none.json'}")


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_written_as_it_is_read(name):
    policy = parse_policy(text_of(name, "max_samples=7"))
    assert parse_policy(str(policy)) == policy and str(policy).startswith(f"{name}:") and "max_samples=7" in str(policy)


def test_settings_are_read_whatever_stands_around_them():
    assert parse_policy(" optscale : score_min = 0.9 , alpha=0.8, ") == parse_policy("optscale:score_min=0.9,alpha=0.8")
    assert parse_policy("best_of_n", {"max_samples": 7}) == parse_policy("best_of_n:max_samples=7")
    assert parse_policy("best_of_n:", None) == make_policy("best_of_n", {})
    policy = make_policy("cost_aware", {"price": 1, "max_samples": "9"})
    assert policy.describe() == {
        "name": "cost_aware",
        "sample_price": 0.01,
        "price": 1.0,
        "max_samples": 9,
        "calibration": "",
        "estimate": "posterior",
        "step": "auto",
    }
    for text, further, says in (
        (
            "best_of_n:max_samples=3",
            {"max_samples": 4},
            "max_samples is given twice: in policy .*, and as 4 of its own",
        ),
        ("best_of_n:max_samples", None, "expected key=value, got 'max_samples'"),
        ("best_of_n", {"other": 1}, "has no setting 'other'; it has: max_samples"),
        ("", None, "unknown policy ''"),
        ("cost_aware:calibration=a=b.json", None, "a=b.json: cannot read it: No such file"),
        ("best_of_n:max_samples=x", None, "max_samples must be a whole number, got 'x'"),
        ("cost_aware:price=x", None, "price must be a number, got 'x'"),
    ):
        with pytest.raises(InputError, match=says):
            parse_policy(text, further)


def test_description_and_parser_agree():
    for name in POLICIES:
        policy = parse_policy(text_of(name, "max_samples=7"))
        assert parse_policy(str(policy)) == policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("best", "unknown policy 'best'; did you mean 'best_of_n'\\?; known: optscale"),
        ("optscale:alpha=1.5", r"alpha must lie in \(0, 1\), got 1.5"),
        ("optscale:beta=1", "has no setting 'beta'; it has: score_min"),
        ("optscale:alpha=high", "alpha must be a number, got 'high'"),
        ("best_of_n:max_samples=2.5", "max_samples must be a whole number"),
        ("best_of_n:max_samples=0", "max_samples must be >= 1"),
        ("optscale_0:form=other", "form must be"),
        ("optscale:alpha", "expected key=value"),
    ],
)
def test_bad_policies_are_named(text, says):
    with pytest.raises(InputError, match=says):
        parse_policy(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("asc_beta:confidence=1", "confidence must lie in"),
        ("esc:window=1", "window must be >= 2, got 1"),
        ("dsc:easy=2", "easy must lie in"),
        ("beacon:cost=0", "cost must be > 0"),
        ("beacon:alpha0=-1", "alpha0 must be >= -0.5"),
        ("pandora:min_samples=3", "min_samples must be >= 5"),
        ("pandora:delta=0", "delta must lie in"),
        ("cost_aware:price=-1", "price must be >= 0"),
        ("cost_aware:calibration=missing.json", "missing.json: cannot read it: No such file"),
        ("shared_budget:tokens=0", "tokens must be > 0"),
        ("shared_budget:share=0", "share must lie in"),
        ("instance_adaptive:q=1", "q must lie in"),
        ("oracle:floor=1", "floor must lie in"),
        ("optscale:estimate=guess", "estimate must be one of posterior, plugin"),
    ],
)
def test_bad_settings_are_named(text, says):
    with pytest.raises(InputError, match=says):
        parse_policy(text)


def test_a_family_that_does_not_exist_is_named():
    with pytest.raises(InputError, match="family must be one of truncated_normal, beta, point_masses, empirical_tail"):
        parse_policy("plug_in:family=cauchy")
