"""lm-eval's ``--model_args``: the flags of the command line by the same names, and the primary policy's settings."""

import json

import pytest
from fitted_policies import folder_of, made_up

from optscale_predictor.backends.generators import SamplingParams, ServerOptions, VLLMOptions
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.model_args import Arguments
from optscale_predictor.policies.fitted.model_files import save_fitted


def test_options_are_those_of_the_command_line():
    given = {"generator": "m", "base_url": "http://x/v1", "temperature": 1, "server.send_seed": False}
    given |= {
        "vllm": {"dtype": "float32"},
        "verifier": "judge:j",
        "verifier_url": "http://y/v1",
        "verifier_rubric": "r",
    }
    found = Arguments.of(given)
    assert found.generator == GeneratorOptions(
        "m",
        SamplingParams(temperature=1.0),
        base_url="http://x/v1",
        server=ServerOptions(send_seed=False),
        vllm=VLLMOptions(dtype="float32"),
    )
    assert found.verifier == VerifierOptions("judge:j", "http://y/v1", rubric="r")
    assert not found.settings and found.max_tokens is None
    assert not Arguments.of({"verifier": "none"}).verifier.wanted


@pytest.mark.parametrize(("given", "size"), [(1, 512), ("auto", 512), ("8", 8), (16, 16), (None, 512)])
def test_lm_evals_batch_size_holds_where_it_is_more_than_one(given, size):
    assert Arguments.of({"batch_size": given}).generator.batch_size == size


def test_what_is_no_argument_is_a_setting_of_the_policy_beside_those_in_its_text():
    """Settings in the text went unheard where others stood beside it."""
    (rule,) = Arguments.of({"policy": "optscale:score_min=0.5", "max_samples": 4}).rules()
    assert (rule.score_min, rule.max_samples) == (0.5, 4)
    with pytest.raises(InputError, match="max_samples is given twice"):
        Arguments.of({"policy": "best_of_n:max_samples=2", "max_samples": 4}).rules()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"temperature": "warm"}, "--temperature must be a number, got 'warm'"),
        ({"chat": 3}, "--chat must be true or false or null, got '3'"),
        ({"max_tokens": 0}, "max_tokens must lie in [1, 2147483647], got 0"),
        ({"verifier": None}, "--verifier may not be null; its default is 'auto'"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(given, says):
    with pytest.raises(InputError) as raised:
        Arguments.of(given)
    assert str(raised.value) == says


def test_the_fingerprint_tells_what_shapes_answers_and_nothing_of_where_they_come_from():
    server = {"base_url": "http://x/v1", "verifier": "my/verifier"}
    one = Arguments.of({**server, "concurrency": 4, "server.timeout": 5, "verifier_url": "http://y"})
    other = Arguments.of({**server, "base_url": "http://z/v1", "record": "r", "in_flight": 3})
    assert json.dumps(one.fingerprint(), sort_keys=True) == json.dumps(other.fingerprint(), sort_keys=True)
    for changed in ({"seed": 1}, {"verifier_aggregate": "min"}, {"server.extra_body": {"top_k": 5}}, {"alpha": 0.9}):
        assert Arguments.of({**server, **changed}).fingerprint() != one.fingerprint()


@pytest.mark.parametrize("asks", [{"policy": "fitted"}, {"policy": "best_of_n", "selection": "confidence:"}])
def test_another_policy_fitted_into_the_same_folder_is_another_run(asks):
    folder = folder_of()
    named = {"path": folder} if "selection" not in asks else {"selection": f"{asks['selection']}{folder}"}
    arguments = Arguments.of({**asks, **named})
    before = json.dumps(arguments.fingerprint())
    assert json.dumps(arguments.fingerprint()) == before
    save_fitted(made_up(slope=0.5), folder)
    assert json.dumps(arguments.fingerprint()) != before


def test_an_unknown_selection_is_refused_before_anything_is_loaded():
    with pytest.raises(InputError, match="unknown selection 'best'"):
        Arguments.of({"selection": "best", "generator": "/no/model", "verifier": "/no/verifier"}).scaler()
