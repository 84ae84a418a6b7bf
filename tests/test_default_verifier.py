"""No verifier named: the embedded world's, for its own samples; a refusal for all others, before anything is loaded."""

import pytest

from optscale_predictor import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.default_verifier import verifier_for, verifier_of_samples
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.model_args import Arguments
from optscale_predictor.pools import Pool

SERVER = "http://127.0.0.1:9/v1"
SAYS = "verifier: name one, as the default (embedded:verifier) reads the embedded world's sums alone"


@pytest.mark.parametrize("model", [None, "embedded:generator"])
def test_the_embedded_worlds_own_samples_are_scored_by_its_verifier(model):
    assert verifier_for(GeneratorOptions(model), VerifierOptions(batch_size=3)) == VerifierOptions(
        "embedded:verifier", batch_size=3
    )


@pytest.mark.parametrize("generator", [GeneratorOptions(base_url=SERVER), GeneratorOptions("some/model")])
@pytest.mark.parametrize("named", ["embedded:verifier", "none", "logprobs:mean", "python:module:function"])
def test_a_verifier_that_is_named_is_taken_as_it_is(generator, named):
    assert verifier_for(generator, VerifierOptions(named)) == VerifierOptions(named)


@pytest.mark.parametrize(
    "command",
    [
        ("answer", "1+2=", "--base_url", SERVER),
        ("answer", "1+2=", "--generator", "some/model"),
        ("serve", "--port", "0", "--base_url", SERVER),
        ("eval", "--tasks", "optscale_arithmetic", "--model_args", f"base_url={SERVER}"),
    ],
    ids=" ".join,
)
def test_samples_of_others_are_not_scored_by_it(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and SAYS in said and "loading" not in said and "Traceback" not in said


def test_a_pool_in_place_of_a_generator_needs_none(tmp_path):
    assert Arguments.of({"pool": str(tmp_path)}).verifier == VerifierOptions()


@pytest.mark.parametrize("drawn_by", [None, "some/model"])
def test_a_pool_of_other_samples_needs_a_name(drawn_by):
    with pytest.raises(InputError, match="verifier: name one"):
        verifier_of_samples(drawn_by, VerifierOptions())
    assert verifier_of_samples("embedded:generator", VerifierOptions()).model == "embedded:verifier"


def test_a_pool_says_what_drew_it(tmp_path, capsys):
    (tmp_path / "samples.jsonl").write_text(
        '{"question_id": "a", "question": "1+1=", "sample_index": 0, "text": "2", "num_tokens": 1}\n'
    )
    main(["pool", "import", str(tmp_path / "pool"), str(tmp_path / "samples.jsonl")])
    assert Pool(tmp_path / "pool").generator.get("model") is None
    with pytest.raises(SystemExit) as stopped:
        main(["score", str(tmp_path / "pool")])
    assert stopped.value.code == 2 and SAYS in capsys.readouterr().err
