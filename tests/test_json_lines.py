"""A line of JSON lines: an object, or one line that says where the fault is."""

import pytest

from optscale_predictor._support.json_lines import parse_object
from optscale_predictor.errors import InputError


@pytest.mark.parametrize("line", ['{"a": 1, "b": [null, "\\u00e9"]}', ' {"a": 1, "b": [null, "é"]} \n'])
def test_an_object_is_read(line):
    assert parse_object(line, "f:1") == {"a": 1, "b": [None, "é"]}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"a": ', "not valid JSON: Expecting value at column 7"),
        ("[1]", "expected a JSON object, got list"),
        ("null", "expected a JSON object, got NoneType"),
        ('{"a": ' + "9" * 5000 + "}", "cannot read: a whole number of more than 4300 digits"),
        ("[" * 200_000, "cannot read: nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_location(line, says):
    with pytest.raises(InputError) as raised:
        parse_object(line, "FILE:7")
    assert str(raised.value) == f"FILE:7: {says}"


def test_the_longest_number_that_python_reads_is_read():
    assert parse_object('{"a": ' + "9" * 4300 + "}", "f:1")["a"] == 10**4300 - 1
