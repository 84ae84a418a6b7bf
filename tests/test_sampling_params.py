"""Parameters of sampling: stop strings are strings, whatever sequence they came in, and parameters can be compared."""

import json

import pytest
from served_optscale import scaler_of, written_generator

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.serving import ServeSettings
from optscale_predictor.serving.request_parser import RequestParser


@pytest.mark.parametrize("stop", [[], ["a", "b"], ("a", "b")])
def test_stop_strings_are_equal_in_any_sequence(stop):
    params, same = SamplingParams(stop=stop), SamplingParams(stop=tuple(stop))
    assert params == same and {params: 1}[same] == 1 and params.stop == tuple(stop)


@pytest.mark.parametrize("stop", ["ab", [""], ["a", 3], [None]])
def test_what_is_no_stop_string_is_refused(stop):
    with pytest.raises(InputError, match="stop must be strings that are not empty"):
        SamplingParams(stop=stop)


@pytest.mark.parametrize(
    ("stop", "wanted"),
    [(None, ()), ([], ()), ("####", ("####",)), (["a", "b"], ("a", "b"))],
)
def test_a_request_has_the_stop_strings_that_it_names(stop, wanted):
    """Parameters that cannot be hashed end a batch of several requests in an engine of the process."""
    body = {"model": "written", "prompt": "1+1=", "stop": stop}
    with written_generator() as generator:
        parser = RequestParser(scaler_of(generator.url), ServeSettings(name="written"))
        sampling = parser.completion(json.dumps(body).encode()).sampling
    assert sampling.stop == wanted and {sampling}
