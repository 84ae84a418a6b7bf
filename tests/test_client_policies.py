"""Which policies and values clients may choose: those that the operator lists, and by default none that takes long."""

import json
import re
import subprocess
import sys

import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.policies import POLICIES, parse_policy
from optscale_predictor.serving import CLIENT_POLICIES, ClientPolicies
from optscale_predictor.serving.api_errors import ApiError
from optscale_predictor.serving.request_bodies import OptscaleOptions
from optscale_predictor.serving.requested_policy import (
    model_pattern,
    policy_in_model,
    requested_policy,
)

OWN = parse_policy("optscale:max_samples=16")


def asked(allowed, own=OWN, **options):
    """The policy that a request gets, as text."""
    return str(requested_policy(OptscaleOptions(**options), own, ClientPolicies.parse(allowed)))


def refused(allowed, own=OWN, **options):
    with pytest.raises(ApiError) as error:
        asked(allowed, own, **options)
    assert error.value.status == 400 and "\n" not in error.value.message
    return error.value.param, error.value.message


def test_a_policy_behind_the_models_name_or_in_the_header_is_held_to_the_same_list():
    none = OptscaleOptions()
    allowed = ClientPolicies.parse("best_of_n:max_samples=2..8")
    for given in ({"in_model": "best_of_n:max_samples=4"}, {"in_header": "best_of_n:max_samples=4"}):
        assert str(requested_policy(none, OWN, allowed, **given)) == "best_of_n:max_samples=4"
    for given, param, says in (
        ({"in_model": "esc"}, "model", "does not let clients choose 'esc'"),
        ({"in_header": "best_of_n:max_samples=9"}, "X-OptScale-Policy", "max_samples must be 2..8"),
        ({"in_model": "best_of"}, "model", "did you mean 'best_of_n'"),
        ({"in_model": ""}, "model", "does not let clients choose ''"),
        ({"in_model": "best_of_n", "in_header": "esc"}, "X-OptScale-Policy", "another policy than model"),
        ({"in_header": "best_of_n:path=/etc"}, "X-OptScale-Policy", "names a file on the server"),
        ({"in_header": "best_of_n" + " " * 500}, "X-OptScale-Policy", "at most 500 characters"),
    ):
        with pytest.raises(ApiError, match=says) as refused:
            requested_policy(none, OWN, allowed, **given)
        assert (refused.value.status, refused.value.param) == (400, param)
    twice = OptscaleOptions(policy="best_of_n", max_samples=5)
    assert str(requested_policy(twice, OWN, allowed, "best_of_n", "best_of_n")) == "best_of_n:max_samples=5"


def test_a_models_name_may_have_colons_and_signs_of_its_own():
    assert policy_in_model("embedded:generator", "embedded:generator") is None
    assert policy_in_model("embedded:generator:esc:window=3", "embedded:generator") == "esc:window=3"
    for other in ("embedded", "embedded:generators", "other:embedded:generator"):
        with pytest.raises(ApiError) as missing:
            policy_in_model(other, "embedded:generator")
        assert (missing.value.status, missing.value.code) == (404, "model_not_found")
    pattern = model_pattern("org/a+b.c:7B", ClientPolicies.parse("esc"))
    assert re.search(pattern, "org/a+b.c:7B:esc:window=3") and not re.search(pattern, "org/aab.c:7B:esc")


def test_by_default_clients_choose_what_decides_at_once():
    assert asked(CLIENT_POLICIES, policy="best_of_n:max_samples=4") == "best_of_n:max_samples=4"
    assert asked(CLIENT_POLICIES, policy="esc:window=3") == "esc:window=3,max_samples=16"
    for name in ("beacon", "fitted", "shared_budget", "clairvoyant", "oracle", "none such"):
        param, says = refused(CLIENT_POLICIES, policy=name)
        assert param == "optscale.policy" and "it lets them choose: optscale, cost_aware" in says
    assert set(CLIENT_POLICIES.split()) < set(POLICIES)
    for name in CLIENT_POLICIES.split():
        assert not POLICIES[name].tabulated and not POLICIES[name].joint


def test_an_operator_names_policies_and_values():
    allowed = "best_of_n:max_samples=2..8 esc:window=3|5 optscale:alpha=0.5..0.9,step=one|double"
    assert asked(allowed, policy="best_of_n:max_samples=8") == "best_of_n:max_samples=8"
    assert asked(allowed, policy="best_of_n") == "best_of_n:max_samples=8"  # its default is nobody's request
    assert asked(allowed, policy="esc:window=3") == "esc:window=3,max_samples=16"
    assert "alpha=0.7" in asked(allowed, alpha=0.7) and "step=double" in asked(
        allowed, policy="optscale:alpha=0.9,step=double"
    )
    for options, says in (
        ({"policy": "best_of_n:max_samples=1"}, "max_samples must be 2..8 on this server, got 1"),
        ({"policy": "best_of_n", "max_samples": 9}, "max_samples must be 2..8 on this server, got 9"),
        ({"policy": "esc:window=4"}, "window must be 3|5 on this server, got 4"),
        ({"policy": "optscale:alpha=0.8,step=jump"}, "step must be one|double on this server, got jump"),
        (
            {"policy": "asc_beta"},
            "does not let clients choose 'asc_beta'; it lets them choose: best_of_n, esc, optscale",
        ),
    ):
        param, message = refused(allowed, **options)
        assert param == "optscale.policy" and says in message


def test_the_servers_own_values_are_allowed_whatever_the_list_says():
    own = parse_policy("beacon:nu0=2,max_samples=16")
    assert "nu0=2.0" in asked("best_of_n", own) and "max_samples=4" in asked("best_of_n", own, max_samples=4)
    assert refused("optscale:alpha=0.5..0.9", alpha=0.99)[0] == "optscale"
    assert asked("optscale:alpha=0.5..0.9") == str(OWN)  # alpha is 0.95


def test_without_a_list_clients_set_the_servers_own_policy_alone():
    assert "score_min=0.5" in asked("none", score_min=0.5)
    assert "it lets them choose: none but its own" in refused("none", policy="best_of_n")[1]


def test_a_policy_that_computes_a_table_for_each_value_takes_the_values_that_are_named():
    assert "nu0=0.0" in asked("beacon", policy="beacon:cost=0.1")
    assert refused("beacon", policy="beacon:nu0=0.25")[1].endswith("nu0 must be 0 on this server, got 0.25")
    assert "nu0=1.0" in asked("beacon:nu0=0|1", policy="beacon:nu0=1")
    assert "nu0 must be 0|1" in refused("beacon:nu0=0|1", policy="beacon:nu0=0.5")[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "client_policies is empty"),
        ("best", "client_policies: unknown policy 'best'; did you mean 'best_of_n'?; known: optscale"),
        ("esc esc", "'esc' is named twice"),
        ("shared_budget", "spends one budget on all questions"),
        ("oracle", "can only be replayed"),
        ("esc:size=3", "client_policies: esc:size: there is no such setting; there are: window, max_samples"),
        ("esc:window=3..x", "client_policies: esc:window: expected LOW..HIGH or VALUE|VALUE, got '3..x'"),
        ("esc:window=5..3", "expected a range from a low number to a high one, got '5..3'"),
        ("esc:window", "client_policies: esc:window: expected LOW..HIGH or VALUE|VALUE, got ''"),
        ("optscale:step=one..two", "expected LOW..HIGH or VALUE|VALUE"),
        ("optscale:step=1..2", "expected a range from a low number"),
        ("optscale:alpha=nan..1", "expected a range from a low number"),
        ("best_of_n:max_samples=1.." + "9" * 400, "expected LOW..HIGH"),
        ("cost_aware:calibration=x", "names a file on the server"),
        ("beacon:nu0=0..1", "name the values, as in 0|1"),
    ],
)
def test_a_list_that_is_none(text, says):
    with pytest.raises(InputError) as error:
        ClientPolicies.parse(text)
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", [CLIENT_POLICIES, "none", "best_of_n:max_samples=1..8 esc:window=3|5,max_samples=1..9"]
)
def test_a_list_is_written_as_it_is_read(text):
    assert ClientPolicies.parse(str(ClientPolicies.parse(text))) == ClientPolicies.parse(text)


def test_the_command_takes_the_list_and_names_what_is_wrong_with_it():
    command = [sys.executable, "-m", "optscale_predictor", "serve", "--client_policies", "best_of_n esc:size=3"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2 and "esc:size: there is no such setting" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, json.dumps(ended.stderr)
